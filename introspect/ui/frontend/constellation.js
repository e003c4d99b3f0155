// The constellation: the door to the page, the slider over the levels, and everything that moves with it.

import { hex, readTheme, rgb } from "./colour.js";
import { Chart, lineKey, nearestLevel } from "./constellation_chart.js";
import { Panel } from "./constellation_panel.js";
import { Strip } from "./constellation_strip.js";
import { adopt, el } from "./element.js";
import { download } from "./export.js";
import { mounted } from "./mounting.js";
import { Table, addressOf } from "./table.js";

const KINDS = { u1: Uint8Array, u2: Uint16Array };
const SPEEDS = [1, 2, 4, 8, 16]; // levels a second
const tables = new Map(); // the maps' points, kept while one looks at other samples

function tableOf(blobs, key) {
  const url = addressOf(blobs, key);
  if (!tables.has(url)) {
    const loading = Table.load(blobs, key);
    loading.catch(() => tables.delete(url));
    tables.set(url, loading);
    if (tables.size > 4) tables.delete(tables.keys().next().value);
  }
  return tables.get(url);
}

async function fetched(blobs, key) {
  const answer = await fetch(addressOf(blobs, key));
  if (!answer.ok) throw new Error("A part of the constellation is gone. Reload the page.");
  return answer;
}

/** A level as a person writes it: at most four digits. */
export function levelText(level) {
  return String(Number(level.toPrecision(4)));
}

export class Cloud {
  constructor(manifest, parts, host) {
    Object.assign(this, { manifest, host, level: 0, playing: false });
    this.levels = manifest.levels;
    this.shown = { arrows: true, samples: true, error: true, labels: true };
    this.record = { ready: false, level: 0, sigma: 0, rev: 0, frames: 0, seconds: 0, kept: [], panels: parts.length };
    this.panels = parts.map(({ about, table }) => new Panel(about, table, this));
    this.strip = new Strip(manifest, () => this.redraw());
    this.build();
    this.record.go = (index) => this.go(index);
  }

  build() {
    const { manifest, levels } = this;
    this.play = el("button", { type: "button", class: "cloud-play", onclick: () => (this.playing ? this.halt() : this.run()) }, "Play");
    this.slider = el("input", { type: "range", min: 0, max: levels.length - 1, step: 1, value: 0, "aria-label": manifest.quantity, oninput: () => this.slide() });
    this.value = el("output", { class: "cloud-level" });
    this.speed = el("select", { "aria-label": "Levels a second" }, ...SPEEDS.map((n) => el("option", { value: n }, `${n} / s`)));
    this.speed.value = "4";
    const toggle = (name, title) =>
      el("label", { class: "cloud-switch" }, el("input", { type: "checkbox", checked: true, onchange: (event) => this.show(name, event.target.checked) }), title);
    const switches = [toggle("samples", "Samples"), toggle("error", "Estimated error"), toggle("labels", "Class names")];
    if (manifest.copies > 1) switches.unshift(toggle("arrows", "Arrows"));
    const save = el("button", { type: "button", class: "menu", onclick: () => this.save() }, "PNG");
    this.panelHost = el("div", { class: "cloud-panels" }, ...this.panels.map(({ node }) => node));
    this.chartHost = el("div", {});
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true" });
    this.sentinel.addEventListener("transitionend", () => this.takeTheme());
    this.root = el(
      "div",
      { class: "map cloud" },
      el("div", { class: "cloud-bar" }, this.play, el("label", { class: "cloud-slide" }, this.slider, el("small", {}, `${manifest.title}: ${manifest.quantity}`)), this.value),
      this.strip.node,
      this.panelHost,
      el("div", { class: "cloud-bar" }, ...switches, el("label", { class: "cloud-switch" }, "Speed", this.speed), save),
      this.chartHost,
      this.sentinel,
    );
  }

  mount() {
    this.host.replaceChildren(this.root);
    for (const panel of this.panels) {
      panel.measure();
      panel.view.reset();
    }
    this.takeTheme();
    this.record.ready = true;
  }

  takeTheme() {
    const theme = readTheme(this.root);
    const text = JSON.stringify(theme);
    if (text === this.themed) return;
    this.themed = text;
    for (const panel of this.panels) panel.takeTheme();
    const colours = [hex(theme.primary), hex(rgb(theme.dark ? "#ffa90e" : "#e76300"))];
    const { levels, manifest } = this;
    const line = (values) => this.panels.map(({ about }, i) => ({ name: about.name, colour: colours[i % 2], values: values(about) }));
    const shared = { levels, across: manifest.quantity, published: manifest.published };
    const go = (index) => this.go(index);
    const kept = line((about) => about.kept.map((share) => 100 * share));
    this.charts = [
      new Chart({ ...shared, title: "Copies that keep their class", series: kept, most: 100, unit: " %" }, go),
      new Chart({ ...shared, title: "Mean shift on the map (units of z)", series: line((about) => about.shift), unit: "" }, go),
    ];
    this.chartHost.replaceChildren(...(this.panels.length > 1 ? [lineKey(kept)] : []), el("div", { class: "cloud-charts" }, ...this.charts.map(({ node }) => node)));
    this.redraw();
  }

  show(name, on) {
    this.shown[name] = on;
    for (const panel of this.panels) panel.stale = panel.stale || name === "samples" || name === "error";
    this.redraw();
  }

  slide() {
    this.halt();
    this.go(Number(this.slider.value));
  }

  /** Goes to the level with this index; nothing is asked of the server. */
  go(index) {
    this.level = Math.min(this.levels.length - 1, Math.max(0, index));
    this.slider.value = String(this.level);
    this.redraw();
  }

