// What is known of one unit: where it stands, which class it answers most, and the samples that move it most.

import { count, digits, hex } from "./colour.js";
import { el } from "./element.js";

const MOST = 12; // classes shown; the strongest and the weakest when there are more
const SIDE = 46;

/** Which classes get a bar: all, or the extreme ones in their own order. */
export function chosenClasses(values, most = MOST) {
  const codes = values.map((_, code) => code).filter((code) => Number.isFinite(values[code]));
  if (codes.length <= most) return codes;
  const sorted = [...codes].sort((a, b) => values[b] - values[a]);
  return [...sorted.slice(0, most - 3), ...sorted.slice(-3)];
}

export class UnitCard {
  constructor(data) {
    this.data = data;
    this.node = el("aside", { class: "bb-card", "aria-label": "The unit that is looked at" });
    this.empty();
  }

  empty() {
    this.unit = -1;
    this.node.replaceChildren(
      el("div", { class: "bb-hint" }, "Point at a unit, or walk with the arrow keys: what it answers to each class, and what moves it most. A click pins it."),
    );
  }

  /** @param view {unit, way, classes: colours, strongest or null, sheets or null, extra: [[name, value], …]} */
  show(view) {
    const { data } = this;
    const { unit, way, classes } = view;
    this.unit = unit;
    const l = data.layerOf(unit);
    const { name, op, start, stop } = data.layers[l];
    const held = data.way(way);
    const liked = held.preferred[unit];
    const facts = [["after sorting", `place ${count(held.place[unit] - start)} of ${count(stop - start)}`]];
    for (const other of data.ways.values()) {
      if (other !== held && other.preferred[unit] !== liked) facts.push([`by the ${other.title.toLowerCase()}`, this.className(other.preferred[unit])]);
    }
    this.node.replaceChildren(
      el("div", { class: "bb-title" }, el("b", {}, `Layer ${l + 1}, unit ${count(unit - start)}`), el("span", { class: "bb-quiet", title: "Name of the layer in the network" }, `${name} · ${op}`)),
      el("div", { class: "bb-liked" }, el("i", { class: "swatch", style: { background: hex(classes[liked] ?? classes[data.k]) } }), liked < data.k ? `answers ${data.classes[liked]} most` : "answers all classes alike"),
      el("dl", { class: "bb-facts" }, ...[...facts, ...(view.extra ?? [])].flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      this.bars(unit, way, classes, l),
      this.samples(view),
    );
  }

  className(code) {
    return code < this.data.k ? this.data.classes[code] : "none";
  }

  bars(unit, way, classes, l) {
    const { data } = this;
    const differs = way === "difference";
    const values = data.classes.map((_, code) => data.value(way, code, unit));
    const finite = values.filter(Number.isFinite);
    const [low, high] = [Math.min(0, ...finite), Math.max(0, ...finite)];
    const reach = high - low || 1;
    const at = (value) => (100 * (value - low)) / reach;
    const rows = chosenClasses(values).map((code) => {
      const value = values[code];
      const [from, to] = value < 0 ? [at(value), at(0)] : [at(0), at(value)];
      return el(
        "div",
        { class: "bb-row", role: "listitem" },
        el("span", { class: "bb-name", title: data.classes[code] }, data.classes[code]),
        el("span", { class: "bb-track" }, el("i", { class: "bb-zero", style: { left: `${at(0)}%` } }), el("i", { class: "bb-fill", style: { left: `${from}%`, width: `${Math.max(0.6, to - from)}%`, background: hex(classes[code]) } })),
        el("span", { class: "bb-value" }, digits(value, 2)),
      );
    });
    const kind = data.layers[l].op;
    const title = differs ? "Decoder minus sample mean" : `Expected activation, ${data.way(way).title.toLowerCase()}`;
    const left = data.k - rows.length;
    return el(
      "div",
      {},
      el("h4", { title: `Mean answer after ${kind}, in the network's own units, to samples of each class` }, title),
      el("div", { class: "bb-bars", role: "list" }, ...rows),
      left > 0 ? el("div", { class: "bb-quiet" }, `… and ${count(left)} classes in between`) : null,
    );
  }

  samples({ unit, strongest, sheets, classes }) {
    if (!strongest) {
      return el("div", { class: "bb-quiet bb-later" }, this.problem || "The samples that move it most: press “Find the strongest samples” below the figure, once.");
    }
    const tiles = strongest.of(unit).map((sample) => this.tile(sample, sheets, classes));
    return el("div", {}, el("h4", {}, `The ${strongest.count} samples that move it most`), el("div", { class: "bb-tiles", role: "list" }, ...tiles));
  }

  tile({ row, id, label, predicted, value }, sheets, classes) {
    const { data } = this;
    const code = label < 0 ? predicted : label;
    const wrong = label >= 0 && label !== predicted;
    const said = `#${count(id)}: ${wrong ? `${data.classes[label]}, taken for ${data.classes[predicted]}` : data.classes[code]}, activation ${digits(value, 2)}`;
    const body = sheets ? this.picture(row, sheets) : el("span", { class: "tile-text" }, `#${count(id)}`);
    return el("div", { class: `bb-tile${wrong ? " wrong" : ""}`, role: "listitem", title: said, "aria-label": said }, body, el("i", { style: { background: hex(classes[code]) } }));
  }

  picture(row, sheets) {
    const ratio = window.devicePixelRatio || 1;
    const share = SIDE / Math.max(sheets.width, sheets.height);
    const [wide, high] = [sheets.width * share, sheets.height * share];
    const canvas = el("canvas", { width: Math.round(wide * ratio), height: Math.round(high * ratio), style: { width: `${wide}px`, height: `${high}px` }, "aria-hidden": "true" });
    const paint = () => sheets.draw(canvas.getContext("2d"), row, 0, 0, canvas.width, canvas.height, () => canvas.isConnected && paint());
    paint();
    return canvas;
  }
}
