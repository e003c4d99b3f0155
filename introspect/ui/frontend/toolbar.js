// Controls round the stage: projection, colour, layers, filters and search above it, tools at its left edge.

import { colourNames } from "./address.js";
import { digits } from "./colour.js";
import { EVERYTHING, conditions } from "./filter.js";
import { el, icon, tool } from "./element.js";

const COLOUR_TITLES = { label: "Label", predicted: "Prediction", correct: "Right or wrong", split: "Split" };

export function colourTitle(table, name) {
  return COLOUR_TITLES[name] || table.manifest.scores.find((score) => score.name === name)?.title || name;
}

function select(label, options, value, onchange) {
  const node = el(
    "select",
    { "aria-label": label, onchange: (event) => onchange(event.target.value) },
    ...options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)),
  );
  return node;
}

/** A button that opens a small panel; Escape and a press elsewhere close it. */
function popover(name, title, panel) {
  panel.hidden = true;
  panel.classList.add("pop", "glass");
  const badge = el("span", { class: "count", hidden: true });
  const button = el("button", { type: "button", class: "menu", "aria-expanded": "false", "aria-haspopup": "dialog" }, icon(name), el("span", {}, title), badge);
  const box = el("div", { class: "pop-box" }, button, panel);
  const close = () => {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
  };
  const outside = (event) => {
    if (!event.composedPath().includes(box)) close();
  };
  button.addEventListener("click", () => {
    if (!panel.hidden) return close();
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside, true);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    close();
    button.focus();
  });
  return { box, button, badge, close };
}

export class Toolbar {
  constructor(map) {
    this.map = map;
    const { table } = map;
    this.views = el("div", { class: "segments", role: "radiogroup", "aria-label": "Projection" });
    for (const view of table.manifest.views) {
      const press = () => map.project(view.name);
      this.views.append(el("button", { type: "button", role: "radio", "data-view": view.name, title: view.help, onclick: press }, view.title));
    }
    this.views.hidden = table.manifest.views.length < 2;
    const options = colourNames(table).map((name) => [name, colourTitle(table, name)]);
    this.colour = select("Colour by", options, map.state.colour, (name) => map.colourBy(name));
    this.layers = popover("layers", "Layers", this.layerPanel());
    this.filter = popover("filter", "Filter", this.filterPanel());
    this.find = el("input", {
      type: "search",
      placeholder: "Find id…",
      "aria-label": "Find a sample by its id",
      onkeydown: (event) => {
        if (event.key === "Enter") this.find.classList.toggle("missing", !map.find(this.find.value));
      },
      oninput: () => this.find.classList.remove("missing"),
    });
    this.node = el(
      "div",
      { class: "bar" },
      this.views,
      el("label", { class: "field" }, el("span", {}, "Colour"), this.colour),
      this.layers.box,
      this.filter.box,
      el("div", { class: "find" }, icon("search"), this.find),
    );
    this.tools = this.toolStrip();
  }

  toolStrip() {
    const { map } = this;
    const mode = (name, title) => tool(name, title, () => map.use(name), { "data-tool": name });
    return el(
      "div",
      { class: "tools glass", role: "toolbar", "aria-label": "Map tools", "aria-orientation": "vertical" },
      mode("pan", "Move the map (drag)"),
      mode("lasso", "Lasso: draw round samples (or Shift-drag)"),
      mode("box", "Box: drag a rectangle round samples"),
      el("hr"),
      tool("plus", "Zoom in (+)", () => map.zoomBy(1.6)),
      tool("minus", "Zoom out (−)", () => map.zoomBy(1 / 1.6)),
      tool("home", "Show everything (0)", () => map.home()),
      el("hr"),
      tool("download", "Save as PNG", () => map.save("png"), { "data-export": "png" }),
      tool("download", "Save as SVG", () => map.save("svg"), { "data-export": "svg", class: "tool vector" }),
      tool("link", "Copy a link to this view", () => map.copyLink()),
      tool("full", "Full screen", () => map.fullScreen()),
    );
  }

  layerPanel() {
    const { map } = this;
    this.layerRows = {};
    const rows = [
      ["points", "Dots", "one dot, one sample"],
      ["mistakes", "Mistakes ringed", "label and prediction differ"],
      ["labels", "Class names", ""],
      ["error", "Error map", "estimated error at every place"],
      ["density", "Density", "how many dots lie here"],
      ["pictures", "Pictures", "in place of dots where there is room"],
    ].filter(([name]) => map.offers(name));
    const panel = el("div", { role: "dialog", "aria-label": "Layers" });
    for (const [name, title, help] of rows) {
      const box = el("input", { type: "checkbox", onchange: () => map.setLayer(name, { on: box.checked }) });
      const row = el("div", { class: "layer" }, el("label", {}, box, el("span", {}, title, help ? el("small", {}, help) : null)));
      let fade = null;
      if ("opacity" in map.state.layers[name]) {
        fade = el("input", { type: "range", min: 5, max: 100, "aria-label": `${title}: opacity`, oninput: () => map.setLayer(name, { opacity: fade.value / 100 }) });
        row.append(fade);
      }
      this.layerRows[name] = { box, fade };
      panel.append(row);
    }
    this.size = el("input", { type: "range", min: 50, max: 300, "aria-label": "Size of dots", oninput: () => map.setSize(this.size.value / 100) });
    panel.append(el("div", { class: "layer" }, el("label", {}, el("span", {}, "Size of dots")), this.size));
    return panel;
  }

