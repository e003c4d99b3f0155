// Accuracy over the steps of the training, with a cursor; pressing or dragging it goes to that moment.

import { count } from "./colour.js";
import { el } from "./element.js";
import { css } from "./evolution_map.js";

const [LEFT, RIGHT, TOP, FOOT, BAND, GAP] = [46, 14, 8, 32, 12, 7];

/** About so many round numbers from low to high. */
export function rounds(low, high, many) {
  const raw = Math.max(1e-9, (high - low) / many);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) values.push(Number((k * step).toPrecision(12)));
  return values;
}

/** The place between snapshots at which a step of the training lies. */
export function placeOf(steps, step) {
  let before = 0;
  while (before < steps.length - 2 && steps[before + 1] <= step) before++;
  return before + Math.min(1, Math.max(0, (step - steps[before]) / (steps[before + 1] - steps[before])));
}

export class Curve {
  /** @param run a Run; seek(at) */
  constructor(run, seek) {
    Object.assign(this, { run, seek });
    this.title = el("span", {});
    this.canvas = el("canvas", { class: "evolution-curve", role: "img" });
    this.still = document.createElement("canvas");
    this.node = el("div", { class: "evolution-chart" }, el("div", { class: "evolution-axis" }, this.title), this.canvas);
    const go = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const [first, last] = [run.steps[0], run.steps[run.last]];
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      seek(placeOf(run.steps, first + share * (last - first)));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons & 1 && go(event));
  }

  measure(ratio) {
    this.ratio = ratio;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    for (const canvas of [this.canvas, this.still]) Object.assign(canvas, { width: Math.round(this.width * ratio), height: Math.round(this.height * ratio) });
  }

  x(step) {
    const { steps, last } = this.run;
    return LEFT + ((step - steps[0]) / Math.max(1, steps[last] - steps[0])) * (this.width - LEFT - RIGHT);
  }

  y(share) {
    return TOP + ((1 - share) / (1 - this.low)) * (this.height - TOP - FOOT - BAND - GAP);
  }

  /** @param scene {theme, colours, only: codes or null, pinned} */
  paint({ theme, colours, only, pinned }) {
    if (!this.width) return;
    const { run, ratio } = this;
    this.theme = theme;
    const all = run.accuracy() ?? run.certainty();
    const chosen = run.labelled && only ? only.filter((code) => code < run.none && run.accuracy(code)) : [];
    const what = run.labelled ? `right answers among ${count(run.n)} test samples` : "mean certainty of the answers";
    const classes = chosen.length ? `; ${chosen.slice(0, 3).map((code) => run.table.classes[code]).join(", ")}${chosen.length > 3 ? " …" : ""} in colour` : "";
    this.title.textContent = `${what}, per cent${classes}${pinned >= 0 ? "; below: what the network says of the pinned sample" : ""}`;
    const series = [all, ...chosen.slice(0, 12).map((code) => run.accuracy(code))];
    this.values = all;
    this.low = Math.max(0, Math.floor(Math.min(...series.flat()) * 10 - 0.2) / 10);
    const context = this.still.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = `11px ${theme.font}`;
    this.paintAxes(context, theme);
    context.lineJoin = "round";
    chosen.slice(0, 12).forEach((code) => this.line(context, run.accuracy(code), css(colours[code]), 1.6));
    this.line(context, all, css(theme.text, 0.9), 2.2);
    for (let s = 0; s <= run.last; s++) {
      context.beginPath();
      context.arc(this.x(run.steps[s]), this.y(all[s]), 2.2, 0, 2 * Math.PI);
      context.fillStyle = css(theme.text, 0.9);
      context.fill();
    }
    if (pinned >= 0) this.paintBand(context, pinned, colours);
    const told = (share) => `${(100 * share).toFixed(1)} %`;
    this.canvas.setAttribute("aria-label", `${what}: ${told(all[0])} at step ${count(run.steps[0])}, ${told(all[run.last])} at step ${count(run.steps[run.last])}`);
  }

  paintAxes(context, theme) {
    const { run } = this;
    const foot = this.height - FOOT - BAND;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const share of rounds(this.low, 1, 3)) {
      context.fillStyle = css(theme.text, 0.09);
      context.fillRect(LEFT, this.y(share), this.width - LEFT - RIGHT, 1);
      context.fillStyle = css(theme.muted);
      context.fillText(`${Number((100 * share).toPrecision(4))} %`, LEFT - 6, this.y(share));
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    const many = Math.max(2, Math.min(8, this.width / 110));
    for (const step of rounds(run.steps[0], run.steps[run.last], many)) {
      const x = this.x(step);
      context.fillStyle = css(theme.text, 0.25);
      context.fillRect(x, foot + BAND, 1, 4);
      context.fillStyle = css(theme.muted);
      const edge = x > this.width - 30; // a number at the end must not be cut
      context.textAlign = edge ? "right" : "center";
      context.fillText(count(step), edge ? Math.min(this.width - 2, x + 12) : x, foot + BAND + 5);
    }
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.fillText("step in training", this.width - RIGHT, this.height);
  }

  line(context, values, colour, width) {
    context.beginPath();
    values.forEach((value, s) => context[s ? "lineTo" : "moveTo"](this.x(this.run.steps[s]), this.y(value)));
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }

  /** What the network says of one sample, as a strip in the colours of the answers. */
  paintBand(context, j, colours) {
    const { run } = this;
    const top = this.height - FOOT - BAND + 2;
    for (let s = 0; s <= run.last; s++) {
      const from = s ? (this.x(run.steps[s - 1]) + this.x(run.steps[s])) / 2 : LEFT;
      const to = s < run.last ? (this.x(run.steps[s]) + this.x(run.steps[s + 1])) / 2 : this.width - RIGHT;
      context.fillStyle = css(colours[run.predicted[s * run.n + j]]);
      context.fillRect(from, top, to - from + 0.5, BAND - 4);
    }
    context.fillStyle = css(this.theme.muted);
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText("says", LEFT - 6, top + (BAND - 4) / 2);
  }

  /** The cursor. */
  show(at) {
    if (!this.width || !this.theme) return;
    const { run, ratio, theme } = this;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [before, share] = run.split(at);
    const after = this.values[Math.min(run.last, before + 1)];
    const value = this.values[before] + share * (after - this.values[before]);
    const x = this.x(run.stepAt(at));
    context.fillStyle = css(theme.primary);
    context.fillRect(x - 0.75, 2, 1.5, this.height - FOOT);
    context.beginPath();
    context.arc(x, this.y(value), 5, 0, 2 * Math.PI);
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = css(theme.background);
    context.stroke();
  }
}
