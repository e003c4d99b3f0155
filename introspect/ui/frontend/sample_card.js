// One sample in the side panel: its picture, what the network says of it, and a few facts.

import { readTheme } from "./colour.js";
import { adopt, el } from "./element.js";
import { remover } from "./mounting.js";

const MOST = 12; // classes shown at once; the likeliest when there are more
const cards = new WeakMap();

function bar({ name, value, colour, dark, label }, onDark) {
  const share = Math.max(0, Math.min(1, value));
  return {
    name,
    node: el(
      "div",
      { class: `bar-row${label ? " own" : ""}`, role: "listitem" },
      el("span", { class: "bar-name", title: label ? `${name}: the label` : name }, name),
      el("span", { class: "bar-track" }, el("i", { style: { width: `${100 * share}%`, background: (onDark && dark) || colour } })),
      el("span", { class: "bar-value" }, share.toFixed(3)),
    ),
  };
}

class Card {
  constructor(host) {
    this.picture = el("img", { class: "sample-picture", alt: "" });
    this.title = el("div", { class: "sample-title" });
    this.names = el("dl", { class: "sample-facts" });
    this.facts = el("dl", { class: "sample-facts wide" });
    this.bars = el("div", { class: "bars", role: "list", "aria-label": "Outputs of the network by class" });
    this.warning = el("div", { class: "sample-warning", role: "alert", hidden: true });
    // A colour transition on the sentinel tells that the page's theme has changed.
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true", ontransitionend: () => this.shown && this.fill(this.shown.bars) });
    host.replaceChildren(
      el("div", { class: "sample" }, this.sentinel, el("div", { class: "sample-top" }, this.picture, el("div", {}, this.title, this.names)), this.facts, this.warning, this.bars),
    );
  }

  show(data) {
    this.shown = data;
    if (data.picture && this.picture.src !== data.picture) this.picture.src = data.picture;
    this.picture.hidden = !data.picture;
    this.picture.alt = data.title;
    this.title.replaceChildren(el("b", {}, data.title), ...data.badges.map(([text, kind]) => el("span", { class: `badge ${kind}` }, text)));
    const list = (facts) => facts.flatMap(([name, value, help]) => [el("dt", { title: help }, name), el("dd", {}, value)]);
    this.names.replaceChildren(...list(data.names));
    this.facts.replaceChildren(...list(data.facts));
    this.warning.hidden = !data.warning;
    this.warning.textContent = data.warning ?? "";
    this.fill(data.bars);
  }

  /** Bars that stay keep their node, so that their width glides. */
  fill(bars) {
    const { dark } = readTheme(this.bars);
    let chosen = bars;
    if (bars.length > MOST) chosen = [...bars].sort((a, b) => b.value - a.value).slice(0, MOST);
    const order = JSON.stringify(chosen.map(({ name, label }) => [name, label]));
    if (order !== this.order) {
      this.rows = chosen.map((entry) => bar(entry, dark));
      this.bars.replaceChildren(...this.rows.map((row) => row.node));
      this.order = order;
      return;
    }
    chosen.forEach((entry, i) => {
      const fresh = bar(entry, dark);
      const { node } = this.rows[i];
      const [held, wanted] = [node, fresh.node].map((one) => one.querySelector("i").style);
      held.width = wanted.width;
      held.background = wanted.background;
      node.querySelector(".bar-value").textContent = fresh.node.querySelector(".bar-value").textContent;
    });
  }
}

export default async function mount(component) {
  const { data, parentElement: parent } = component;
  const leave = remover(cards, parent, () => {
    cards.get(parent)?.host.remove();
    cards.delete(parent);
  });
  if (!cards.has(parent)) {
    const host = el("div", {});
    parent.append(host);
    cards.set(parent, { host });
    await adopt(host, new URL("map.css", import.meta.url).href);
    await adopt(host, new URL("panel.css", import.meta.url).href);
    cards.get(parent).card = new Card(host);
  }
  const entry = cards.get(parent);
  entry.data = data;
  entry.card?.show(entry.data);
  return leave;
}
