// The table of classes: class at the start down, target across; a press on a number or a name chooses walks.

import { css } from "./attack_player_map.js";
import { percent, tellPair } from "./attack_flow_data.js";
import { luminance, mix } from "./colour.js";
import { el } from "./element.js";

const MANY = 24; // with more classes the table scrolls and names are shortened

/** What the numbers can be: title, value of a pair, text, and how strongly a cell is tinted (0 to 1). */
export const MEASURES = {
  success: { title: "Arrive, %", help: "Share of the walks that reach their target", of: (walks, at) => walks.rate[at], text: percent, tint: (value) => value },
  median: {
    title: "Median steps",
    help: "Median step at which the walks that arrive do so; the darker the sooner",
    of: (walks, at) => walks.median[at],
    text: (value) => (value >= 0 ? String(Math.round(value)) : "–"),
    tint: (value, walks) => 1 - value / walks.manifest.steps,
  },
  alarm: { title: "Alarm in time, %", help: "Share of the arriving walks whose alarm sounds no later than they arrive", of: (walks, at) => walks.alarm[at], text: percent, tint: (value) => value },
};

export class RateTable {
  /** @param view {walks, choose(source, column), tell(text)} */
  constructor(view) {
    this.view = view;
    this.walks = view.walks;
    const { classes, targets } = this.walks;
    this.sources = classes.map((_, code) => code).filter((code) => targets.some((_, j) => this.walks.number[this.walks.at(code, j)]));
    this.many = Math.max(this.sources.length, targets.length) > MANY;
    this.measure = "success";
    this.tabs = Object.entries(MEASURES).map(([name, { title, help }]) =>
      el("button", { type: "button", role: "radio", "aria-checked": String(name === this.measure), title: help, "data-measure": name, onclick: () => this.use(name) }, title),
    );
    this.cells = new Map();
    const head = el("tr", {}, el("th", { class: "flow-corner", scope: "col" }, el("span", {}, "from"), el("span", {}, "to")));
    targets.forEach((code, j) => head.append(this.heading(code, null, j, "col")));
    const body = this.sources.map((source) => {
      const row = el("tr", {}, this.heading(source, source, null, "row"));
      targets.forEach((_, j) => row.append(this.cell(source, j)));
      return row;
    });
    this.table = el("table", { class: this.many ? "flow-table many" : "flow-table", "aria-label": "Rates by class at the start and target class" }, el("thead", {}, head), el("tbody", {}, ...body));
    const hidden = classes.length - this.sources.length;
    const note = hidden ? `${hidden} ${hidden === 1 ? "class has" : "classes have"} no walk to another class here.` : "";
    this.node = el(
      "section",
      { class: "flow-rates" },
      el("div", { class: "segments", role: "radiogroup", "aria-label": "What the numbers are" }, ...this.tabs),
      el("div", { class: "flow-scroll" }, this.table),
      el("small", { hidden: !note }, note),
    );
    this.table.addEventListener("click", (event) => this.press(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
    const tell = (event) => {
      const place = this.placeOf(event);
      if (place && place.source !== null && place.column !== null) view.tell(tellPair(this.walks, place.source, place.column));
    };
    this.table.addEventListener("pointerover", tell);
    this.table.addEventListener("focusin", tell);
    this.table.addEventListener("pointerleave", () => view.tell(""));
    this.first = this.table.querySelector("td:not(.own)");
    if (this.first) this.first.tabIndex = 0;
  }

  heading(code, source, column, scope) {
    const name = this.walks.classes[code];
    const label = scope === "row" ? `All walks from ${name}` : `All walks towards ${name}`;
    const swatch = el("i", { class: "swatch" });
    const button = el("button", { type: "button", title: label, "aria-label": label, "aria-pressed": "false" }, swatch, el("span", {}, name));
    const node = el("th", { scope }, button);
    Object.assign(node, { code, swatch, button, place: { source, column } });
    this.cells.set(`${source},${column}`, node);
    return node;
  }

  cell(source, column) {
    const { walks } = this;
    const own = walks.targets[column] === source;
    const node = el("td", { class: own ? "own" : "", tabindex: own ? null : -1, "aria-label": tellPair(walks, source, column) });
    node.place = { source, column };
    this.cells.set(`${source},${column}`, node);
    return node;
  }

  placeOf(event) {
    return event.target.closest?.("td, th")?.place ?? null;
  }

  press(event) {
    const place = this.placeOf(event);
    if (!place || (place.source !== null && this.walks.targets[place.column] === place.source)) return;
    this.view.choose(place.source, place.column);
  }

  key(event) {
    const node = event.target.closest("td");
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.press(event);
    }
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    let row = this.sources.indexOf(node.place.source);
    let { column } = node.place;
    let next = null;
    do {
      row += move[0];
      column += move[1];
      next = this.cells.get(`${this.sources[row]},${column}`) ?? null;
    } while (next?.classList.contains("own"));
    if (!next) return;
    node.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  use(name) {
    this.measure = name;
    for (const tab of this.tabs) tab.setAttribute("aria-checked", String(tab.dataset.measure === name));
    this.paint();
  }

  takeTheme(theme, colours) {
    this.theme = theme;
    for (const node of this.cells.values()) if (node.swatch) node.swatch.style.background = css(colours[node.code]);
    this.paint();
  }

  paint() {
    const { walks, theme } = this;
    if (!theme) return;
    const { of, text, tint } = MEASURES[this.measure];
    for (const node of this.cells.values()) {
      const { source, column } = node.place;
      if (source === null || column === null) continue;
      if (node.classList.contains("own")) {
        node.textContent = "";
        continue;
      }
      const value = of(walks, walks.at(source, column));
      const known = value >= 0;
      node.textContent = known ? text(value) : "–";
      const ground = mix(theme.background, theme.primary, known ? 0.85 * Math.max(0, Math.min(1, tint(value, walks))) : 0);
      node.style.background = css(ground);
      node.style.color = known ? (luminance(ground) > 0.36 ? "#10151c" : "#ffffff") : "";
    }
  }

  /** Marks what is chosen; null stands for every class. */
  mark(source, column) {
    for (const node of this.cells.values()) {
      const here = node.place.source === source && node.place.column === column;
      const all = source === null && column === null;
      node.classList.toggle("chosen", here && !all);
      node.button?.setAttribute("aria-pressed", String(here && !all));
    }
  }
}
