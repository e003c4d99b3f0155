// The map under the attack: error ground and recorded samples, the path towards every target, and where each stands now.

import { classColours } from "./colouring.js";
import { rgb } from "./colour.js";
import { el } from "./element.js";
import { chartCanvas, colourTables, Painter } from "./layers.js";
import { drawAxes, drawLabels } from "./marks.js";
import { extentOf, View } from "./view.js";

export const css = (colour, alpha = 1) => `rgba(${colour.map(Math.round).join(",")},${alpha})`;
const REACH = 24; // pixels round the pointer in which a path is found
const FEW = 24; // with more classes only those that matter are named and marked
const LAYERS = {
  error: { on: true, opacity: 0.85 },
  density: { on: false, opacity: 1 },
  points: { on: true, opacity: 0.3 },
  mistakes: { on: false },
};

/** A small mark with a halo of the ground round it: "dot", "cross", "diamond" or "times". */
export function drawMark(context, kind, x, y, size, colour, theme, width = 2) {
  const path = new Path2D();
  if (kind === "dot") path.arc(x, y, size, 0, 2 * Math.PI);
  else if (kind === "diamond") {
    [[0, -1], [1, 0], [0, 1], [-1, 0]].forEach(([dx, dy], i) => path[i ? "lineTo" : "moveTo"](x + dx * size, y + dy * size));
    path.closePath();
  } else {
    const arms = kind === "cross" ? [[1, 0], [0, 1]] : [[0.75, 0.75], [0.75, -0.75]];
    for (const [dx, dy] of arms) {
      path.moveTo(x - dx * size, y - dy * size);
      path.lineTo(x + dx * size, y + dy * size);
    }
  }
  context.lineCap = "round";
  context.lineWidth = width + 3;
  context.strokeStyle = css(theme.background, 0.95);
  context.stroke(path);
  if (kind === "dot" || kind === "diamond") {
    context.fillStyle = css(colour);
    context.fill(path);
    context.lineWidth = width;
    context.strokeStyle = css(theme.text, 0.9);
  } else {
    context.lineWidth = width;
    context.strokeStyle = css(colour);
  }
  context.stroke(path);
}

export class PathMap {
  constructor(player) {
    this.player = player;
    this.attack = player.attack;
    this.view = new View();
    this.painter = new Painter();
    this.base = el("canvas", { class: "player-base", role: "img" });
    this.over = el("canvas", { class: "player-over", "aria-hidden": "true" });
    this.zoom = el("button", { type: "button", class: "player-zoom", "aria-pressed": "false", onclick: () => this.toggle() }, "Zoom to the paths");
    this.node = el("div", { class: "player-map" }, this.base, this.over, this.zoom);
    this.node.addEventListener("click", (event) => this.press(event));
    this.close = false;
    const { x, y } = this.attack.points;
    this.whole = x.length ? extentOf(x, y) : this.attack.extent();
  }

  takeTheme(theme) {
    const { manifest, chart } = this.attack;
    this.theme = theme;
    this.colours = classColours(manifest, theme);
    this.tables = colourTables({ colours: this.colours }, theme);
    this.chart = chart && {
      extent: manifest.chart.extent,
      canvas: chartCanvas(chart, manifest.chart.width, manifest.chart.height, theme.error),
    };
    this.colourOf = (target) => this.colours[this.attack.targets[target]] ?? rgb("#888888");
  }

  toggle() {
    this.close = !this.close;
    this.zoom.setAttribute("aria-pressed", String(this.close));
    this.zoom.textContent = this.close ? "Show the whole map" : "Zoom to the paths";
    this.frame();
    this.player.redraw(true);
  }

