// The player of a training: the controls, and everything that moves with the moment. Nothing here asks the server.

import { count, hex, readTheme } from "./colour.js";
import { classColours } from "./colouring.js";
import { el, icon, tool } from "./element.js";
import { Card } from "./evolution_card.js";
import { Curve } from "./evolution_chart.js";
import { Film, SPEEDS } from "./evolution_clock.js";
import { Hands } from "./evolution_hands.js";
import { Ground, frames } from "./evolution_map.js";
import { savePicture } from "./evolution_picture.js";
import { Legend } from "./legend.js";
import { View } from "./view.js";

const KEYS = "Space plays, left and right arrows step, Home and End jump, Enter pins the sample nearest the middle, Escape clears, plus and minus zoom, 0 shows everything.";

export class Evolution {
  /** @param run a Run; sheets: the samples' pictures or null; kept: how it was left, see `kept` */
  constructor(host, run, sheets, kept = {}) {
    Object.assign(this, { host, run, sheets, pinned: -1, hovered: -1, pointed: -1, only: null, free: false });
    this.by = run.labelled ? "label" : "predicted";
    this.shown = { paths: false, ghosts: true, names: true };
    this.view = new View();
    const { table } = run;
    const [{ name, axes }] = table.manifest.views;
    const { x, y } = table.views.get(name);
    this.points = { x, y, codes: table.label };
    this.ground = new Ground(run, this.points, axes);
    this.film = new Film(run.last, () => this.redraw());
    const { at, speed, loop, by, shown } = kept;
    Object.assign(this.film, { at: Math.min(run.last, at ?? 0), speed: speed ?? 1, loop: loop ?? false });
    Object.assign(this, { by: by ?? this.by, shown: { ...this.shown, ...shown } });
    this.media = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.calm = () => {
      this.film.calm = this.media.matches;
      this.film.restart(performance.now());
    };
    this.calm();
    this.record = { ready: false, rev: 0, frames: 0, seconds: 0, playing: false, snapshots: run.steps.length, samples: run.n };
    this.record.place = (id) => {
      const j = run.slot.indexOf(table.slotById.get(id));
      return this.view.toPixel(run.x[j], run.y[j]);
    };
    this.record.go = (to) => this.jump(to);
    this.build();
    this.mount();
  }

  // ---- building -----------------------------------------------------------------------------

  build() {
    const { run, film } = this;
    this.base = el("canvas", { class: "base", role: "img" });
    this.over = el("canvas", { class: "over", "aria-hidden": "true" });
    this.legend = new Legend({ isolate: (codes) => this.isolate(codes), hover: (code) => this.point(code) });
    this.card = new Card(this);
    this.moment = el("b", {});
    const tools = el(
      "div",
      { class: "tools glass" },
      tool("plus", "Zoom in", () => this.zoom(1.5)),
      tool("minus", "Zoom out", () => this.zoom(1 / 1.5)),
      tool("home", "Show everything", () => this.home()),
      tool("download", "Save as a PNG picture", () => savePicture(this), { "data-export": "png" }),
    );
    this.stage = el(
      "div",
      { class: "stage evolution-stage", tabindex: 0, role: "group", "aria-roledescription": "map" },
      this.base,
      this.over,
      tools,
      el("div", { class: "evolution-moment glass", "aria-live": "off" }, this.moment),
      this.card.node,
    );
    this.curve = new Curve(run, (at) => this.jump(at));
    this.range = el("input", { type: "range", min: 0, max: run.last, step: 0.01, value: film.at, class: "evolution-range", "aria-label": "Moment of the training" });
    this.range.addEventListener("input", () => this.jump(Number(this.range.value)));
    const key = (name, title, act) => tool(name, title, act, { title });
    this.play = tool("play", "Play (space)", () => this.toggle(), { class: "tool evolution-play", title: "Play (space)" });
    const speed = el(
      "select",
      { "aria-label": "Speed", title: "Speed: × 1 is 2 snapshots a second", onchange: () => film.haste(Number(speed.value), performance.now()) },
      ...SPEEDS.map((value) => el("option", { value, selected: value === film.speed }, `× ${value}`)),
    );
    this.node = el(
      "div",
      { class: "map evolution", role: "group", "aria-label": `Training evolution. ${KEYS}` },
      this.buildBar(),
      el("div", { class: "evolution-body" }, this.stage, el("div", { class: "side" }, this.legend.node)),
      el(
        "div",
        { class: "evolution-transport" },
        key("first", "To the first snapshot (Home)", () => this.jump(0)),
        key("back", "One snapshot back (left arrow)", () => this.step(-1)),
        this.play,
        key("on", "One snapshot on (right arrow)", () => this.step(1)),
        key("last", "To the last snapshot (End)", () => this.jump(run.last)),
        this.range,
        speed,
        this.box("Loop", film.loop, (on) => {
          film.loop = on;
          film.restart(performance.now());
        }),
      ),
      this.curve.node,
      el("i", { class: "sentinel", "aria-hidden": "true" }),
    );
    this.hands = new Hands(this);
  }

