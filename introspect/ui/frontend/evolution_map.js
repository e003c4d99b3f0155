// The map on which samples move: what lies still beneath, the dots and their paths above.

import { mix, pack } from "./colour.js";
import { fades } from "./evolution_data.js";
import { Painter, dotRadius } from "./layers.js";
import { drawAxes, drawLabels } from "./marks.js";
import { MARGIN, Raster, makeStamp } from "./raster.js";
import { extentOf } from "./view.js";

export const PATHS = 400; // most paths drawn at once
const FAR = 1.7;
const STILL = { error: { on: false }, density: { on: false }, points: { on: true, opacity: 1 }, mistakes: { on: false } };
const NOTHING = { ...STILL, points: { on: false } };
export const css = (colour, alpha = 1) => `rgba(${colour.map(Math.round).join(",")},${alpha})`;

const around = (a, b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.max(a[3], b[3])];

/**
 * The part of the plane to look at, for every snapshot: its samples, a few far strangers left out, and where all samples
 * lie in the finished network. One and the same for all, unless that would make the end too small: an untrained network
 * may start far off the map.
 */
export function frames(run, points) {
  const { n, xs, ys, steps } = run;
  const end = extentOf(points.x, points.y, 0.002, 0.04);
  const each = steps.map((_, s) => around(end, extentOf(xs.subarray(s * n, s * n + n), ys.subarray(s * n, s * n + n), 0.004, 0.04)));
  const whole = each.reduce(around);
  const size = ([x0, x1, y0, y1]) => Math.max(x1 - x0, y1 - y0);
  return size(whole) > FAR * size(end) ? each : each.map(() => whole);
}

export class Ground {
  /** @param run a Run; points {x, y, codes}: all samples in the finished network */
  constructor(run, points, axes) {
    Object.assign(this, { run, axes });
    this.points = { ...points, show: new Uint8Array(points.x.length).fill(1) };
    this.painter = new Painter();
    this.raster = new Raster();
    this.dots = document.createElement("canvas");
    this.trails = document.createElement("canvas");
    this.pixels = new Uint32Array(run.n);
    this.ghosts = new Uint32Array(run.n);
    const { table } = run;
    this.centres = table.centres(table.manifest.views[0].name, run.labelled ? "label" : "predicted").filter(({ code }) => code < run.none);
  }

  takeTheme(theme, colours) {
    this.theme = theme;
    this.colours = [...colours, theme.muted]; // the last one is "no label"
    this.grey = mix(theme.text, theme.background, theme.dark ? 0.58 : 0.68);
    this.fades = fades(this.colours, this.grey);
    this.ghosts.fill(pack(...theme.ghost.map(Math.round), 90));
    this.under = { full: new Uint32Array(0), ghost: new Uint32Array(this.colours.length).fill(pack(...theme.ghost.map(Math.round), 60)) };
    this.known = null;
  }

