// The card of the sample that is pointed at or pinned: its picture, its label, and what the network says at the moment.

import { count, hex } from "./colour.js";
import { el } from "./element.js";

const SIDE = 84;

export class Card {
  /** @param evolution an Evolution */
  constructor(evolution) {
    this.evolution = evolution;
    this.canvas = el("canvas", { class: "card-picture", "aria-hidden": "true" });
    this.head = el("div", { class: "card-head" });
    this.body = el("div", { class: "card-body" });
    this.node = el("div", { class: "card glass", role: "status", hidden: true }, this.canvas, el("div", {}, this.head, this.body));
    this.text = "";
    this.pictured = -1;
  }

  /** Shows sample j beside its dot, wherever that is now; nothing with -1. */
  follow(j) {
    const { view, run, film } = this.evolution;
    this.node.hidden = j < 0;
    if (j < 0) return;
    const near = Math.round(film.at);
    const text = `${j} ${near} ${this.evolution.themed}`;
    if (text !== this.text) this.fill(j, near);
    this.text = text;
    const [px, py] = view.toPixel(run.x[j], run.y[j]);
    if (!this.wide || this.sized !== text) [this.wide, this.high, this.sized] = [this.node.offsetWidth, this.node.offsetHeight, text];
    const left = px + 20 + this.wide > view.width - view.insets.right ? px - this.wide - 20 : px + 20;
    const top = Math.min(view.height - this.high - 6, Math.max(6, py - this.high / 2));
    this.node.style.transform = `translate(${Math.round(Math.max(6, left))}px, ${Math.round(top)}px)`;
  }

  fill(j, near) {
    const { run, ground, sheets } = this.evolution;
    const { classes, ids } = run.table;
    const [label, says] = [run.label[j], run.says(j, near)];
    const known = label < run.none;
    const chip = (kind, code, more) =>
      el(
        "div",
        { class: "fact" },
        el("span", {}, kind),
        el("b", {}, el("i", { class: "swatch", style: { background: hex(ground.colours[code]) } }), classes[code] ?? "none", more && el("small", {}, more)),
      );
    const line = (text) => el("div", { class: "fact" }, el("span", {}, text));
    this.head.replaceChildren(
      el("b", {}, `#${count(ids[run.slot[j]])}`),
      known ? el("span", { class: `badge ${says === label ? "right" : "wrong"}` }, says === label ? "right" : "wrong") : null,
    );
    const from = known ? run.settled(j) : -1;
    const fate = from < 0 ? "wrong at the end" : from === 0 ? "right from the first snapshot on" : `right from step ${count(run.steps[from])} on`;
    this.body.replaceChildren(
      ...(known ? [chip("label", label)] : []),
      chip("says", says, ` ${Math.round(100 * run.certain(j, near))} % sure`),
      ...(known ? [line(fate)] : []),
    );
    this.canvas.hidden = !sheets;
    if (sheets && this.pictured !== j) this.paint(j);
  }

  paint(j) {
    const { sheets, run, record } = this.evolution;
    this.pictured = j;
    const share = SIDE / Math.max(sheets.width, sheets.height);
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [sheets.width * share, sheets.height * share];
    Object.assign(this.canvas, { width: Math.round(wide * ratio), height: Math.round(high * ratio) });
    Object.assign(this.canvas.style, { width: `${wide}px`, height: `${high}px` });
    const row = run.table.rows[run.slot[j]];
    const again = () => this.pictured === j && this.paint(j);
    if (sheets.draw(this.canvas.getContext("2d"), row, 0, 0, this.canvas.width, this.canvas.height, again)) record.pictured = Number(run.table.ids[run.slot[j]]);
  }
}