  /** The part of the plane that is seen: everything, widened where a path leads out of it, or the paths. */
  frame() {
    const paths = this.attack.extent(this.close ? 0.15 : 0.04);
    const [a, b] = [this.whole, paths];
    this.view.extent = this.close ? paths : [Math.min(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.max(a[3], b[3])];
    this.view.reset();
  }

  measure(ratio) {
    const { clientWidth: width, clientHeight: height } = this.node;
    if (!width || !height) return;
    this.ratio = ratio;
    this.view.insets = { left: 34, right: 10, top: 14, bottom: 22 };
    this.view.resize(width, height);
    this.frame();
    for (const canvas of [this.base, this.over]) {
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    }
  }

  press(event) {
    if (event.target === this.zoom) return;
    const box = this.node.getBoundingClientRect();
    const found = this.attack.nearest(event.clientX - box.left, event.clientY - box.top, (x, y) => this.view.toPixel(x, y), REACH);
    if (found >= 0) this.player.choose(found);
  }

  trace(context, target, from, to) {
    context.beginPath();
    for (let step = from; step <= to; step++) {
      const [x, y] = this.view.toPixel(...this.attack.place(target, step));
      if (step === from) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
  }

  /** What does not change from step to step: the ground, all paths, where they begin and end. */
  paintBase(chosen) {
    const { view, theme, attack, ratio } = this;
    if (!ratio || !theme) return;
    const context = this.base.getContext("2d", { alpha: false });
    const { points } = attack;
    const scene = { points, tables: this.tables, view, theme, layers: LAYERS, size: 0.9, chart: this.chart, faded: 1, wrong: [], expected: points.x.length };
    this.painter.paint(context, scene, view.width, view.height, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawAxes(context, { view, theme, axes: ["z₁", "z₂"] });
    const order = attack.targets.map((_, i) => i).sort((a, b) => (a === chosen) - (b === chosen));
    for (const target of order) {
      const own = target === chosen;
      this.trace(context, target, 0, attack.steps - 1);
      context.lineJoin = "round";
      if (own) {
        context.lineWidth = 5;
        context.strokeStyle = css(theme.background, 0.9);
        context.stroke();
      }
      context.lineWidth = own ? 2 : 1.3;
      context.strokeStyle = css(this.colourOf(target), own ? 0.9 : 0.55);
      context.setLineDash(own ? [2, 4] : []);
      context.stroke();
      context.setLineDash([]);
    }
    for (const target of order) this.paintEnd(context, target, target === chosen);
    const { manifest } = attack;
    const few = attack.classes.length <= FEW;
    const bright = (code) => few || code === manifest.source || code === attack.targets[chosen];
    drawLabels(context, { view, theme, centres: manifest.centres, names: attack.classes, colours: this.colours, bright });
    this.base.setAttribute("aria-label", this.summary(chosen));
  }

  /** Where a target was reached (a dot) or the path gave up (an ×), and where the alarm sounded (a diamond). */
  paintEnd(context, target, chosen) {
    const { attack, view, theme } = this;
    const { success, alarm } = attack.manifest;
    const reached = success[target] >= 0;
    const [x, y] = view.toPixel(...attack.place(target, reached ? success[target] : attack.steps - 1));
    if (attack.fate(target).own || (!chosen && attack.targets.length > FEW)) return;
    drawMark(context, reached ? "dot" : "times", x, y, chosen ? 5 : 3.5, this.colourOf(target), theme, chosen ? 2 : 1.2);
    if (!chosen || alarm[target] < 0) return;
    const [ax, ay] = view.toPixel(...attack.place(target, alarm[target]));
    drawMark(context, "diamond", ax, ay, 5.5, theme.background, theme, 1.8);
  }

  /** What moves: how far each path has come. */
  paintOver(chosen, step) {
    const { view, theme, attack, ratio } = this;
    if (!ratio || !theme) return;
    const context = this.over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    context.lineJoin = "round";
    this.trace(context, chosen, 0, step);
    context.lineWidth = 4.6;
    context.strokeStyle = css(theme.background, 0.9);
    context.stroke();
    context.lineWidth = 2.4;
    context.strokeStyle = css(this.colourOf(chosen));
    context.stroke();
    const start = view.toPixel(...attack.place(chosen, 0));
    drawMark(context, "cross", ...start, 9, theme.text, theme, 2.4);
    for (let target = 0; target < attack.targets.length; target++) {
      if (target === chosen) continue;
      const [x, y] = view.toPixel(...attack.place(target, step));
      context.beginPath();
      context.arc(x, y, 3.4, 0, 2 * Math.PI);
      context.fillStyle = css(this.colourOf(target));
      context.fill();
      context.lineWidth = 1.2;
      context.strokeStyle = css(theme.background);
      context.stroke();
    }
    drawMark(context, "dot", ...view.toPixel(...attack.place(chosen, step)), 7, this.colourOf(chosen), theme, 2.2);
  }

  summary(chosen) {
    const { attack } = this;
    const name = attack.classes[attack.targets[chosen]];
    return `Paths of one sample on the activation map, one per target class. Towards ${name}: ${attack.fate(chosen).text}.`;
  }
}
