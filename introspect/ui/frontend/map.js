// The activation map: 70,000 samples, each at the place its activations have in the plane.

import * as address from "./address.js";
import { Appearance } from "./appearance.js";
import { count } from "./colour.js";
import { EVERYTHING, isEverything } from "./filter.js";
import { Grid, inside, thin } from "./grid.js";
import { Painter } from "./layers.js";
import * as marks from "./marks.js";
import { Motion } from "./motion.js";
import { Stage } from "./stage.js";
import { extentOf, View } from "./view.js";

const REACH = 9; // pixels round the pointer in which a dot is found

export class ActivationMap extends Appearance {
  constructor(table, sheets, send) {
    super(table);
    Object.assign(this, { sheets, send });
    this.view = new View();
    this.painter = new Painter();
    this.motion = new Motion(() => this.redraw());
    Object.assign(this, { hovered: -1, neighbours: [], outline: null, faded: 1 });
    this.again = () => this.redraw(false);
    this.report = (facts) => Object.assign(this.record, facts);
    this.record = { rev: 0, n: table.n, ready: false, hovered: null, pinned: null, selected: 0 };
    // For tests and benchmarks: where a sample lies on the screen, and one whole redraw, timed.
    this.record.place = (id) => {
      const slot = table.slotById.get(id);
      return this.view.toPixel(this.points.x[slot], this.points.y[slot]);
    };
    this.record.paint = () => {
      const started = performance.now();
      this.painter.paint(this.stage.base, this.scene(), this.view.width, this.view.height, this.stage.ratio);
      this.drawOver();
      return performance.now() - started;
    };
  }

  get probes() {
    return this.stage.probes;
  }

  /** Builds the page parts inside `parent` and shows the view the address asks for. */
  async mount(parent, search) {
    this.stage = new Stage(this, parent);
    this.takeTheme();
    const asked = address.read(search, this.table);
    if (asked.projection) {
      await this.table.view(asked.projection);
      this.state.projection = asked.projection;
      Object.assign(this.points, this.coordinates());
    }
    Object.assign(this.state.filter, asked.filter);
    for (const name of ["layers", "size"]) if (asked[name]) this.state[name] = asked[name];
    this.view.extent = extentOf(this.points.x, this.points.y);
    await this.colourBy(asked.colour || this.state.colour);
    this.stage.measure();
    this.view.reset();
    if (asked.at) this.view.set(...asked.at);
    if (asked.pinned !== undefined) this.pin(asked.pinned);
    this.table.score("log_error").then(() => this.refilter(), () => {});
    this.report({ ready: true });
  }

  // ---- drawing ------------------------------------------------------------------------------

  scene() {
    const chart = this.showsChart() ? this.chart : null;
    const { points, tables, view, theme, colouring, faded } = this;
    const { layers, size } = this.state;
    return { points, tables, view, theme, colouring, layers, size, chart, faded, wrong: this.table.wrong, expected: this.table.n };
  }

