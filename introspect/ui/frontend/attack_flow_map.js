// The map under the flow: error ground and recorded samples, how many walks pass, where they go, gateways, single walks.

import { css, drawMark } from "./attack_player_map.js";
import { classColours } from "./colouring.js";
import { along, mix, pack, rgb } from "./colour.js";
import { el, tool } from "./element.js";
import { chartCanvas, colourTables, Painter } from "./layers.js";
import { drawAxes, drawLabels } from "./marks.js";
import { extentOf, View } from "./view.js";

const CELL = 4; // pixels
const ARROW = 30;
const LINES = 400; // most walks drawn as lines
const FEW = 24; // with more classes only those that are chosen stand out
const REACH = 12;
export const EMBER_STOPS = {
  light: ["#ffd9a8", "#ff9d3d", "#d9480f", "#7a1507"],
  dark: ["#5a2a08", "#c2570c", "#ffab4a", "#fff1c9"],
};

/** 256 packed pixels from "one walk" to "most walks", the first ones see-through. */
export function emberPixels(dark) {
  const stops = EMBER_STOPS[dark ? "dark" : "light"].map(rgb);
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const share = i / 255;
    return pack(...along(stops, share).map(Math.round), i ? Math.round(255 * (0.16 + 0.78 * share)) : 0);
  });
}

/** Counts as levels 0 to 255 on a logarithmic scale: 0 is none, 255 the most. */
export function levels(count, most) {
  const per = 254 / Math.max(Math.log(most), 1e-9);
  return Uint8Array.from(count, (value) => (value ? (most <= 1 ? 255 : 1 + Math.round(Math.log(value) * per)) : 0));
}

export class FlowMap {
  /** @param view {walks, shown, picked, redraw(), tell(text)} */
  constructor(view) {
    this.owner = view;
    this.walks = view.walks;
    this.view = new View();
    this.painter = new Painter();
    this.base = el("canvas", { role: "img" });
    this.over = el("canvas", { "aria-hidden": "true" });
    this.cloud = document.createElement("canvas");
    const tools = el(
      "div",
      { class: "cloud-tools glass" },
      tool("plus", "Zoom in", () => this.zoom(1.5)),
      tool("minus", "Zoom out", () => this.zoom(1 / 1.5)),
      tool("full", "Fit the walks", () => this.fit()),
      tool("home", "Show the whole map", () => this.home()),
    );
    this.node = el("div", { class: "cloud-stage flow-stage", tabindex: 0, role: "group", "aria-label": "Arrow keys move the map, plus and minus zoom, 0 shows everything, Escape shows all walks" }, this.base, this.over, tools);
    const { x, y } = this.walks.points;
    this.view.extent = x.length ? extentOf(x, y) : this.walks.manifest.extent;
    this.stale = true;
    this.watch();
  }

