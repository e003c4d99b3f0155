// What silencing units does: samples walk from their old to their new place; accuracy falls class by class.

import { readJson } from "./brainbow_data.js";
import { classColours } from "./brainbow_paint.js";
import { count, digits, hex, readTheme } from "./colour.js";
import { adopt, el } from "./element.js";
import { Motion } from "./motion.js";
import { remover } from "./mounting.js";
import { addressOf } from "./table.js";
import { extentOf, View } from "./view.js";

const places = new WeakMap();

/** Places before and after, labels and predictions of `m` samples. */
export function readTrial(buffer, m) {
  return {
    before: new Float32Array(buffer, 0, 2 * m),
    after: new Float32Array(buffer, 8 * m, 2 * m),
    label: new Uint16Array(buffer, 16 * m, m),
    was: new Uint16Array(buffer, 18 * m, m),
    now: new Uint16Array(buffer, 20 * m, m),
  };
}

class Trial {
  constructor(host) {
    this.canvas = el("canvas", { role: "img", "aria-label": "Samples on the activation map, before and after" });
    this.slider = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: 1, "aria-label": "From the whole to the silenced network", oninput: () => this.move(Number(this.slider.value)) });
    this.play = el("button", { type: "button", class: "clear", onclick: () => this.walk() }, "Play");
    this.losses = el("div", { class: "bb-loss", role: "list", "aria-label": "Accuracy by class, before and after" });
    this.note = el("div", { class: "bb-quiet" });
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true", ontransitionend: () => this.draw() });
    this.stage = el("div", { class: "bb-move" }, this.canvas);
    this.root = el(
      "div",
      { class: "map brainbow" },
      el(
        "div",
        { class: "bb-trial" },
        el("div", {}, this.stage, el("div", { class: "bb-slide" }, el("span", {}, "whole"), this.slider, el("span", {}, "silenced"), this.play), this.note),
        el("div", { class: "bb-scroll" }, el("h4", {}, "Share of right answers by class"), this.losses),
      ),
      this.sentinel,
    );
    host.replaceChildren(this.root);
    this.view = new View();
    this.share = 1;
    this.motion = new Motion(() => this.draw());
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.stage);
    this.record = { rev: 0 };
  }

  show(manifest, trial, was, now) {
    Object.assign(this, { manifest, trial, was, now });
    const m = trial.label.length;
    const axis = (offset) => Float32Array.from({ length: 2 * m }, (_, i) => (i < m ? trial.before : trial.after)[2 * (i % m) + offset]);
    this.view.extent = extentOf(axis(0), axis(1));
    let turned = 0;
    let righted = 0;
    trial.label.forEach((label, i) => {
      turned += trial.was[i] === label && trial.now[i] !== label;
      righted += trial.was[i] !== label && trial.now[i] === label;
    });
    this.note.textContent = `${count(turned)} of ${count(m)} answers turn wrong (ringed), ${count(righted)} turn right. Axes: z₁ across, z₂ up, one scale.`;
    this.fill();
    this.walk();
  }

  fill() {
    const { classes } = this.manifest;
    const colours = classColours(this.manifest, readTheme(this.root));
    this.losses.replaceChildren(
      ...classes.flatMap((name, code) => {
        if (this.was[code] === null) return [];
        const [was, now] = [100 * this.was[code], 100 * this.now[code]];
        return [
          el("span", { class: "bb-name", title: name }, name),
          el("span", { class: "bb-track", role: "listitem", "aria-label": `${name}: ${digits(was, 1)} percent before, ${digits(now, 1)} after` }, el("i", { class: "bb-was", style: { left: 0, width: `${was}%` } }), el("i", { class: "bb-now", style: { left: 0, width: `${now}%`, background: hex(colours[code]) } })),
          el("span", { class: "bb-value" }, `${digits(was, 1)} → ${digits(now, 1)} %`),
        ];
      }),
    );
  }

  walk() {
    this.motion.run(1400, (share) => {
      this.share = share;
      this.slider.value = share;
    });
    this.draw();
  }

  move(share) {
    this.motion.stop();
    this.share = share;
    this.draw();
  }

  draw() {
    const { trial } = this;
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!trial || !width) return;
    const ratio = window.devicePixelRatio || 1;
    const theme = readTheme(this.root);
    const colours = classColours(this.manifest, theme);
    this.view.insets = { left: 12, right: 12, top: 12, bottom: 12 };
    this.view.resize(width, height);
    this.view.reset();
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = hex(theme.background);
    context.fillRect(0, 0, width, height);
    const m = trial.label.length;
    const { before, after, label, was, now } = trial;
    const at = (i, share) => this.view.toPixel(before[2 * i] + share * (after[2 * i] - before[2 * i]), before[2 * i + 1] + share * (after[2 * i + 1] - before[2 * i + 1]));
    context.lineWidth = 0.7;
    context.globalAlpha = 0.16;
    for (let i = 0; i < m; i++) {
      context.strokeStyle = hex(colours[label[i]]);
      context.beginPath();
      context.moveTo(...at(i, 0));
      context.lineTo(...at(i, this.share));
      context.stroke();
    }
    context.globalAlpha = 0.9;
    for (let i = 0; i < m; i++) {
      const [x, y] = at(i, this.share);
      context.fillStyle = hex(colours[label[i]]);
      context.beginPath();
      context.arc(x, y, 2.4, 0, 2 * Math.PI);
      context.fill();
      if (was[i] === label[i] && now[i] !== label[i] && this.share > 0.5) {
        context.strokeStyle = hex(theme.text);
        context.lineWidth = 0.9;
        context.beginPath();
        context.arc(x, y, 3.6, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    Object.assign(this.record, { share: this.share, rev: this.record.rev + 1 });
  }
}

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    const own = (name) => new URL(name, import.meta.url).href;
    await Promise.all([adopt(this.host, own("map.css")), adopt(this.host, own("brainbow.css"))]);
    if (data.trial === this.known) return;
    this.known = data.trial;
    const [manifest, answer] = await Promise.all([readJson(data.blobs, data.manifest), fetch(addressOf(data.blobs, data.trial))]);
    if (!answer.ok) {
      this.known = null;
      this.host.replaceChildren(el("div", { class: "map-wait bb-wait", role: "alert" }, "This trial is gone; reload the page."));
      return;
    }
    const buffer = await answer.arrayBuffer();
    if (data.trial !== this.known) return;
    this.trial ??= new Trial(this.host);
    window.__trial = this.trial.record; // what tests wait for
    this.trial.show(manifest, readTrial(buffer, data.count), data.was, data.now);
  }
}

export default async function mount(component) {
  const { parentElement: parent } = component;
  const leave = remover(places, parent, () => {
    places.get(parent)?.trial?.sizes.disconnect();
    places.get(parent)?.host.remove();
    places.delete(parent);
  });
  if (!places.has(parent)) places.set(parent, new Place(parent));
  await places.get(parent).update(component);
  return leave;
}
