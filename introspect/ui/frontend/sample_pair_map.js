// A small activation map with a cross for each sample; a press on a dot puts that sample beside the first.

import { drawMark, css } from "./attack_player_map.js";
import { byCategory } from "./colouring.js";
import { el, tool } from "./element.js";
import { Grid } from "./grid.js";
import { Painter, chartCanvas, colourTables } from "./layers.js";
import { drawAxes, drawLabels } from "./marks.js";
import { View, extentOf } from "./view.js";

const LAYERS = { points: { on: true, opacity: 0.55 }, error: { on: true, opacity: 0.85 }, density: { on: false, opacity: 1 }, mistakes: { on: false } };
const REACH = 9; // pixels round the pointer in which a dot is found
const FEW = 24; // with more classes only those of the samples are named
const STILL = 4; // pixels that a press may move and not be a drag

/** [x0, x1, y0, y1] widened, where a place lies outside of it. */
export function reaching([x0, x1, y0, y1], places, margin = 0.06) {
  const [padX, padY] = [margin * (x1 - x0), margin * (y1 - y0)];
  const out = [x0, x1, y0, y1];
  for (const [x, y] of places) {
    out[0] = Math.min(out[0], x - padX);
    out[1] = Math.max(out[1], x + padX);
    out[2] = Math.min(out[2], y - padY);
    out[3] = Math.max(out[3], y + padY);
  }
  return out;
}

export class PairMap {
  /** @param pick(row) is told which stored sample was pressed */
  constructor(table, pick) {
    Object.assign(this, { table, pick, places: [] });
    this.view = new View();
    this.view.insets = { left: 30, right: 12, top: 14, bottom: 24 };
    this.painter = new Painter();
    const { x, y } = table.views.get(table.manifest.views[0].name);
    this.by = table.labelled ? "label" : "predicted";
    this.points = { x, y, codes: table[this.by], show: new Uint8Array(table.n).fill(2) };
    this.whole = extentOf(x, y);
    this.grid = new Grid(x, y);
    this.canvas = el("canvas", { role: "img" });
    const tools = el(
      "div",
      { class: "pair-tools glass" },
      tool("plus", "Zoom in", () => this.zoom(1.5)),
      tool("minus", "Zoom out", () => this.zoom(1 / 1.5)),
      tool("full", "Zoom to the crosses", () => this.fit()),
      tool("home", "Show the whole map", () => this.home()),
    );
    this.stage = el("div", { class: "pair-stage", tabindex: 0, role: "group" }, this.canvas, tools);
    this.note = el("div", { class: "bb-quiet" });
    this.node = el("section", { class: "pair-map" }, el("h3", {}, "On the map"), this.stage, this.note);
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.stage);
    this.watch();
  }

  watch() {
    const { stage } = this;
    let from = null;
    let last = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      from = last = [event.clientX, event.clientY];
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!last) return;
      if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) <= STILL && last === from) return;
      this.view.pan(event.clientX - last[0], event.clientY - last[1]);
      last = [event.clientX, event.clientY];
      this.redraw();
    });
    stage.addEventListener("pointerup", (event) => {
      if (from && last === from) this.press(event);
      from = last = null;
    });
    stage.addEventListener("pointercancel", () => {
      from = last = null;
    });
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.target !== this.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) {
      this.view.pan(...moves[event.key]);
      this.redraw();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.home();
    else return;
    event.preventDefault();
  }

  press(event) {
    const box = this.stage.getBoundingClientRect();
    const [x, y] = this.view.toPlane(event.clientX - box.left, event.clientY - box.top);
    const slot = this.grid.nearest(x, y, REACH / this.view.scale);
    if (slot >= 0) this.pick(this.table.rows[slot]);
  }

  zoom(factor) {
    this.view.zoomAt(this.view.width / 2, this.view.height / 2, factor);
    this.redraw();
  }

  home() {
    this.view.reset();
    this.redraw();
  }

  /** Brings the crosses into sight, from near by. */
  fit() {
    const [xs, ys] = [0, 1].map((axis) => this.places.map((place) => place[axis]));
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const most = Math.max(x1 - x0, y1 - y0, 0.25);
    const goal = this.view.home([(x0 + x1 - most) / 2, (x0 + x1 + most) / 2, (y0 + y1 - most) / 2, (y0 + y1 + most) / 2]);
    this.view.set(goal.x, goal.y, (0.7 * goal.scale) / this.view.home().scale);
    this.redraw();
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    this.view.resize(width, height);
    const [wide, high] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
    this.paint();
  }

  takeTheme(theme) {
    this.theme = theme;
    this.colouring = byCategory(this.table, this.by, theme);
    this.tables = colourTables(this.colouring, theme);
    const { chart } = this.table.manifest;
    this.chart = this.table.chart ? { extent: chart.extent, canvas: chartCanvas(this.table.chart, chart.width, chart.height, theme.error) } : null;
    this.redraw();
  }

  /** @param places [[x, y], …] of A and perhaps B; told: their classes, which are named among many */
  show(places, told) {
    this.told = new Set(told);
    const [was, now] = [this.places, places].map((list) => JSON.stringify(list));
    if (was === now) return;
    this.places = places;
    this.view.extent = reaching(this.whole, places);
    this.view.reset();
    this.note.textContent = "The tint of the ground is the error to expect there, ê(z). Press a dot to make it sample B.";
    const names = places.length > 1 ? "crosses at samples A and B" : "a cross at the sample";
    this.canvas.setAttribute("aria-label", `Activation map with ${names}`);
    this.stage.setAttribute("aria-label", "Activation map: arrow keys move it, plus and minus zoom, 0 shows everything; a press on a dot makes that sample B");
    this.redraw();
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const { view, theme, points, table, ratio, colouring } = this;
    if (!theme || !ratio) return;
    const context = this.canvas.getContext("2d", { alpha: false });
    const scene = { points, tables: this.tables, view, theme, layers: LAYERS, size: 0.9, chart: this.chart, faded: 1, wrong: [], expected: table.n };
    this.painter.paint(context, scene, view.width, view.height, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawAxes(context, { view, theme, axes: table.manifest.views[0].axes });
    const centres = table.centres(table.manifest.views[0].name, this.by).filter(({ code }) => code < table.classes.length);
    const bright = (code) => table.classes.length <= FEW || this.told.has(code);
    drawLabels(context, { view, theme, centres, names: colouring.names, colours: colouring.colours, bright });
    this.places.forEach((place, i) => {
      const [x, y] = view.toPixel(...place);
      drawMark(context, "cross", x, y, 11, theme.text, theme, 3);
      if (this.places.length < 2) return;
      context.font = `700 15px ${theme.font}`;
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.lineWidth = 4;
      context.lineJoin = "round";
      context.strokeStyle = css(theme.background, 0.95);
      context.strokeText("AB"[i], x + 13, y - 12);
      context.fillStyle = css(theme.text);
      context.fillText("AB"[i], x + 13, y - 12);
    });
    this.painted = (this.painted ?? 0) + 1;
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
  }
}