  watch() {
    const { node } = this;
    this.sizes = new ResizeObserver(() => {
      this.measure();
      this.touch();
    });
    this.sizes.observe(node);
    const place = (event) => {
      const box = node.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    node.addEventListener("wheel", (event) => {
      // The page scrolls past the map; who has pressed it, or holds Ctrl, means the map.
      if (!event.ctrlKey && !event.metaKey && !node.matches(":focus")) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), ...place(event));
    }, { passive: false });
    const fingers = new Map();
    node.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      fingers.set(event.pointerId, place(event));
      node.setPointerCapture(event.pointerId);
      node.classList.add("dragging");
      node.focus({ preventScroll: true });
    });
    node.addEventListener("pointermove", (event) => {
      const at = place(event);
      const before = fingers.get(event.pointerId);
      if (!before) return this.point(at);
      fingers.set(event.pointerId, at);
      if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const spread = (from) => Math.max(10, Math.hypot(from[0] - other[0], from[1] - other[1]));
        return this.zoom(spread(at) / spread(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
      }
      this.view.pan(at[0] - before[0], at[1] - before[1]);
      this.touch();
    });
    const drop = (event) => {
      fingers.delete(event.pointerId);
      node.classList.remove("dragging");
    };
    node.addEventListener("pointerup", drop);
    node.addEventListener("pointercancel", drop);
    node.addEventListener("pointerleave", () => !fingers.size && this.owner.tell(""));
    node.addEventListener("dblclick", (event) => !event.target.closest("button") && this.zoom(2, ...place(event)));
    node.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) {
      this.view.pan(...moves[event.key]);
      this.touch();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.home();
    else if (event.key === "Escape") this.owner.choose(null, null);
    else return;
    event.preventDefault();
  }

  touch() {
    this.stale = true;
    this.owner.redraw();
  }

  zoom(factor, px = this.view.width / 2, py = this.view.height / 2) {
    this.view.zoomAt(px, py, factor);
    this.touch();
  }

  home() {
    this.view.reset();
    this.touch();
  }

  show([x0, x1, y0, y1]) {
    const { x, y, scale } = this.view.home([x0, x1, y0, y1]);
    this.view.set(x, y, scale / this.view.home().scale);
    this.touch();
  }

  /** Brings all chosen walks into sight. */
  fit() {
    const { z, frames } = this.walks;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const walk of this.owner.picked) {
      for (let at = 2 * walk * frames; at < 2 * (walk + 1) * frames; at += 2) {
        x0 = Math.min(x0, z[at]);
        x1 = Math.max(x1, z[at]);
        y0 = Math.min(y0, z[at + 1]);
        y1 = Math.max(y1, z[at + 1]);
      }
    }
    const pad = 0.04 * Math.max(x1 - x0, y1 - y0, 0.05);
    if (x1 >= x0) this.show([x0 - pad, x1 + pad, y0 - pad, y1 + pad]);
  }

  /** Brings a gateway into sight. */
  visit({ x, y, radius }) {
    const around = 7 * radius;
    this.show([x - around, x + around, y - around, y + around]);
  }

  /** Who passes under the pointer, in words. */
  point([px, py]) {
    this.pointer = [px, py];
    if (this.asking) return;
    this.asking = requestAnimationFrame(() => {
      this.asking = 0;
      const { classes } = this.walks;
      const { walks, pairs } = this.walks.near(this.owner.picked, ...this.view.toPlane(...this.pointer), REACH / this.view.scale);
      const most = pairs.map(([source, target, number]) => `${classes[source]} to ${classes[target]} (${number})`).join(", ");
      this.owner.tell(walks ? `${walks} ${walks === 1 ? "walk passes" : "walks pass"} here, most often ${most}` : "");
    });
  }

  takeTheme(theme) {
    const { ground } = this.walks.manifest;
    this.theme = theme;
    this.colours = classColours(this.walks.manifest, theme);
    this.tables = colourTables({ colours: this.colours }, theme);
    this.ember = emberPixels(theme.dark);
    this.chart = this.walks.chart && { extent: ground.chart.extent, canvas: chartCanvas(this.walks.chart, ground.chart.width, ground.chart.height, theme.error) };
    this.stale = true;
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.node;
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    this.view.insets = { left: 34, right: 10, top: 14, bottom: 22 };
    this.view.resize(width, height);
    for (const canvas of [this.base, this.over]) {
      const [wide, high] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
  }

  paint() {
    if (!this.ratio || !this.theme) return;
    if (this.stale) this.paintBase();
    this.stale = false;
    this.paintOver();
  }

  paintBase() {
    const { view, theme, ratio } = this;
    const { shown } = this.owner;
    const layers = {
      error: { on: shown.error, opacity: 0.85 },
      density: { on: false, opacity: 1 },
      points: { on: shown.samples, opacity: 0.28 },
      mistakes: { on: false },
    };
    const context = this.base.getContext("2d", { alpha: false });
    const { points } = this.walks;
    const scene = { points, tables: this.tables, view, theme, layers, size: 0.9, chart: this.chart, faded: 1, wrong: [], expected: points.x.length };
    this.painter.paint(context, scene, view.width, view.height, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawAxes(context, { view, theme, axes: ["z₁", "z₂"] });
  }

  paintOver() {
    const { view, theme, ratio, walks } = this;
    const { picked, shown, source, column } = this.owner;
    const context = this.over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    this.most = 0;
    if (shown.density) this.paintDensity(context, picked);
    if (shown.lines && source !== null && column !== null) this.paintLines(context, picked);
    if (shown.arrows) this.paintArrows(context, picked);
    if (shown.labels) {
      const { centres } = walks.manifest.ground;
      const all = walks.classes.length <= FEW || (source === null && column === null);
      const bright = (code) => all || code === source || code === walks.targets[column];
      drawLabels(context, { view, theme, centres, names: walks.classes, colours: this.colours, bright });
    }
    if (shown.gateways) this.paintGateways(context);
    this.base.setAttribute("aria-label", `Activation map with ${picked.length} walks of attacked samples; at most ${this.most} pass one place.`);
  }

  paintDensity(context, picked) {
    const found = this.walks.passages(picked, this.view, CELL, this.owner.shown.cut);
    this.most = found.most;
    if (!found.most) return;
    const { columns, rows } = found;
    if (this.cloud.width !== columns || this.cloud.height !== rows) Object.assign(this.cloud, { width: columns, height: rows });
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    levels(found.count, found.most).forEach((level, i) => {
      pixels[i] = this.ember[level];
    });
    this.cloud.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.cloud, found.left, found.top, columns * CELL, rows * CELL);
  }

  /** Where the walks go: one arrow a cell, as long as they agree. */
  paintArrows(context, picked) {
    const { theme } = this;
    const { left, top, columns, rows, count, dx, dy, way, most } = this.walks.passages(picked, this.view, ARROW, this.owner.shown.cut);
    const least = Math.max(picked.length > 20 ? 2 : 1, 0.02 * most);
    for (const [width, colour] of [[4.4, css(theme.background, 0.75)], [1.7, css(theme.text, 0.92)]]) {
      context.beginPath();
      for (let place = 0; place < columns * rows; place++) {
        if (count[place] < least) continue;
        const length = Math.hypot(dx[place], dy[place]);
        // The way made in one direction among all that is made here: 1 where all walks agree.
        const agree = length / Math.max(1e-9, way[place]);
        if (!(agree >= 0.15)) continue;
        const reach = ARROW * (0.22 + 0.24 * agree);
        const [ux, uy] = [dx[place] / length, -dy[place] / length];
        const x = left + ((place % columns) + 0.5) * ARROW;
        const y = top + (Math.floor(place / columns) + 0.5) * ARROW;
        const [tx, ty] = [x + ux * reach, y + uy * reach];
        context.moveTo(x - ux * reach, y - uy * reach);
        context.lineTo(tx, ty);
        for (const side of [-1, 1]) {
          context.moveTo(tx, ty);
          context.lineTo(tx - 5.5 * (0.87 * ux - 0.5 * side * uy), ty - 5.5 * (0.87 * uy + 0.5 * side * ux));
        }
      }
      context.lineWidth = width;
      context.lineCap = "round";
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  /** The walks of one pair, each as a line, a dot where it arrives. */
  paintLines(context, picked) {
    const { walks, view, theme } = this;
    const colour = this.colours[walks.targets[this.owner.column]];
    const drawn = picked.subarray(0, LINES);
    context.beginPath();
    for (const walk of drawn) {
      const last = this.owner.shown.cut && walks.success[walk] >= 0 ? walks.arrival(walk) : walks.frames - 1;
      for (let frame = 0; frame <= last; frame++) {
        const [x, y] = view.toPixel(...walks.place(walk, frame));
        if (frame) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
    }
    context.lineJoin = "round";
    context.lineWidth = 1;
    context.strokeStyle = css(mix(colour, theme.text, 0.25), 0.55);
    context.stroke();
    for (const walk of drawn) {
      const frame = walks.arrival(walk);
      if (frame >= 0) drawMark(context, "dot", ...view.toPixel(...walks.place(walk, frame)), 3, colour, theme, 1);
    }
    for (const walk of drawn) {
      const [x, y] = view.toPixel(...walks.place(walk, 0));
      context.fillStyle = css(theme.text, 0.8);
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  }

  paintGateways(context) {
    const { view, theme } = this;
    this.walks.manifest.gateways.forEach(({ x, y, radius }, i) => {
      const [px, py] = view.toPixel(x, y);
      const reach = Math.max(7, radius * view.scale);
      for (const [width, colour] of [[5, css(theme.background, 0.85)], [2, css(theme.text, 0.9)]]) {
        context.beginPath();
        context.arc(px, py, reach, 0, 2 * Math.PI);
        context.lineWidth = width;
        context.strokeStyle = colour;
        context.stroke();
      }
      const [tx, ty] = [px + 0.71 * reach + 6, py - 0.71 * reach - 6];
      context.beginPath();
      context.arc(tx, ty, 8.5, 0, 2 * Math.PI);
      context.fillStyle = css(theme.text);
      context.fill();
      context.font = `700 11px ${theme.font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillStyle = css(theme.background);
      context.fillText(String(i + 1), tx, ty + 0.5);
    });
  }

  dispose() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.asking);
  }
}