  filterPanel() {
    const { map } = this;
    const { classes, manifest } = map.table;
    const any = [["", "any"]];
    const byCode = (name) => (value) => map.setFilter({ [name]: value === "" ? null : Number(value) });
    const choices = (names) => any.concat(names.map((text, code) => [String(code), text]));
    this.picks = {
      label: select("Label", choices(classes), "", byCode("label")),
      predicted: select("Prediction", choices(classes), "", byCode("predicted")),
      split: select("Split", choices(manifest.splits), "", byCode("split")),
    };
    this.wrong = el("input", { type: "checkbox", onchange: () => map.setFilter({ wrong: this.wrong.checked }) });
    const row = (title, node) => el("label", { class: "filter-row" }, el("span", {}, title), node);
    const panel = el(
      "div",
      { role: "dialog", "aria-label": "Filter" },
      map.table.labelled ? row("Label", this.picks.label) : null,
      row("Prediction", this.picks.predicted),
      row("Split", this.picks.split),
      map.table.labelled ? el("label", { class: "filter-check" }, this.wrong, "Mistakes only") : null,
      this.rangeRow(),
      el("button", { type: "button", class: "clear", onclick: () => map.setFilter({ ...EVERYTHING }) }, "Show all"),
    );
    return panel;
  }

  rangeRow() {
    const { map } = this;
    const score = map.table.manifest.scores.find((candidate) => candidate.name === "log_error");
    if (!score) return null;
    const shared = { type: "range", min: score.low, max: score.high, step: (score.high - score.low) / 200 };
    this.low = el("input", { ...shared, "aria-label": "Lowest estimated error (log10)" });
    this.high = el("input", { ...shared, "aria-label": "Highest estimated error (log10)" });
    this.range = el("output", {});
    const changed = (moved) => {
      if (Number(this.low.value) > Number(this.high.value)) (moved === this.low ? this.high : this.low).value = moved.value;
      const [low, high] = [Number(this.low.value), Number(this.high.value)];
      const step = shared.step;
      map.setFilter({ low: low > score.low + step / 2 ? low : null, high: high < score.high - step / 2 ? high : null });
    };
    this.low.addEventListener("input", () => changed(this.low));
    this.high.addEventListener("input", () => changed(this.high));
    this.score = score;
    return el("div", { class: "filter-range" }, el("div", { class: "filter-row" }, el("span", {}, "Estimated error (log10)"), this.range), el("div", { class: "two" }, this.low, this.high));
  }

  /** Shows the state of the map in every control. */
  refresh() {
    const { state } = this.map;
    for (const button of this.views.children) button.setAttribute("aria-checked", String(button.dataset.view === state.projection));
    this.colour.value = state.colour;
    for (const button of this.tools.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === state.tool));
    }
    for (const [name, { box, fade }] of Object.entries(this.layerRows)) {
      box.checked = state.layers[name].on;
      box.disabled = !this.map.possible(name);
      box.parentElement.title = box.disabled ? "The error map belongs to the InfoVAE projection." : "";
      if (fade) Object.assign(fade, { value: Math.round(100 * state.layers[name].opacity), disabled: box.disabled || !box.checked });
    }
    this.size.value = Math.round(100 * state.size);
    for (const [name, node] of Object.entries(this.picks)) node.value = state.filter[name] === null ? "" : String(state.filter[name]);
    this.wrong.checked = state.filter.wrong;
    if (this.score) {
      const { low, high } = state.filter;
      this.low.value = low ?? this.score.low;
      this.high.value = high ?? this.score.high;
      this.range.textContent = `${digits(low ?? this.score.low, 1)} … ${digits(high ?? this.score.high, 1)}`;
      const place = (v) => (100 * (v - this.score.low)) / (this.score.high - this.score.low);
      this.low.parentElement.style.setProperty("--from", `${place(low ?? this.score.low)}%`);
      this.low.parentElement.style.setProperty("--to", `${place(high ?? this.score.high)}%`);
    }
    const set = conditions(state.filter);
    this.filter.badge.hidden = !set;
    this.filter.badge.textContent = String(set);
  }
}
