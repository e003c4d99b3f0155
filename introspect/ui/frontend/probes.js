// New pictures on the map: a pulsing mark with a thumbnail that glides as the picture changes.

import { el, icon } from "./element.js";

const TRAIL = 10;

export class Probes {
  constructor(layer) {
    this.layer = layer;
    this.all = new Map();
  }

  /** Takes the list from Python: [{key, at: {projection: [x, y]}, approximate: [projection], picture, title, note, warn}]. Answers the one that moved. */
  sync(list, projection) {
    let moved = null;
    const keys = new Set(list.map((probe) => probe.key));
    for (const [key, entry] of this.all) {
      if (keys.has(key)) continue;
      entry.node.remove();
      this.all.delete(key);
    }
    for (const probe of list) {
      const entry = this.all.get(probe.key) || this.add(probe.key);
      const at = probe.at[projection];
      const before = entry.probe?.at[projection];
      if (at && (!before || before[0] !== at[0] || before[1] !== at[1])) {
        moved = { probe, at, first: !before };
        entry.trail.push(at);
        if (entry.trail.length > TRAIL) entry.trail.shift();
      }
      entry.probe = probe;
      this.fill(entry);
    }
    return moved;
  }

  add(key) {
    const picture = el("img", { alt: "" });
    const title = el("b", {});
    const note = el("span", {});
    const warning = el("span", { class: "probe-warning", hidden: true }, "off the map");
    const node = el("div", { class: "probe" }, el("i", { class: "pulse" }), el("i", { class: "dot" }), el("div", { class: "flag glass" }, picture, el("div", {}, title, note, warning)));
    this.layer.append(node);
    const entry = { node, picture, title, note, warning, trail: [], probe: null };
    this.all.set(key, entry);
    return entry;
  }

  fill(entry) {
    const { probe } = entry;
    entry.node.classList.toggle("warn", probe.warn);
    entry.node.dataset.key = probe.key;
    if (entry.picture.src !== probe.picture && probe.picture) entry.picture.src = probe.picture;
    entry.picture.hidden = !probe.picture;
    entry.title.textContent = probe.title;
    entry.warning.hidden = !probe.warn;
  }

  /** A new projection: old paths mean nothing there. */
  forgetTrails(projection) {
    for (const entry of this.all.values()) {
      const at = entry.probe.at[projection];
      entry.trail = at ? [at] : [];
    }
  }

  place(view, projection) {
    for (const entry of this.all.values()) {
      const { node, probe } = entry;
      const at = probe.at[projection];
      node.hidden = !at;
      if (!at) continue;
      const note = probe.approximate.includes(projection) ? `${probe.note} · approximate place` : probe.note;
      if (entry.note.textContent !== note) entry.note.textContent = note;
      const [x, y] = view.toPixel(...at);
      node.classList.toggle("leftward", x > view.width - view.insets.right - 215);
      node.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    }
  }
}

/** A short message at the foot of the map. */
export class Notice {
  constructor() {
    this.text = el("span", {});
    const close = el("button", { type: "button", class: "tool small", "aria-label": "Close", onclick: () => this.hide() }, icon("close"));
    this.node = el("div", { class: "notice glass", role: "status", "aria-live": "polite", hidden: true }, this.text, close);
  }

  say(text, kind = "", seconds = 6) {
    this.text.textContent = text;
    this.node.className = `notice glass ${kind}`;
    this.node.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.hide(), 1000 * seconds);
  }

  hide() {
    clearTimeout(this.timer);
    this.node.hidden = true;
  }
}