  buildBar() {
    const { run, shown } = this;
    const colour = el(
      "select",
      { "aria-label": "Colour", onchange: () => this.colourBy(colour.value) },
      ...[["label", "own class"], ["predicted", "class it says"]]
        .filter(([name]) => run.labelled || name === "predicted")
        .map(([value, title]) => el("option", { value, selected: value === this.by }, title)),
    );
    const layer = (name, title) => this.box(title, shown[name], (on) => this.setLayer(name, on));
    return el(
      "div",
      { class: "bar" },
      el("label", { class: "field" }, "Colour", colour),
      layer("paths", "Paths"),
      layer("ghosts", "All samples at the end"),
      layer("names", "Class names"),
      el("span", { class: "evolution-key" }, "not decided", el("i", { class: "evolution-fade" }), "sure"),
    );
  }

  box(title, checked, change) {
    return el("label", { class: "evolution-switch" }, el("input", { type: "checkbox", checked, onchange: (event) => change(event.target.checked) }), title);
  }

  mount() {
    this.host.replaceChildren(this.node);
    this.node.querySelector(".sentinel").addEventListener("transitionend", () => this.refreshTheme());
    this.media.addEventListener("change", this.calm);
    this.sizes = new ResizeObserver(() => this.measure());
    this.takeTheme();
    this.frames = frames(this.run, this.points);
    this.aim();
    this.measure();
    this.view.reset();
    for (const part of [this.stage, this.curve.canvas]) this.sizes.observe(part);
    this.record.ready = true;
  }

  refreshTheme() {
    if (JSON.stringify(readTheme(this.node)) !== this.themed) this.takeTheme();
  }