  /** What lies still: all samples of the finished network as faint dots, lines, axes. */
  paintBase(context, { view, ratio, ghosts }) {
    const { theme, points } = this;
    const layers = ghosts ? STILL : NOTHING;
    const scene = { points, tables: this.under, view, theme, layers, size: 0.8, chart: null, faded: 1, wrong: [], expected: points.x.length };
    this.painter.paint(context, scene, view.width, view.height, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawAxes(context, { view, theme, axes: this.axes });
  }

  /** What moves. */
  paintOver(context, scene) {
    const { view, ratio, at, paths, pinned, hovered, names } = scene;
    const { run, theme } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (paths) this.paintPaths(context, scene);
    this.paintDots(context, scene);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (names) drawLabels(context, { view, theme, centres: this.centres, names: run.table.classes, colours: this.colours, bright: scene.bright });
    if (pinned >= 0) this.paintWay(context, view, pinned, at);
    for (const j of [pinned, hovered]) if (j >= 0) this.paintRing(context, view, j, j === pinned);
  }

  paintDots(context, { view, ratio }) {
    const { run, raster, pixels } = this;
    const [wide, high] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    for (let j = 0; j < run.n; j++) pixels[j] = this.fades[256 * run.codes[j] + run.levels[j]];
    raster.resize(wide, high);
    raster.clear();
    const radius = dotRadius(run.n, view.width, view.height, view.zoom, 0.85) * ratio;
    const window = { x: view.x, y: view.y, scale: view.scale * ratio };
    const points = { x: run.x, y: run.y, codes: run.index, show: run.show };
    if (this.radius !== radius) Object.assign(this, { radius, full: makeStamp(radius), small: makeStamp(Math.max(1, radius * 0.7)) });
    raster.stamp(points, 1, this.ghosts, window, this.small);
    raster.stamp(points, 2, pixels, window, this.full);
    if (this.dots.width !== raster.stride || this.dots.height !== high + 2 * MARGIN) {
      Object.assign(this.dots, { width: raster.stride, height: high + 2 * MARGIN });
    }
    this.dots.getContext("2d").putImageData(new ImageData(raster.bytes, raster.stride), 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.dots, -MARGIN, -MARGIN);
  }

  /** Paths of the shown samples: those between past snapshots are kept until another one is reached. */
  paintPaths(context, { view, ratio, at, by, shown }) {
    const { run, trails } = this;
    const [before] = run.split(at);
    const [wide, high] = [context.canvas.width, context.canvas.height];
    const known = JSON.stringify([before, view.x, view.y, view.scale, wide, high, by, shown]);
    if (known !== this.known) {
      this.known = known;
      Object.assign(trails, { width: wide, height: high });
      this.members = this.byColour(run.shown(PATHS), before, by);
      const pen = trails.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      for (let s = 0; s < before; s++) this.paintStretch(pen, view, s, 1);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(trails, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintStretch(context, view, before, at - before);
  }

  byColour(chosen, before, by) {
    const { run } = this;
    const members = new Map();
    for (const j of chosen) {
      const code = by === "label" ? run.label[j] : run.predicted[before * run.n + j];
      if (!members.has(code)) members.set(code, []);
      members.get(code).push(j);
    }
    return members;
  }

  /** The way from snapshot s to the next, or a share of it, fading from grey to colour as training goes on. */
  paintStretch(context, view, s, share) {
    const { run } = this;
    if (share <= 0) return;
    const [a, b] = [s * run.n, Math.min(run.last, s + 1) * run.n];
    const { xs, ys } = run;
    context.lineWidth = 1;
    for (const [code, members] of this.members) {
      context.beginPath();
      for (const j of members) {
        const [x, y] = [xs[a + j], ys[a + j]];
        context.moveTo(...view.toPixel(x, y));
        context.lineTo(...view.toPixel(x + share * (xs[b + j] - x), y + share * (ys[b + j] - y)));
      }
      const passed = (s + 1) / Math.max(1, run.last);
      context.strokeStyle = css(mix(this.grey, this.colours[code], passed), 0.12 + 0.3 * passed);
      context.stroke();
    }
  }

  /** The whole way of one sample: what is behind it in strong lines, what lies ahead dotted. */
  paintWay(context, view, j, at) {
    const { run, theme } = this;
    const point = (s) => view.toPixel(run.xs[s * run.n + j], run.ys[s * run.n + j]);
    const here = view.toPixel(run.x[j], run.y[j]);
    const [before] = run.split(at);
    const trace = (from, to, first, final) => {
      context.beginPath();
      if (first) context.moveTo(...first);
      for (let s = from; s <= to; s++) context[s === from && !first ? "moveTo" : "lineTo"](...point(s));
      if (final) context.lineTo(...final);
    };
    context.lineJoin = "round";
    trace(before + 1, run.last, here, null);
    context.setLineDash([2, 4]);
    context.lineWidth = 1.5;
    context.strokeStyle = css(theme.text, 0.6);
    context.stroke();
    context.setLineDash([]);
    trace(0, before, null, here);
    context.lineWidth = 4.5;
    context.strokeStyle = css(theme.background, 0.9);
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = css(theme.text, 0.85);
    context.stroke();
    for (let s = 0; s <= run.last; s++) {
      context.beginPath();
      context.arc(...point(s), 3, 0, 2 * Math.PI);
      context.fillStyle = css(this.colours[run.predicted[s * run.n + j]], s <= at ? 1 : 0.45);
      context.fill();
      context.lineWidth = 1;
      context.strokeStyle = css(theme.background);
      context.stroke();
    }
  }

  paintRing(context, view, j, strong) {
    const { run, theme } = this;
    context.beginPath();
    context.arc(...view.toPixel(run.x[j], run.y[j]), strong ? 9 : 7, 0, 2 * Math.PI);
    context.lineWidth = 5;
    context.strokeStyle = css(theme.background, 0.95);
    context.stroke();
    context.lineWidth = strong ? 3 : 2;
    context.strokeStyle = css(strong ? theme.primary : theme.text);
    context.stroke();
  }
}
