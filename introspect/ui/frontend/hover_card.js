// The card beside the pointer: one sample's picture and the few things worth knowing about it.

import { count, digits, hex, plainError } from "./colour.js";
import { el } from "./element.js";

const SIDE = 92;

export class HoverCard {
  constructor() {
    this.canvas = el("canvas", { class: "card-picture", "aria-hidden": "true" });
    this.head = el("div", { class: "card-head" });
    this.body = el("div", { class: "card-body" });
    this.node = el("div", { class: "card glass", role: "status", "aria-live": "polite", hidden: true }, this.canvas, el("div", {}, this.head, this.body));
    this.slot = -1;
    this.since = 0; // when the pointer came, for the record
  }

  hide() {
    this.slot = -1;
    this.node.hidden = true;
  }

  /** Shows slot's card with its corner near (px, py), kept inside the stage. */
  show(map, slot, px, py) {
    if (slot !== this.slot) this.fill(map, slot);
    this.slot = slot;
    this.node.hidden = false;
    const { offsetWidth: wide, offsetHeight: high } = this.node;
    const left = px + 18 + wide > map.view.width ? px - wide - 18 : px + 18;
    const top = Math.min(map.view.height - high - 6, Math.max(6, py - high / 2));
    this.node.style.transform = `translate(${Math.round(Math.max(6, left))}px, ${Math.round(top)}px)`;
  }

  fill(map, slot) {
    const { table, sheets } = map;
    const chip = (kind, code, names) =>
      el(
        "div",
        { class: "fact" },
        el("span", {}, kind),
        el("b", {}, el("i", { class: "swatch", style: { background: hex(map.classColours[code] || map.theme.muted) } }), names[code] ?? "none"),
      );
    const verdict = ["wrong", "right", "unlabelled"][table.correct[slot]];
    this.head.replaceChildren(
      el("b", {}, `#${count(table.ids[slot])}`),
      el("span", { class: "badge quiet" }, table.manifest.splits[table.split[slot]] || ""),
      table.correct[slot] < 2 ? el("span", { class: `badge ${verdict}` }, verdict) : null,
    );
    const facts = [];
    if (table.correct[slot] < 2) facts.push(chip("label", table.label[slot], [...table.classes, "none"]));
    facts.push(chip("prediction", table.predicted[slot], table.classes));
    const estimate = table.scores.get("log_error");
    if (estimate) {
      const value = estimate[slot];
      facts.push(
        el("div", { class: "fact" }, el("span", {}, "estimated error"), el("b", {}, plainError(value), el("small", {}, ` log10 ${digits(value, 2)}`))),
      );
    }
    this.body.replaceChildren(...facts);
    this.canvas.hidden = !sheets;
    if (sheets) this.paint(map, slot);
    else map.report({ cardMs: performance.now() - this.since });
  }

  paint(map, slot) {
    const { sheets, table } = map;
    const share = SIDE / Math.max(sheets.width, sheets.height);
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [sheets.width * share, sheets.height * share];
    Object.assign(this.canvas, { width: Math.round(wide * ratio), height: Math.round(high * ratio) });
    Object.assign(this.canvas.style, { width: `${wide}px`, height: `${high}px` });
    const again = () => this.slot === slot && this.paint(map, slot);
    const drawn = sheets.draw(this.canvas.getContext("2d"), table.rows[slot], 0, 0, this.canvas.width, this.canvas.height, again);
    if (drawn) map.report({ pictured: Number(table.ids[slot]), cardMs: performance.now() - this.since });
  }
}
