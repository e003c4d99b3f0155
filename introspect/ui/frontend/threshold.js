// A threshold on a score of doubt: what it would catch and what it would cost, while it is moved.

import { count, digits, plainError } from "./colour.js";
import { adopt, el } from "./element.js";
import { remover } from "./mounting.js";
import { nearest, outcome, share, ticks, under } from "./trade.js";

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [190, 8, 8, 16, 36];
const PAUSE = 350; // milliseconds of rest before the page is told
const places = new WeakMap();

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

class Threshold {
  constructor(host) {
    this.chart = shape("svg", { class: "trade-chart", height: HEIGHT, "aria-hidden": "true" });
    this.slider = el("input", { type: "range", min: 0, step: 1, "aria-label": "Threshold", oninput: () => this.move(Number(this.slider.value)) });
    this.level = el("span", { class: "trade-level" });
    this.said = el("p", { class: "trade-said", "aria-live": "polite" });
    this.cells = Object.fromEntries(["caught", "missed", "alarms", "passed"].map((name) => [name, el("td", { class: name })]));
    this.presets = el("div", { class: "trade-presets", role: "group", "aria-label": "Thresholds to try" });
    const head = (text) => el("th", { scope: "col" }, text);
    const row = (text, ...cells) => el("tr", {}, el("th", { scope: "row" }, text), ...cells);
    host.append(
      el(
        "div",
        { class: "trade" },
        el("div", { class: "trade-top" }, this.level, this.presets),
        this.chart,
        this.slider,
        el(
          "div",
          { class: "trade-bottom" },
          this.said,
          el(
            "table",
            { class: "trade-table" },
            el("thead", {}, el("tr", {}, el("td", {}), head("wrong answers"), head("right answers"))),
            el("tbody", {}, row("flagged", this.cells.caught, this.cells.alarms), row("let through", this.cells.missed, this.cells.passed)),
          ),
        ),
      ),
    );
    for (const name of ["pointerdown", "pointermove"]) this.chart.addEventListener(name, (event) => this.drag(event));
    new ResizeObserver(() => this.draw()).observe(this.chart);
  }

  show(component) {
    const { data } = component;
    this.component = component;
    const fresh = data.about !== this.data?.about;
    this.data = data;
    this.slider.max = data.threshold.length - 1;
    if (fresh) {
      this.step = data.start;
      this.offer();
    }
    this.draw();
    this.paint();
  }

  offer() {
    const { data } = this;
    const wanted = [
      ["1 % false alarms", under(data.alarms, 0.01 * data.rights)],
      ["5 % false alarms", under(data.alarms, 0.05 * data.rights)],
      ["half of the errors", nearest(data.caught, 0.5 * data.wrongs)],
      ["95 % of the errors", nearest(data.caught, 0.95 * data.wrongs)],
    ];
    this.presets.replaceChildren(
      ...wanted.map(([name, step]) => el("button", { type: "button", onclick: () => this.move(step) }, name)),
    );
  }

  drag(event) {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    if (event.type === "pointerdown") this.chart.setPointerCapture(event.pointerId);
    const box = this.chart.getBoundingClientRect();
    const { threshold } = this.data;
    const place = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    this.move(Math.round(Math.min(1, Math.max(0, place)) * (threshold.length - 1)));
  }

  move(step) {
    this.step = step;
    const began = performance.now();
    this.paint();
    window.__threshold = { step, moves: (window.__threshold?.moves ?? 0) + 1, ms: performance.now() - began };
    clearTimeout(this.later);
    this.later = setTimeout(() => this.component.setStateValue("step", [this.data.about, this.step]), PAUSE);
  }

  x(value) {
    const { threshold } = this.data;
    const [low, high] = [threshold[0], threshold[threshold.length - 1]];
    return LEFT + ((value - low) / (high - low)) * (this.width - LEFT - RIGHT);
  }

