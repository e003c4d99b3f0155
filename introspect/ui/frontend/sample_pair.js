// Sample cards: one sample or two side by side, with everything that the network does with them.

import { Layers, readActivations, readJson } from "./brainbow_data.js";
import { classColours } from "./brainbow_paint.js";
import { Samples } from "./brainbow_sample.js";
import { count, digits, readTheme } from "./colour.js";
import { adopt, el } from "./element.js";
import { download } from "./export.js";
import { Gallery } from "./gallery.js";
import { mounted } from "./mounting.js";
import { Bars } from "./sample_pair_bars.js";
import { PairMap } from "./sample_pair_map.js";
import { Table } from "./table.js";

const STYLES = ["map.css", "panel.css", "brainbow.css", "sample_pair.css"];

/** Whether the answer is right, as a badge; none where nobody knows. */
export function badgesOf({ label, predicted, alarm, stranger }) {
  const badges = [];
  if (label !== null) badges.push(label === predicted ? ["right", "right"] : ["wrong", "wrong"]);
  if (alarm) badges.push(["alarm: unsure", "wrong"]);
  if (stranger) badges.push(["off the map", "wrong"]);
  return badges;
}

/** How far two samples lie apart, in words. */
export function tellApart(apart, nearest) {
  const told = [`On the map, A and B lie ${digits(apart.map, 3)} apart (units of z)`];
  if (apart.units !== null) {
    const times = nearest > 0 ? `, ${digits(apart.units / nearest, 1)} times as far as A's nearest sample` : "";
    told.push(`in activation space ${digits(apart.units, 2)} (Euclidean, over all units)${times}`);
  }
  return `${told.join("; ")}.`;
}

/** The distance in the note of a gallery's first item, NaN without one. */
export function nearestOf(items) {
  return items?.length ? Number(items[0][4].replace(/^distance /, "")) : NaN;
}

class Head {
  constructor() {
    this.node = el("section", { class: "pair-head sample" });
  }

  show(letter, card) {
    this.card = card;
    const list = (facts) => facts.flatMap(([name, value, help]) => [el("dt", { title: help }, name), el("dd", {}, value)]);
    const badges = badgesOf(card).map(([text, kind]) => el("span", { class: `badge ${kind}` }, text));
    this.picture = card.picture ? el("img", { class: "pair-picture", src: card.picture, alt: `Sample ${letter}, ${card.title}` }) : null;
    this.node.replaceChildren(
      el("div", { class: "sample-title" }, letter ? el("span", { class: "pair-letter" }, letter) : null, el("b", {}, card.title), ...badges),
      el("div", { class: "pair-top" }, this.picture ?? this.table(card.values), el("div", {}, el("dl", { class: "sample-facts" }, ...list(card.names)), el("dl", { class: "sample-facts wide" }, ...list(card.facts)))),
      el("div", { class: card.stranger ? "sample-warning" : "bb-quiet pair-verdict", role: card.stranger ? "alert" : null }, card.verdict),
    );
  }

  table({ rows, more }) {
    const lines = rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)));
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "input"), el("th", { scope: "col" }, "value")));
    const rest = more ? el("tr", {}, el("td", { colspan: 2, class: "bb-quiet" }, `and ${count(more)} more`)) : null;
    return el("div", { class: "pair-values", tabindex: 0, role: "region", "aria-label": "Values of the input" }, el("table", {}, head, el("tbody", {}, ...lines, rest)));
  }
}

class Near {
  constructor() {
    this.title = el("h4", {});
    this.host = el("div", {});
    this.wait = el("div", { class: "bb-quiet", role: "status" });
    this.gallery = new Gallery(this.host);
    this.node = el("div", { class: "pair-near" }, this.title, this.wait, this.host);
  }

  show(letter, items, component) {
    this.title.textContent = letter ? `Nearest to ${letter}` : "";
    this.title.hidden = !letter;
    this.wait.hidden = Boolean(items);
    this.host.hidden = !items;
    this.wait.textContent = "Not known yet; what is being done is told below.";
    if (!items) return undefined;
    const { blobs, map } = component.data;
    return this.gallery.show({ data: { blobs, manifest: map, items, size: 56, named: true }, setTriggerValue: component.setTriggerValue });
  }
}

