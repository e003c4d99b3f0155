// What every dot looks like: the colouring, the layers and the filter, kept apart from the drawing itself.

import { LAYERS } from "./address.js";
import { readTheme } from "./colour.js";
import { byCategory, byScore, classColours, tally } from "./colouring.js";
import { EVERYTHING, passing } from "./filter.js";
import { chartCanvas, colourTables } from "./layers.js";

export class Appearance {
  constructor(table) {
    this.table = table;
    const firstColour = table.labelled ? "label" : "predicted";
    this.state = {
      projection: table.manifest.views[0].name,
      colour: firstColour,
      firstColour,
      layers: structuredClone(LAYERS),
      filter: { ...EVERYTHING },
      tool: "pan",
      size: 1,
      pinned: -1,
    };
    Object.assign(this, { pointed: -1, selection: null, turn: 0 });
    this.points = { ...this.coordinates(), codes: new Uint8Array(table.n), show: new Uint8Array(table.n).fill(2) };
  }

  coordinates(name = this.state.projection) {
    return this.table.views.get(name);
  }

  takeTheme() {
    this.theme = readTheme(this.stage.root);
    this.classColours = classColours(this.table.manifest, this.theme);
    const { chart } = this.table.manifest;
    if (this.table.chart) {
      this.chart = { extent: chart.extent, canvas: chartCanvas(this.table.chart, chart.width, chart.height, this.theme.error) };
    }
  }

  /** Follows the page's theme, when it has changed. */
  refreshTheme() {
    if (JSON.stringify(readTheme(this.stage.root)) === JSON.stringify(this.theme)) return;
    this.takeTheme();
    this.colourBy(this.state.colour);
  }

  async colourBy(name) {
    const turn = ++this.turn;
    const score = this.table.manifest.scores.find((candidate) => candidate.name === name);
    const values = score && (await this.table.score(name));
    if (turn !== this.turn) return; // a later choice overtook this one
    this.state.colour = name;
    this.colouring = score ? byScore(this.table, score, values, this.theme) : byCategory(this.table, name, this.theme);
    if (this.state.filter.only && this.state.filter.only.by !== name) this.state.filter.only = null;
    this.points.codes = this.colouring.codes;
    this.tables = colourTables(this.colouring, this.theme);
    this.refilter();
  }

  setFilter(change) {
    Object.assign(this.state.filter, change);
    this.refilter();
  }

  isolate(codes) {
    this.setFilter({ only: codes && { by: this.state.colour, codes } });
  }

  refilter() {
    const { table, state } = this;
    const estimate = table.scores.get("log_error");
    this.passed = passing(table, state.filter, estimate);
    const unisolated = state.filter.only ? passing(table, { ...state.filter, only: null }, estimate) : this.passed;
    this.counts = this.colouring.ramp ? [] : tally(this.colouring.codes, this.colouring.names.length, unisolated);
    this.emphasise();
    this.stage.refresh();
  }

  /** Level 2: drawn in colour, 1: a grey ghost. */
  emphasise() {
    const { show, codes } = this.points;
    const { passed, selection, pointed } = this;
    for (let i = 0; i < show.length; i++) {
      show[i] = passed[i] && (!selection || selection.mask[i]) && (pointed < 0 || codes[i] === pointed) ? 2 : 1;
    }
    this.redraw();
  }

  pointLegend(code) {
    if (code === this.pointed) return;
    this.pointed = code;
    this.emphasise();
  }

  offers(layer) {
    if (layer === "error") return Boolean(this.table.chart);
    if (layer === "pictures") return Boolean(this.sheets);
    return layer === "mistakes" ? this.table.labelled : true;
  }

  /** The error map is a function of the first projection's plane only. */
  possible(layer) {
    return layer !== "error" || this.state.projection === this.table.manifest.views[0].name;
  }

  showsChart() {
    return Boolean(this.chart) && this.state.layers.error.on && this.possible("error");
  }

  setLayer(name, change) {
    Object.assign(this.state.layers[name], change);
    this.stage.refresh();
    this.redraw();
  }

  setSize(size) {
    this.state.size = size;
    this.redraw();
  }

  axes() {
    return this.table.manifest.views.find((view) => view.name === this.state.projection).axes;
  }

  labelled() {
    const by = this.colouring.by;
    const category = ["label", "predicted"].includes(by) ? by : null;
    if (!category) return [];
    const { only } = this.state.filter;
    return this.table.centres(this.state.projection, category).filter(({ code }) => code < this.table.classes.length && (!only || only.codes.includes(code)));
  }

  summary() {
    const { table } = this;
    const what = this.sheets ? "pictures" : "samples";
    return `Activation map of ${table.n.toLocaleString("en-US")} ${what} in ${table.classes.length} classes, coloured by ${this.state.colour}.`;
  }
}