  /** Everything that stays while the threshold moves: right answers upwards, wrong ones downwards. */
  draw() {
    if (!this.data) return;
    this.width = this.chart.clientWidth || 600;
    const { data } = this;
    const middle = TOP + (HEIGHT - TOP - BOTTOM) / 2;
    const room = (HEIGHT - TOP - BOTTOM) / 2 - 2;
    const low = data.threshold[0];
    const high = data.threshold[data.threshold.length - 1];
    const wide = (this.width - LEFT - RIGHT) / data.right.length;
    const bars = (values, colour, up) => {
      const top = Math.max(1, ...values);
      return values.map((value, i) => {
        const tall = value ? Math.max(1, (value / top) * room) : 0;
        return shape("rect", { x: LEFT + i * wide, y: up ? middle - tall : middle, width: Math.max(0.5, wide - 1), height: tall, fill: colour });
      });
    };
    this.shade = shape("rect", { class: "trade-shade", y: TOP, height: HEIGHT - TOP - BOTTOM, x: 0, width: 0 });
    this.line = shape("line", { class: "trade-line", y1: TOP - 6, y2: HEIGHT - BOTTOM + 4 });
    this.grip = shape("circle", { class: "trade-grip", r: 6, cy: TOP - 6 });
    const axis = ticks(low, high).flatMap((value) => [
      shape("line", { class: "trade-tick", x1: this.x(value), x2: this.x(value), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
      shape("text", { class: "trade-text", x: this.x(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, digits(value, Number.isInteger(value) ? 0 : 1)),
    ]);
    this.chart.replaceChildren(
      this.shade,
      ...bars(data.right, data.colours[0], true),
      ...bars(data.wrong, data.colours[1], false),
      shape("line", { class: "trade-tick", x1: LEFT, x2: this.width - RIGHT, y1: middle, y2: middle }),
      shape("text", { class: "trade-text strong", x: this.width - RIGHT - 4, y: TOP + 12, "text-anchor": "end" }, `right answers (${count(data.rights)})`),
      shape("text", { class: "trade-text strong", x: this.width - RIGHT - 4, y: HEIGHT - BOTTOM - 5, "text-anchor": "end" }, `wrong answers (${count(data.wrongs)})`),
      ...axis,
      shape("text", { class: "trade-text", x: this.width / 2, y: HEIGHT - 4, "text-anchor": "middle" }, data.unit),
      this.line,
      this.grip,
    );
    this.paint();
  }

  /** What follows the threshold. */
  paint() {
    const { data, step } = this;
    if (!data || !this.line) return;
    const value = data.threshold[step];
    const place = this.x(value);
    this.line.setAttribute("x1", place);
    this.line.setAttribute("x2", place);
    this.grip.setAttribute("cx", place);
    this.shade.setAttribute("x", place);
    this.shade.setAttribute("width", Math.max(0, this.width - RIGHT - place));
    const found = outcome(data, step);
    for (const [name, node] of Object.entries(this.cells)) node.textContent = count(found[name]);
    const level = data.kind === "msp" ? `MSP below ${(1 - 10 ** value).toPrecision(4)}` : `expected error above ${plainError(value)}`;
    this.level.textContent = `Flagged: ${level}`;
    this.said.replaceChildren(
      "Of ", el("b", {}, count(data.wrongs)), " wrong answers it catches ", el("b", {}, `${count(found.caught)} (${share(found.caught, data.wrongs)})`),
      ". It costs ", el("b", {}, `${count(found.alarms)} false alarms`), `, ${share(found.alarms, data.rights)} of the ${count(data.rights)} right answers. `,
      `${count(found.caught + found.alarms)} of ${count(data.rights + data.wrongs)} answers (${share(found.caught + found.alarms, data.rights + data.wrongs)}) are set aside; `,
      `of those let through ${share(found.missed, found.missed + found.passed)} are wrong, instead of ${share(data.wrongs, data.rights + data.wrongs)}.`,
    );
    if (Number(this.slider.value) !== step) this.slider.value = step;
    this.slider.setAttribute("aria-valuetext", `${level}: ${count(found.caught)} caught, ${count(found.alarms)} false alarms`);
  }
}

export default async function mount(component) {
  const { parentElement: parent } = component;
  const leave = remover(places, parent, () => {
    places.get(parent)?.host.remove();
    places.delete(parent);
  });
  if (!places.has(parent)) {
    const host = el("div", {});
    parent.append(host);
    const entry = { host };
    places.set(parent, entry);
    await adopt(host, new URL("threshold.css", import.meta.url).href);
    entry.part = new Threshold(host);
    entry.part.show(entry.latest ?? component);
  } else {
    const entry = places.get(parent);
    entry.latest = component;
    entry.part?.show(component);
  }
  return leave;
}
