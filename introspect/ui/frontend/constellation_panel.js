// One model's map with the copies of the sample on it.

import { count, digits, hex, readTheme } from "./colour.js";
import { byCategory } from "./colouring.js";
import { el, tool } from "./element.js";
import { Painter, chartCanvas, colourTables } from "./layers.js";
import { drawAxes, drawLabels } from "./marks.js";
import { View, extentOf } from "./view.js";

const KEYS = 12; // classes named below the map; the others are one entry
const css = (colour, alpha = 1) => `rgba(${colour.map(Math.round).join(",")},${alpha})`;

/** How many copies at a level have each class: [code] -> count. */
export function countClasses(codes, level, copies, classes) {
  const counts = new Array(classes).fill(0);
  for (let i = level * copies; i < (level + 1) * copies; i++) counts[codes[i]]++;
  return counts;
}

/** The classes worth naming: those that copies are taken for at any level, most often first. */
export function namedClasses(codes, classes, source, most = KEYS) {
  const counts = new Array(classes).fill(0);
  for (const code of codes) counts[code]++;
  counts[source] += codes.length; // always named
  const found = counts.map((number, code) => ({ number, code })).filter(({ number }) => number);
  found.sort((a, b) => b.number - a.number);
  return { named: found.slice(0, most).map(({ code }) => code).sort((a, b) => a - b), rest: found.slice(most).map(({ code }) => code) };
}

export class Panel {
  /** @param about {name, z, codes, clean, source, kept, shift}; table: the map's points; cloud: whose part this is */
  constructor(about, table, cloud) {
    Object.assign(this, { about, table, cloud, pointed: -1, stale: true });
    this.copies = about.copies;
    this.view = new View();
    const { x, y } = table.views.get(table.manifest.views[0].name);
    this.points = { x, y, codes: table.predicted, show: new Uint8Array(table.n).fill(2) };
    this.view.extent = extentOf(x, y);
    this.painter = new Painter();
    this.canvas = el("canvas", { role: "img", "aria-label": `Activation map of ${about.name} with the copies` });
    this.overlay = el("canvas", { "aria-hidden": "true" });
    this.base = this.canvas.getContext("2d", { alpha: false });
    this.above = this.overlay.getContext("2d");
    this.kept = el("strong", {});
    this.shift = el("strong", {});
    const tools = el(
      "div",
      { class: "cloud-tools glass" },
      tool("plus", "Zoom in", () => this.zoom(1.5)),
      tool("minus", "Zoom out", () => this.zoom(1 / 1.5)),
      tool("full", "Fit the copies", () => this.fit()),
      tool("home", "Show the whole map", () => this.home()),
    );
    this.stage = el("div", { class: "cloud-stage", tabindex: 0, role: "group", "aria-label": `${about.name}: arrow keys move the map, plus and minus zoom, 0 shows everything` }, this.canvas, this.overlay, tools);
    this.key = el("div", { class: "cloud-key", role: "group", "aria-label": "Classes that the copies are taken for" });
    this.node = el(
      "section",
      { class: "cloud-panel" },
      el(
        "div",
        { class: "cloud-head" },
        el("b", {}, about.name),
        el("span", { class: "cloud-facts" }, el("span", {}, this.copies > 1 ? "keep the class " : "keeps the class ", this.kept), el("span", {}, this.copies > 1 ? "mean shift " : "shift ", this.shift)),
      ),
      this.stage,
      this.key,
    );
    this.watch();
  }