  takeTheme() {
    this.theme = readTheme(this.node);
    this.themed = JSON.stringify(this.theme);
    this.colours = classColours(this.run.table.manifest, this.theme);
    this.ground.takeTheme(this.theme, this.colours);
    const fade = this.node.querySelector(".evolution-fade");
    fade.style.background = `linear-gradient(to right, ${hex(this.ground.grey)}, ${hex(this.colours[0])})`;
    this.touch();
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    const wide = width > 600; // below that the legend lies under the map, see evolution.css
    this.view.insets = { left: wide ? 76 : 46, right: wide ? this.legend.node.offsetWidth + 18 : 10, top: 12, bottom: 28 };
    this.view.resize(width, height);
    for (const canvas of [this.base, this.over]) {
      Object.assign(canvas, { width: Math.round(width * this.ratio), height: Math.round(height * this.ratio) });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    this.curve.measure(this.ratio);
    this.touch();
  }

  // ---- what a person does -------------------------------------------------------------------

  colourBy(by) {
    this.by = by;
    this.isolate(null);
  }

  setLayer(name, on) {
    this.shown[name] = on;
    this.touch();
  }

  isolate(codes) {
    this.only = codes;
    this.touch();
  }

  /** What the pointer is at in the legend stands out. */
  point(code) {
    if (code === this.pointed) return;
    this.pointed = code;
    this.redraw();
  }

  pin(j) {
    this.pinned = j;
    this.touch();
  }

  hover(j) {
    if (j === this.hovered) return;
    this.hovered = j;
    this.redraw();
  }

  nearest(px, py, far = 10) {
    return this.run.nearest(px, py, this.view, far);
  }

  zoom(factor, px = this.view.width / 2, py = this.view.height / 2) {
    this.free = true;
    this.view.zoomAt(px, py, factor);
    this.touch();
  }

  pan(dx, dy) {
    this.free = true;
    this.view.pan(dx, dy);
    this.touch();
  }

  home() {
    this.free = false;
    this.touch();
  }

  /** Keeps all samples of the moment in sight, unless a person has chosen where to look. */
  aim() {
    const { run, view, film, free } = this;
    if (free) return;
    const [before, share] = run.split(film.at);
    const [a, b] = [this.frames[before], this.frames[Math.min(run.last, before + 1)]]; // a run stopped early may have one
    view.extent = a.map((edge, i) => edge + share * (b[i] - edge));
    const home = view.home();
    if (home.x === view.x && home.y === view.y && home.scale === view.scale) return;
    view.reset();
    this.stale = true;
  }

  jump(at) {
    this.pause();
    if (Number.isFinite(at)) this.film.set(at);
  }

  step(by) {
    this.pause();
    this.film.step(by);
  }

  toggle() {
    if (this.film.playing) return this.pause();
    this.film.play(performance.now());
    Object.assign(this.record, { frames: 0, seconds: 0, times: [] });
    this.follow();
    let last = null;
    const tick = (now) => {
      const on = this.film.tick(now);
      this.draw(); // every frame, so that the frame rate told is that of drawing
      if (last !== null) {
        this.record.frames += 1;
        this.record.seconds += (now - last) / 1000;
        if (this.record.times.length < 1000) this.record.times.push(this.record.drawMs);
      }
      last = now;
      if (on) this.running = requestAnimationFrame(tick);
      else this.follow();
    };
    this.running = requestAnimationFrame(tick);
  }

  pause() {
    this.film.pause();
    cancelAnimationFrame(this.running);
    this.follow();
  }

  /** The button says what a press would do. */
  follow() {
    const { playing } = this.film;
    if (this.record.playing === playing) return;
    this.record.playing = playing;
    const title = playing ? "Pause (space)" : "Play (space)";
    this.play.replaceChildren(icon(playing ? "pause" : "play"));
    this.play.setAttribute("aria-label", title);
    this.play.title = title;
  }

  // ---- drawing ------------------------------------------------------------------------------

  /** Something that lies still has changed too. */
  touch() {
    this.stale = true;
    this.redraw();
  }

  redraw() {
    if (this.frame || this.film.playing) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    if (!this.ratio || !this.theme) return;
    const started = performance.now();
    const { run, film, view, ratio, by, shown, only, pointed } = this;
    const { at } = film;
    this.aim();
    run.place(at);
    run.colour(at, by);
    const wanted = only && new Set(only);
    for (let j = 0; j < run.n; j++) {
      const code = run.codes[j];
      run.show[j] = (!wanted || wanted.has(code)) && (pointed < 0 || code === pointed) ? 2 : 1;
    }
    if (this.stale) {
      this.ground.paintBase(this.base.getContext("2d", { alpha: false }), { view, ratio, ghosts: shown.ghosts });
      this.curve.paint({ theme: this.theme, colours: this.ground.colours, only: by === "label" ? only : null, pinned: this.pinned });
    }
    const bright = (code) => (!wanted || wanted.has(code)) && (pointed < 0 || code === pointed);
    this.ground.paintOver(this.over.getContext("2d"), { ...this, ...shown, at, bright, shown: [only, pointed] });
    this.curve.show(at);
    this.tell(at);
    this.card.follow(this.hovered >= 0 ? this.hovered : this.pinned);
    this.stale = false;
    const { record } = this;
    const id = (j) => (j < 0 ? null : Number(run.table.ids[run.slot[j]]));
    Object.assign(record, { at, step: run.stepAt(at), by, pinned: id(this.pinned), hovered: id(this.hovered), rev: record.rev + 1, drawMs: performance.now() - started });
  }

  /** What is said in words, which changes from snapshot to snapshot only. */
  tell(at) {
    const { run, range } = this;
    const near = Math.round(at);
    const shares = run.accuracy();
    const share = (shares ?? run.certainty())[near];
    const text = `step ${count(Math.round(run.stepAt(at)))} of ${count(run.steps[run.last])} · ${(100 * share).toFixed(1)} % ${shares ? "right" : "sure"}`;
    if (text !== this.told) this.moment.textContent = this.told = text;
    if (Math.abs(Number(range.value) - at) > 0.005) range.value = at;
    range.setAttribute("aria-valuetext", text);
    if (near === this.near && !this.stale) return;
    this.near = near;
    const names = [...run.table.classes, "no label"];
    const fixed = run.counts("label", near);
    const colouring = { names, colours: this.ground.colours, optionalFrom: run.none };
    const title = this.by === "label" ? "Class" : "What it says";
    this.legend.showClasses(title, colouring, this.by === "label" ? fixed : fixed.map(() => 1).fill(0, run.none), this.only);
    const counts = run.counts(this.by, near);
    for (const { code, number } of this.legend.items) number.textContent = count(counts[code]);
    const summary = `${count(run.n)} test samples on the map at ${text}`;
    this.base.setAttribute("aria-label", summary);
    this.stage.setAttribute("aria-label", `${summary}. ${KEYS}`);
    Object.assign(this.record, { accuracy: share, counts });
  }

  get kept() {
    const { film, by, shown } = this;
    return { at: film.at, speed: film.speed, loop: film.loop, by, shown };
  }

  dispose() {
    this.pause();
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.media.removeEventListener("change", this.calm);
    this.node.remove();
  }
}