  redraw(all = true) {
    this.stale = this.stale || all;
    // A place that is not shown has no size; its stage calls again when it has one.
    if (this.frame || !this.stage?.ratio || !this.tables) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const started = performance.now();
      if (this.stale) this.painter.paint(this.stage.base, this.scene(), this.view.width, this.view.height, this.stage.ratio);
      const painted = performance.now();
      if (this.stale) this.report({ drawMs: painted - started });
      this.stale = false;
      this.drawOver();
      this.report({ overMs: performance.now() - painted, rev: this.record.rev + 1 });
      this.publish();
    });
  }

  showsPictures() {
    return this.state.layers.pictures.on && Boolean(this.sheets) && !this.motion.morphing;
  }

  drawOver() {
    const { view, theme, points, state, stage, colouring } = this;
    const context = stage.above;
    context.setTransform(stage.ratio, 0, 0, stage.ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    const { layers } = state;
    if (this.showsPictures()) {
      marks.drawPictures(context, { view, theme, points, colouring }, this.grid(), this.sheets, this.table, this.again);
    }
    marks.drawAxes(context, { view, theme, axes: this.axes() });
    if (layers.labels.on && !this.motion.morphing && !colouring.ramp) {
      const bright = (code) => this.pointed < 0 || this.pointed === code;
      const centres = this.labelled();
      marks.drawLabels(context, { view, theme, centres, names: colouring.names, colours: colouring.colours, bright });
    }
    for (const { trail } of this.probes.all.values()) marks.drawTrail(context, { view, theme }, trail);
    if (this.selection && this.selection.view === state.projection) {
      marks.drawOutline(context, { theme }, this.selection.polygon.map(([x, y]) => view.toPixel(x, y)), true);
    }
    marks.drawPin(context, { view, theme, points, pinned: state.pinned, neighbours: this.neighbours });
    marks.drawHover(context, { view, theme, points, hovered: this.hovered });
    if (this.outline) marks.drawOutline(context, { theme }, this.outline, false);
    if (stage.keyed) marks.drawCross(context, { view, theme });
    this.probes.place(view, state.projection);
  }

  publish() {
    const { view, state, table } = this;
    const id = (slot) => (slot < 0 ? null : Number(table.ids[slot]));
    this.report({ hovered: id(this.hovered), pinned: id(state.pinned), zoom: view.zoom, centre: [view.x, view.y], projection: state.projection, colour: state.colour });
    clearTimeout(this.linking);
    this.linking = setTimeout(() => address.replace(address.write(state, view, table)), 250);
  }

  grid(name = this.state.projection) {
    this.grids = this.grids || new Map();
    if (!this.grids.has(name)) {
      const { x, y } = this.coordinates(name);
      this.grids.set(name, new Grid(x, y));
    }
    return this.grids.get(name);
  }

  // ---- moving about -------------------------------------------------------------------------

  halt() {
    this.motion.stop();
  }

  pan(dx, dy) {
    this.halt();
    this.view.pan(dx, dy);
    this.redraw();
  }

  zoomAt(px, py, factor, exact = false) {
    this.halt();
    if (exact) this.view.zoomAt(px, py, factor);
    else return this.motion.zoom(this.view, px, py, factor);
    this.redraw();
  }

  zoomBy(factor) {
    this.zoomAt(this.view.width / 2, this.view.height / 2, factor);
  }

  home() {
    this.motion.fly(this.view, { ...this.view.home(), zoom: 1 });
  }

  /** Brings a place into sight, no nearer than it is, unless it lies well inside already. */
  reveal(x, y, zoom = 0) {
    const [px, py] = this.view.toPixel(x, y);
    const { width, height } = this.view;
    const near = px > 60 && py > 40 && px < width - 60 && py < height - 40;
    if (near && this.view.zoom >= zoom) return;
    this.motion.fly(this.view, { x, y, zoom: Math.max(zoom, this.view.zoom) });
  }

  async project(name) {
    if (name === this.state.projection) return;
    const from = { ...this.points };
    const to = await this.table.view(name);
    this.state.projection = name;
    this.pointAway();
    this.stage.refresh();
    this.probes.forgetTrails(name);
    this.motion.morph(this, from, to, extentOf(to.x, to.y));
  }

  // ---- pointing, pinning, choosing ------------------------------------------------------------

  nearest(px, py, reach = REACH) {
    if (this.motion.morphing) return -1;
    const started = performance.now();
    const [x, y] = this.view.toPlane(px, py);
    const found = this.grid().nearest(x, y, reach / this.view.scale, (slot) => this.passed[slot]);
    this.report({ pickMs: performance.now() - started });
    return found;
  }

  pointAt(px, py, since = performance.now()) {
    const slot = this.nearest(px, py);
    if (slot < 0) return this.pointAway();
    const changed = slot !== this.hovered;
    this.hovered = slot;
    if (changed) this.stage.card.since = since;
    this.stage.card.show(this, slot, ...this.view.toPixel(this.points.x[slot], this.points.y[slot]));
    if (changed) this.redraw(false);
  }

  pointAway() {
    if (this.hovered < 0) return;
    this.hovered = -1;
    this.stage.card.hide();
    this.redraw(false);
  }

  press(px, py) {
    const slot = this.nearest(px, py, 12);
    if (slot >= 0) this.pin(slot);
  }

  pin(slot, tell = true) {
    if (slot !== this.state.pinned) this.neighbours = [];
    this.state.pinned = slot;
    if (tell) this.send.state("pinned", slot < 0 ? null : this.table.rows[slot]);
    this.stage.refresh();
    this.redraw(false);
  }

  pinNearest() {
    const slot = this.hovered >= 0 ? this.hovered : this.nearest(this.view.width / 2, this.view.height / 2, 200);
    if (slot < 0) return;
    this.pin(slot);
    this.stage.announce(slot);
  }

  escape() {
    if (this.selection) this.choose(null);
    else if (this.state.pinned >= 0) this.pin(-1);
    else if (!isEverything(this.state.filter)) this.setFilter({ ...EVERYTHING });
  }

  /** Goes to a sample by its id ("907" or "test:907"); false when there is none. */
  find(text) {
    const [, split, number] = text.trim().match(/^(?:(train|validation|test):)?#?([\d,]+)$/) || [];
    if (!number) return false;
    let slot = this.table.slotById.get(Number(number.replaceAll(",", "")));
    if (split) slot = this.inSplit(split, Number(number));
    if (slot === undefined) return false;
    this.pin(slot);
    this.reveal(this.points.x[slot], this.points.y[slot], 6);
    return true;
  }

  inSplit(split, place) {
    const code = this.table.manifest.splits.indexOf(split);
    let seen = -1;
    for (let row = 0; row < this.table.n; row++) {
      if (this.table.split[this.table.slots[row]] === code && ++seen === place) return this.table.slots[row];
    }
    return undefined;
  }

  use(name) {
    this.state.tool = name;
    this.stage.refresh();
  }

  sketch(corners) {
    this.outline = corners;
    this.redraw(false);
  }

  /** Everything shown inside the polygon (in pixels) becomes the selection. */
  enclose(corners) {
    const kept = corners.length === 4 ? corners : thin(corners, 3);
    if (kept.length < 3) return;
    const digits = Math.max(3, Math.ceil(Math.log10(this.view.scale)) + 2);
    const polygon = kept.map(([px, py]) => this.view.toPlane(px, py).map((v) => Number(v.toFixed(digits))));
    const mask = inside(polygon, this.points.x, this.points.y);
    let total = 0;
    for (let i = 0; i < mask.length; i++) total += mask[i] &= this.passed[i];
    if (!total) return this.stage.notice.say("Nothing lies inside. Draw round some dots.");
    this.choose({ polygon, mask, total, view: this.state.projection });
    this.stage.notice.say(`${count(total)} selected: pictures, table and confusions are below the map.`, "", 4);
  }

  /** Everything that passes the filter becomes the selection, wherever it lies. */
  chooseShown() {
    const far = 1e6;
    const polygon = [[-far, -far], [far, -far], [far, far], [-far, far]];
    const total = this.passed.reduce((sum, pass) => sum + pass, 0);
    this.choose({ polygon, mask: this.passed.slice(), total, view: this.state.projection });
  }

  choose(selection) {
    this.selection = selection;
    const { filter } = this.state;
    this.send.state("selection", selection && { polygon: selection.polygon, view: selection.view, filter: { ...filter } });
    this.report({ selected: selection ? selection.total : 0 });
    this.emphasise();
    this.stage.refresh();
  }

  // ---- files, links, screen --------------------------------------------------------------------

  async save(kind) {
    const { toPng, toSvg, download } = await import("./export.js");
    const blob = kind === "png" ? await toPng(this) : new Blob([toSvg(this)], { type: "image/svg+xml" });
    download(blob, `activation-map.${kind}`);
    this.report({ saved: kind, savedBytes: blob.size });
  }

  async copyLink() {
    address.replace(address.write(this.state, this.view, this.table));
    try {
      await navigator.clipboard.writeText(window.location.href);
      this.stage.notice.say("The link to this view is copied.");
    } catch {
      this.stage.notice.say("Copy the address of this page: it leads back to this view.");
    }
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.root.requestFullscreen?.();
  }
}
