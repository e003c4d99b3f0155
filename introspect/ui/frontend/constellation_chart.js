// A small line chart over the levels of a corruption; pressing it goes to the level pressed.

import { digits } from "./colour.js";
import { el } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH] = [370, 185];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 10, 8, 40];
export const DASHES = ["", "6 4"];

function shape(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** Round values from 0 to at least `most`, about `count` of them. */
export function roundSteps(most, count) {
  const raw = Math.max(most, 1e-9) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (Math.abs(step / power - 2.5) < 1e-6 ? 1 : 0));
  return { step, places };
}

/** The index of the level nearest to a value. */
export function nearestLevel(levels, value) {
  let best = 0;
  for (let i = 1; i < levels.length; i++) if (Math.abs(levels[i] - value) < Math.abs(levels[best] - value)) best = i;
  return best;
}

export class Chart {
  /** @param about {title, across, levels, published, series: [{name, colour, values}], most, unit}; go(index) */
  constructor(about, go) {
    Object.assign(this, { about, go });
    const { levels, series, title, across } = about;
    const top = Math.max(about.most ?? 0, ...series.flatMap(({ values }) => values), 1e-6);
    const up = roundSteps(top, 4);
    this.most = about.most ?? Math.ceil(top / up.step) * up.step;
    this.widest = Math.max(levels[levels.length - 1], 1e-9);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
    this.svg.setAttribute("role", "img");
    this.axes(up, across);
    series.forEach(({ values, colour }, i) => this.line(values, colour, DASHES[i % 2]));
    this.now = shape(this.svg, "line", { class: "now", y1: TOP, y2: HIGH - BOTTOM });
    this.dots = series.map(({ colour }) => shape(this.svg, "circle", { r: 4.5, fill: colour }));
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => event.buttons && this.press(event));
    this.node = el("figure", { class: "cloud-chart" }, el("figcaption", {}, title), this.svg);
  }

  x(level) {
    return LEFT + (level / this.widest) * (WIDE - LEFT - RIGHT);
  }

  y(value) {
    return HIGH - BOTTOM - (value / this.most) * (HIGH - TOP - BOTTOM);
  }

  axes({ step, places }, across) {
    const { svg } = this;
    const { unit, published } = this.about;
    for (let i = 0; i * step <= this.most * 1.0001; i++) {
      const y = this.y(i * step);
      shape(svg, "line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y, y2: y });
      shape(svg, "text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, `${digits(i * step, places)}${unit}`);
    }
    const along = roundSteps(this.widest, 5);
    for (let i = 0; i * along.step <= this.widest * 1.0001; i++) {
      const at = this.x(i * along.step);
      shape(svg, "text", { x: at, y: HIGH - BOTTOM + 15, "text-anchor": "middle" }, digits(i * along.step, along.places));
    }
    for (const level of published) {
      const at = this.x(level);
      shape(svg, "line", { class: "published", x1: at, x2: at, y1: HIGH - BOTTOM, y2: HIGH - BOTTOM + 5 });
    }
    shape(svg, "text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 8, "text-anchor": "middle" }, across);
  }

  line(values, colour, dash) {
    const { levels } = this.about;
    const path = values.map((value, i) => `${i ? "L" : "M"}${this.x(levels[i]).toFixed(1)} ${this.y(value).toFixed(1)}`).join("");
    shape(this.svg, "path", { class: "line", d: path, stroke: colour, "stroke-dasharray": dash });
  }

  press(event) {
    event.preventDefault();
    const box = this.svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDE;
    this.go(nearestLevel(this.about.levels, ((at - LEFT) / (WIDE - LEFT - RIGHT)) * this.widest));
  }

  /** Marks the level with this index. */
  mark(index) {
    const { levels, series, title, unit } = this.about;
    const at = this.x(levels[index]);
    this.now.setAttribute("x1", at);
    this.now.setAttribute("x2", at);
    this.dots.forEach((dot, i) => {
      dot.setAttribute("cx", at);
      dot.setAttribute("cy", this.y(series[i].values[index]));
    });
    const told = series.map(({ name, values }) => `${name} ${digits(values[index], 2)}${unit}`).join(", ");
    this.svg.setAttribute("aria-label", `${title} at ${levels[index]}: ${told}`);
  }
}

/** Which line is whose. */
export function lineKey(series) {
  return el(
    "div",
    { class: "cloud-lines" },
    ...series.map(({ name, colour }, i) => {
      const svg = document.createElementNS(SVG, "svg");
      shape(svg, "line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": DASHES[i % 2] });
      return el("span", {}, svg, name);
    }),
  );
}