  watch() {
    const { stage } = this;
    this.sizes = new ResizeObserver(() => {
      this.measure();
      this.touch();
    });
    this.sizes.observe(stage);
    stage.addEventListener("wheel", (event) => {
      // The page scrolls past the map; who has pressed it, or holds Ctrl, means the map.
      if (!event.ctrlKey && !event.metaKey && !stage.matches(":focus")) return;
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    let last = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      last = [event.clientX, event.clientY];
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("dragging");
    });
    stage.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.view.pan(event.clientX - last[0], event.clientY - last[1]);
      last = [event.clientX, event.clientY];
      this.touch();
    });
    const drop = () => {
      last = null;
      stage.classList.remove("dragging");
    };
    stage.addEventListener("pointerup", drop);
    stage.addEventListener("pointercancel", drop);
    stage.addEventListener("dblclick", (event) => !event.target.closest("button") && this.home());
    stage.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.target !== this.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) {
      this.view.pan(...moves[event.key]);
      this.touch();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.home();
    else return;
    event.preventDefault();
  }

  touch() {
    this.stale = true;
    this.cloud.redraw();
  }

  zoom(factor, px = this.view.width / 2, py = this.view.height / 2) {
    this.view.zoomAt(px, py, factor);
    this.touch();
  }

  home() {
    this.view.reset();
    this.touch();
  }

  /** Brings the clean place and the copies of the present level into sight. */
  fit() {
    const { clean, z } = this.about;
    const from = 2 * this.cloud.level * this.copies;
    const xs = [clean[0]];
    const ys = [clean[1]];
    for (let i = 0; i < this.copies; i++) {
      xs.push(z[from + 2 * i]);
      ys.push(z[from + 2 * i + 1]);
    }
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const most = Math.max(x1 - x0, y1 - y0, 0.2);
    const goal = this.view.home([(x0 + x1 - most) / 2, (x0 + x1 + most) / 2, (y0 + y1 - most) / 2, (y0 + y1 + most) / 2]);
    this.view.set(goal.x, goal.y, (0.8 * goal.scale) / this.view.home().scale);
    this.touch();
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    this.view.insets = { left: 34, right: 12, top: 12, bottom: 26 };
    this.view.resize(width, height);
    for (const canvas of [this.canvas, this.overlay]) {
      const [wide, high] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
  }

  takeTheme() {
    this.theme = readTheme(this.stage);
    this.colouring = byCategory(this.table, "predicted", this.theme);
    this.tables = colourTables(this.colouring, this.theme);
    const { chart } = this.table.manifest;
    this.chart = this.table.chart ? { extent: chart.extent, canvas: chartCanvas(this.table.chart, chart.width, chart.height, this.theme.error) } : null;
    this.buildKey();
    this.stale = true;
  }

  buildKey() {
    const { codes, source } = this.about;
    const { names, colours } = this.colouring;
    const { named, rest } = namedClasses(codes, names.length, source);
    const entry = (title, colour, members) => {
      const number = el("span", { class: "number" });
      const point = (on) => () => {
        this.pointed = on && members.length === 1 ? members[0] : -1;
        this.cloud.redraw();
      };
      const node = el(
        "button",
        { type: "button", class: `cloud-class${members[0] === source ? " source" : ""}`, title: `${title}: point here to see these copies alone`, onpointerenter: point(true), onpointerleave: point(false), onfocus: point(true), onblur: point(false) },
        el("i", { class: "swatch", style: { background: colour } }),
        el("span", { class: "name" }, title),
        number,
      );
      return { node, number, members };
    };
    this.entries = named.map((code) => entry(names[code], hex(colours[code]), [code]));
    if (rest.length) this.entries.push(entry(`${rest.length} other classes`, "transparent", rest));
    this.key.replaceChildren(...this.entries.map(({ node }) => node));
  }

  paintBase() {
    const { points, tables, view, theme, chart } = this;
    const { samples, error } = this.cloud.shown;
    const layers = {
      error: { on: error, opacity: 0.85 },
      density: { on: false, opacity: 1 },
      points: { on: samples, opacity: theme.dark ? 0.28 : 0.24 },
      mistakes: { on: false },
    };
    const scene = { points, tables, view, theme, layers, size: 0.9, chart, faded: 1, wrong: [], expected: this.table.n };
    this.painter.paint(this.base, scene, view.width, view.height, this.ratio);
    this.stale = false;
  }

  paint(level) {
    if (!this.theme || !this.ratio) return;
    if (this.stale) this.paintBase();
    const { view, theme, above: context, about, copies } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    drawAxes(context, { view, theme, axes: this.table.manifest.views[0].axes });
    if (this.cloud.shown.labels) {
      const centres = this.table.centres(this.table.manifest.views[0].name, "predicted");
      drawLabels(context, { view, theme, centres, names: this.colouring.names, colours: this.colouring.colours, bright: () => true });
    }
    const [cx, cy] = view.toPixel(...about.clean);
    const place = (k, i) => view.toPixel(about.z[2 * (k * copies + i)], about.z[2 * (k * copies + i) + 1]);
    if (copies === 1) this.paintTrail(context, level, place, cx, cy);
    else if (this.cloud.shown.arrows) this.paintArrows(context, level, place, cx, cy);
    this.paintCopies(context, level, place);
    this.paintCross(context, cx, cy);
    this.tell(level);
  }

  lit(level, i) {
    return this.pointed < 0 || this.about.codes[level * this.copies + i] === this.pointed;
  }

  paintArrows(context, level, place, cx, cy) {
    const { copies, theme } = this;
    const shafts = new Path2D();
    const heads = new Path2D();
    for (let i = 0; i < copies; i++) {
      if (!this.lit(level, i)) continue;
      const [px, py] = place(level, i);
      const length = Math.hypot(px - cx, py - cy);
      if (length < 7) continue;
      const [dx, dy] = [(px - cx) / length, (py - cy) / length];
      const [tx, ty] = [px - 4 * dx, py - 4 * dy];
      shafts.moveTo(cx, cy);
      shafts.lineTo(tx, ty);
      heads.moveTo(tx, ty);
      heads.lineTo(tx - 7 * dx - 3 * dy, ty - 7 * dy + 3 * dx);
      heads.lineTo(tx - 7 * dx + 3 * dy, ty - 7 * dy - 3 * dx);
      heads.closePath();
    }
    const alpha = Math.min(0.6, Math.max(0.08, 60 / copies));
    context.lineWidth = 1;
    context.strokeStyle = css(theme.text, alpha);
    context.stroke(shafts);
    context.fillStyle = css(theme.text, Math.min(0.85, 2 * alpha));
    context.fill(heads);
  }

  /** One copy a level: the way it goes as the level rises. */
  paintTrail(context, level, place, cx, cy) {
    const line = new Path2D();
    line.moveTo(cx, cy);
    for (let k = 0; k <= level; k++) line.lineTo(...place(k, 0));
    context.lineWidth = 4;
    context.strokeStyle = css(this.theme.background, 0.8);
    context.stroke(line);
    context.lineWidth = 1.75;
    context.strokeStyle = css(this.theme.text, 0.8);
    context.stroke(line);
    const { colours } = this.colouring;
    for (let k = 0; k < level; k++) {
      const [x, y] = place(k, 0);
      context.beginPath();
      context.arc(x, y, 3, 0, 2 * Math.PI);
      context.fillStyle = hex(colours[this.about.codes[k]]);
      context.fill();
    }
  }

  paintCopies(context, level, place) {
    const { copies, about, theme } = this;
    const { colours } = this.colouring;
    const radius = copies === 1 ? 6 : Math.max(1.6, Math.min(3.6, 45 / Math.sqrt(copies)));
    const paths = new Map();
    for (let i = 0; i < copies; i++) {
      const code = about.codes[level * copies + i];
      if (!paths.has(code)) paths.set(code, new Path2D());
      const [x, y] = place(level, i);
      const path = paths.get(code);
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
    }
    for (const [code, path] of paths) {
      const lit = this.pointed < 0 || code === this.pointed;
      context.globalAlpha = lit ? 1 : 0.12;
      context.lineWidth = 1.25;
      context.strokeStyle = css(theme.background, 0.85);
      context.stroke(path);
      context.fillStyle = hex(colours[code]);
      context.fill(path);
    }
    context.globalAlpha = 1;
  }

  paintCross(context, x, y) {
    for (const [width, colour] of [[6, css(this.theme.background, 0.95)], [2.75, css(this.theme.text)]]) {
      context.beginPath();
      context.moveTo(x - 8, y);
      context.lineTo(x + 8, y);
      context.moveTo(x, y - 8);
      context.lineTo(x, y + 8);
      context.lineWidth = width;
      context.lineCap = "round";
      context.strokeStyle = colour;
      context.stroke();
    }
    context.lineCap = "butt";
  }

  tell(level) {
    const { about, copies } = this;
    const share = about.kept[level];
    if (copies > 1) this.kept.textContent = `${digits(100 * share, share > 0 && share < 1 ? 1 : 0)} %`;
    else this.kept.textContent = share ? "yes" : "no";
    this.shift.textContent = digits(about.shift[level], 2);
    const counts = countClasses(about.codes, level, copies, this.colouring.names.length);
    for (const { node, number, members } of this.entries) {
      const total = members.reduce((sum, code) => sum + counts[code], 0);
      number.textContent = count(total);
      node.classList.toggle("none", total === 0);
    }
  }

  dispose() {
    this.sizes.disconnect();
  }
}