  /** Plays from the present level, from the first one when it is the last. */
  run() {
    if (this.level === this.levels.length - 1) this.go(0);
    this.playing = true;
    this.play.textContent = "Pause";
    this.record.frames = 0;
    this.record.seconds = 0;
    let started = null;
    let from = this.level;
    let last = null;
    let speed = Number(this.speed.value);
    const step = (now) => {
      if (!this.playing) return;
      const wanted = Number(this.speed.value);
      if (started === null || wanted !== speed) [started, from, speed] = [now, this.level, wanted];
      if (last !== null) {
        this.record.frames += 1;
        this.record.seconds += (now - last) / 1000;
      }
      last = now;
      this.level = Math.min(this.levels.length - 1, from + Math.floor(((now - started) / 1000) * speed));
      this.slider.value = String(this.level);
      this.draw(); // every frame, so that the frame rate told is that of drawing
      if (this.level === this.levels.length - 1) this.halt();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  halt() {
    this.playing = false;
    this.play.textContent = "Play";
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const started = performance.now();
    const { level } = this;
    for (const panel of this.panels) panel.paint(level);
    for (const chart of this.charts ?? []) chart.mark(level);
    this.strip.paint(level);
    const text = levelText(this.levels[level]);
    this.value.textContent = `${this.manifest.symbol}${text}`;
    this.slider.setAttribute("aria-valuetext", text);
    Object.assign(this.record, { level, sigma: this.levels[level], drawMs: performance.now() - started, rev: this.record.rev + 1, kept: this.panels.map(({ about }) => about.kept[level]) });
  }

  /** The maps as they stand, side by side under a title, as a picture file. */
  save() {
    const ratio = this.panels[0].ratio;
    const gap = 12 * ratio;
    const head = 54 * ratio;
    const theme = readTheme(this.root);
    const wide = this.panels.reduce((sum, { canvas }) => sum + canvas.width + gap, gap);
    const high = head + Math.max(...this.panels.map(({ canvas }) => canvas.height)) + gap;
    const canvas = el("canvas", { width: wide, height: high });
    const context = canvas.getContext("2d");
    context.fillStyle = hex(theme.background);
    context.fillRect(0, 0, wide, high);
    context.fillStyle = hex(theme.text);
    context.font = `600 ${14 * ratio}px ${theme.font}`;
    const { title, quantity, sample, copies } = this.manifest;
    context.fillText(`${sample} · ${title} ${levelText(this.levels[this.level])} (${quantity}) · ${copies} ${copies > 1 ? "copies" : "copy"}`, gap, 20 * ratio);
    context.font = `${13 * ratio}px ${theme.font}`;
    let left = gap;
    for (const panel of this.panels) {
      context.fillText(`${panel.about.name}: class kept ${panel.kept.textContent}, ${copies > 1 ? "mean " : ""}shift ${panel.shift.textContent}`, left, 42 * ratio);
      context.drawImage(panel.canvas, left, head);
      context.drawImage(panel.overlay, left, head);
      left += panel.canvas.width + gap;
    }
    canvas.toBlob((blob) => download(blob, "constellation.png"), "image/png");
  }

  dispose() {
    this.halt();
    cancelAnimationFrame(this.frame);
    for (const panel of this.panels) panel.dispose();
  }
}

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    await adopt(this.host, new URL("map.css", import.meta.url).href);
    await adopt(this.host, new URL("constellation.css", import.meta.url).href);
    if (data.manifest === this.manifest) return;
    this.manifest = data.manifest;
    if (!this.cloud) this.host.replaceChildren(el("div", { class: "map-wait", role: "status" }, "Fetching the constellation…"));
    try {
      const manifest = await (await fetched(data.blobs, data.manifest)).json();
      const parts = await Promise.all(manifest.panels.map((about) => this.part(data.blobs, about, manifest)));
      if (data.manifest === this.manifest) this.take(new Cloud(manifest, parts, this.host));
    } catch (error) {
      this.dispose();
      this.host.replaceChildren(el("div", { class: "map-wait", role: "alert" }, error.message));
    }
  }

  async part(blobs, about, manifest) {
    const [table, z, codes] = await Promise.all([
      tableOf(blobs, about.map),
      fetched(blobs, about.z).then((answer) => answer.arrayBuffer()),
      fetched(blobs, about.codes.key).then((answer) => answer.arrayBuffer()),
    ]);
    if (manifest.sprite) manifest.sprite.url = addressOf(blobs, manifest.sprite.key);
    return { table, about: { ...about, copies: manifest.copies, z: new Float32Array(z), codes: new KINDS[about.codes.kind](codes) } };
  }

  /** The new one takes the level, the switches and the windows of the one before. */
  take(cloud) {
    const before = this.cloud;
    this.cloud = cloud;
    const asked = before && before.manifest.corruption === cloud.manifest.corruption ? before.levels[before.level] : cloud.manifest.start;
    cloud.go(nearestLevel(cloud.levels, asked));
    if (before) {
      for (const box of cloud.root.querySelectorAll(".cloud-switch input")) {
        const name = box.closest("label").textContent;
        const old = [...before.root.querySelectorAll(".cloud-switch")].find((label) => label.textContent === name);
        if (old && old.querySelector("input").checked !== box.checked) box.click();
      }
      cloud.speed.value = before.speed.value;
    }
    cloud.mount();
    cloud.panels.forEach((panel, i) => {
      const old = before?.panels[i];
      if (old && old.about.map === panel.about.map) panel.view.set(old.view.x, old.view.y, old.view.zoom);
    });
    cloud.redraw();
    before?.dispose();
    window.__constellation = cloud.record; // what tests and benchmarks wait for
  }

  dispose() {
    this.cloud?.dispose();
    this.cloud = null;
  }
}

/** Called by Streamlit at first and after every change of the data. */
export default mounted(Place);
