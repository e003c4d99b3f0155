// What the network says of one sample or two, class by class, and where both answers differ.

import { count, digits, hex } from "./colour.js";
import { el } from "./element.js";

const MOST = 12; // classes shown; the strongest of either sample when there are more
export const ORANGE = "#e76300";
export const BLUE = "#3f90da";

/** The classes that get a line: all, or the strongest of either sample with labels and answers among them. */
export function shownClasses(cards, most = MOST) {
  const codes = cards[0].outputs.map((_, code) => code);
  if (codes.length <= most) return codes;
  const told = new Set(cards.flatMap(({ label, predicted }) => [label, predicted]).filter((code) => code !== null));
  const strength = (code) => (told.has(code) ? 2 : 0) + Math.max(...cards.map(({ outputs }) => outputs[code]));
  return [...codes].sort((a, b) => strength(b) - strength(a) || a - b).slice(0, most).sort((a, b) => a - b);
}

/** What a class is to a sample: what the data say (✓), what the network says (●). */
export function marksOf({ label, predicted }, code) {
  return `${code === predicted ? "●" : ""}${code === label ? "✓" : ""}`;
}

/** The share of a bar from 0 to 1: outputs of networks without a link may leave that range. */
export const shareOf = (value) => Math.max(0, Math.min(1, value));

function words({ label, predicted }, code) {
  if (code === predicted && code === label) return ", predicted, rightly";
  if (code === predicted) return ", predicted";
  return code === label ? ", the label" : "";
}

export class Bars {
  constructor(classes) {
    this.classes = classes;
    this.list = el("div", { class: "pair-bars", role: "list" });
    this.note = el("div", { class: "bb-quiet" });
    this.node = el("section", { class: "pair-said" }, el("h3", {}, "What the network says"), this.list, this.note);
  }

  show(cards, colours) {
    const codes = shownClasses(cards);
    const two = cards.length > 1;
    this.list.classList.toggle("both", two);
    const head = two ? [el("div", { class: "pair-row head", "aria-hidden": "true" }, el("span"), el("b", {}, "A"), el("b", {}, "B"), el("b", {}, "A − B"))] : [];
    this.list.replaceChildren(...head, ...codes.map((code) => this.row(cards, code, hex(colours[code]))));
    const longest = Math.max(...codes.map((code) => this.classes[code].length));
    this.list.style.setProperty("--name", `${Math.min(132, 14 + 7 * longest)}px`);
    const left = this.classes.length - codes.length;
    const labelled = cards.some(({ label }) => label !== null);
    this.note.textContent = `Outputs of the network, 0 to 1. ● its answer${labelled ? ", ✓ the label" : ""}.${left ? ` ${count(left)} classes with weaker outputs are left out.` : ""}`;
  }

  row(cards, code, colour) {
    const name = this.classes[code];
    const said = cards.map((card, i) => `${cards.length > 1 ? `${"AB"[i]} ` : ""}${digits(card.outputs[code], 3)}${words(card, code)}`).join("; ");
    const cells = cards.map((card) =>
      el(
        "span",
        { class: "pair-bar" },
        el("span", { class: "pair-track" }, el("i", { style: { width: `${100 * shareOf(card.outputs[code])}%`, background: colour } })),
        el("span", { class: "pair-value" }, digits(card.outputs[code], 3)),
        el("span", { class: "pair-mark" }, marksOf(card, code)),
      ),
    );
    if (cards.length > 1) cells.push(this.gap(cards[0].outputs[code] - cards[1].outputs[code]));
    const own = cards.some((card) => marksOf(card, code));
    return el("div", { class: `pair-row${own ? " own" : ""}`, role: "listitem", title: `${name}: ${said}`, "aria-label": `${name}: ${said}` }, el("span", { class: "pair-name" }, name), ...cells);
  }

  gap(difference) {
    const half = 50 * Math.min(1, Math.abs(difference));
    const place = difference < 0 ? { left: `${50 - half}%`, width: `${half}%`, background: BLUE } : { left: "50%", width: `${half}%`, background: ORANGE };
    return el("span", { class: "pair-bar gap" }, el("span", { class: "pair-track" }, el("i", { style: place })), el("span", { class: "pair-value" }, digits(difference, 3)));
  }
}