class Pair {
  constructor(layers, table, host) {
    Object.assign(this, { layers, table });
    this.record = { ready: false, rev: 0 };
    this.heads = [new Head(), new Head()];
    this.near = [new Near(), new Near()];
    this.bars = new Bars(layers.classes);
    this.map = new PairMap(table, (row) => this.component.setTriggerValue("pick", row));
    this.units = el("div", { class: "pair-units" });
    this.unitsNote = el("div", { class: "bb-quiet" });
    this.apart = el("p", { class: "pair-apart", hidden: true });
    this.save = el("button", { type: "button", class: "menu", onclick: () => this.keep() }, "Save the card as PNG");
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true", ontransitionend: () => this.takeTheme() });
    this.cards = el("div", { class: "pair-heads" }, ...this.heads.map(({ node }) => node));
    this.root = el(
      "div",
      { class: "map pair brainbow" },
      el("div", { class: "pair-grid" }, el("div", { class: "pair-left" }, this.cards, this.bars.node), this.map.node),
      this.apart,
      el("section", {}, el("h3", {}, "Ordered activations"), this.unitsNote, this.units),
      el("section", {}, el("h3", {}, "Nearest in activation space"), el("div", { class: "bb-quiet" }, "Press one to make it sample B."), ...this.near.map(({ node }) => node)),
      el("div", { class: "bar" }, this.save),
      this.sentinel,
    );
    host.replaceChildren(this.root);
    this.samples = new Samples(layers, this.units, false);
    this.record.spot = (row) => {
      const box = this.map.stage.getBoundingClientRect();
      const slot = table.slots[row];
      const [x, y] = this.map.view.toPixel(this.map.points.x[slot], this.map.points.y[slot]);
      return [box.left + x, box.top + y];
    };
    this.record.crosses = () => this.map.places;
  }

  takeTheme() {
    const theme = readTheme(this.root);
    const text = JSON.stringify(theme);
    if (text === this.themed) return;
    Object.assign(this, { themed: text, theme });
    this.map.takeTheme(theme);
    if (this.shown) this.bars.show(this.shown, this.colours());
    this.record.rev++;
  }

  colours() {
    return classColours(this.table.manifest, this.theme);
  }

  /** @param cards what is known of A and perhaps B, their activations in `h` */
  show(cards, component) {
    this.shown = cards;
    this.takeTheme();
    const two = cards.length > 1;
    this.root.classList.toggle("both", two);
    this.heads.forEach((head, i) => {
      head.node.hidden = i >= cards.length;
      if (cards[i]) head.show(two ? "AB"[i] : "", cards[i]);
    });
    this.bars.show(cards, this.colours());
    this.map.show(cards.map(({ z }) => z), cards.flatMap(({ label, predicted }) => [label, predicted]));
    const known = cards.every(({ h }) => h);
    this.units.hidden = !known;
    this.unitsNote.hidden = known;
    this.unitsNote.textContent = known ? "" : "This atlas came without its network, so no sample can be run through it.";
    if (known) this.samples.show(cards.map(({ title, h }, i) => ({ title: two ? `${"AB"[i]}: ${title}` : title, values: h })));
    Object.assign(this.record, { titles: cards.map(({ title }) => title), ready: true, rev: this.record.rev + 1 });
    return this.follow(component);
  }

  /** What may come later than the samples themselves: their neighbours. */
  async follow(component) {
    this.component = component;
    const { near, apart } = component.data;
    this.apart.hidden = !apart;
    this.apart.textContent = apart ? tellApart(apart, nearestOf(near[0])) : "";
    await Promise.all(
      this.near.map((part, i) => {
        part.node.hidden = i >= near.length;
        return part.node.hidden ? undefined : part.show(near.length > 1 ? "AB"[i] : "", near[i], component);
      }),
    );
    this.record.near = near.map((items) => items && items.map(([row]) => row));
  }

  async keep() {
    const { toCard, toPng } = await import("./sample_pair_export.js");
    const blob = await toPng(await toCard(this));
    download(blob, "sample-card.png");
    this.record.saved = blob.size;
  }

  dispose() {
    this.map.dispose();
    this.samples.sizes.disconnect();
  }
}

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update(component) {
    const { data } = component;
    this.component = component;
    await Promise.all(STYLES.map((name) => adopt(this.host, new URL(name, import.meta.url).href)));
    const text = JSON.stringify([data.manifest, data.map, data.cards]);
    try {
      if (text !== this.text) await this.load(data, text);
      else if (this.pair?.shown) await this.pair.follow(this.component);
    } catch (error) {
      this.text = null;
      this.dispose();
      this.host.replaceChildren(el("div", { class: "map-wait", role: "alert" }, error.message));
    }
  }

  async load(data, text) {
    this.text = text;
    if (!this.pair) this.host.replaceChildren(el("div", { class: "map-wait", role: "status" }, "Fetching the sample…"));
    const ground = `${data.manifest} ${data.map}`;
    const parts = ground === this.ground ? [this.pair.layers, this.pair.table] : [Layers.load(data.blobs, data.manifest), Table.load(data.blobs, data.map)];
    const [layers, table, ...cards] = await Promise.all([...parts, ...data.cards.map((key) => this.card(data.blobs, key))]);
    if (text !== this.text) return; // a later choice overtook this one
    if (ground !== this.ground) {
      this.dispose();
      this.pair = new Pair(layers, table, this.host);
      this.ground = ground;
      window.__pair = this.pair.record; // what tests wait for
    }
    await this.pair.show(cards, this.component);
  }

  async card(blobs, key) {
    const about = await readJson(blobs, key);
    return { ...about, h: about.units && (await readActivations(blobs, about.units)) };
  }

  dispose() {
    this.pair?.dispose();
    this.pair = null;
    this.ground = null;
  }
}

/** Called by Streamlit at first and after every change of the data; answers how to take the cards away. */
export default mounted(Place);
