// What moves beside the map: the picture, what was added to it, the probabilities, the error along the way.

import { digits, mix, pack, plainError, rampPixels, rgb } from "./colour.js";
import { el } from "./element.js";
import { rampStrip } from "./layers.js";
import { css, drawMark } from "./attack_player_map.js";

const LOW = { light: [33, 102, 172], dark: [82, 152, 219] };
const HIGH = { light: [178, 74, 0], dark: [240, 138, 48] };

/** 255 packed pixels from "less" over the ground to "more". */
export function divergingPixels(theme) {
  const side = theme.dark ? "dark" : "light";
  const zero = mix(theme.background, theme.text, 0.03);
  return Uint32Array.from({ length: 255 }, (_, i) => {
    const share = (i - 127) / 127;
    return pack(...mix(zero, share < 0 ? LOW[side] : HIGH[side], Math.abs(share) ** 0.8).map(Math.round));
  });
}

/** The level (−127 … 127) of the channel that moves most, for every pixel. */
export function strongest(levels, channels, size, out) {
  for (let i = 0; i < size; i++) {
    let most = levels[i];
    for (let c = 1; c < channels; c++) {
      const level = levels[c * size + i];
      if (Math.abs(level) > Math.abs(most)) most = level;
    }
    out[i] = most;
  }
  return out;
}

/** Pixels of clean + change as RGBA bytes; tables are stretched between `low` and `high`. */
export function pictureBytes(clean, levels, unit, channels, low, high, bytes) {
  const size = clean.length / channels;
  const scale = 255 / Math.max(1e-9, high - low);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      const at = (channels === 3 ? c * size : 0) + i;
      bytes[4 * i + c] = (clean[at] + levels[at] * unit - low) * scale;
    }
    bytes[4 * i + 3] = 255;
  }
  return bytes;
}

const ONE = "use one scale for all steps";
const EACH = "use each step's own scale";

export class Pictures {
  constructor(attack) {
    this.attack = attack;
    const { width, height } = attack;
    const canvas = () => el("canvas", { width, height, class: attack.manifest.pictures ? "player-picture" : "player-picture table" });
    this.now = canvas();
    this.change = canvas();
    const name = attack.manifest.pictures ? "The picture" : "The input";
    this.now.setAttribute("role", "img");
    this.change.setAttribute("role", "img");
    this.change.setAttribute("aria-label", "What was added to the sample, magnified");
    this.low = el("span", {});
    this.high = el("span", {});
    this.strip = el("i", { class: "player-strip" });
    this.gain = el("span", {});
    this.own = true;
    this.each = el("button", { type: "button", class: "player-link", onclick: () => this.toggle() }, ONE);
    this.node = el(
      "div",
      { class: "player-pictures" },
      el("figure", {}, this.now, el("figcaption", {}, name)),
      el(
        "figure",
        {},
        this.change,
        el("figcaption", {}, "What was added, ", this.gain),
        el("div", { class: "player-scale" }, this.low, this.strip, this.high),
        this.each,
      ),
    );
    this.bytes = new Uint8ClampedArray(4 * width * height);
    this.pixels = new Uint32Array(width * height);
    this.signed = new Int8Array(width * height);
    const { clean } = attack;
    this.range = attack.manifest.pictures ? attack.manifest.bounds : [Math.min(...clean) - 0.5, Math.max(...clean) + 0.5];
  }

  takeTheme(theme) {
    this.ramp = divergingPixels(theme);
    const stop = (i) => {
      const pixel = this.ramp[i];
      return `rgb(${pixel & 255},${(pixel >>> 8) & 255},${(pixel >>> 16) & 255})`;
    };
    this.strip.style.background = `linear-gradient(to right, ${[0, 32, 64, 96, 127, 158, 190, 222, 254].map(stop).join(", ")})`;
  }

  toggle() {
    this.own = !this.own;
    this.each.textContent = this.own ? ONE : EACH;
    this.again?.();
  }

  show(target, step) {
    const { attack } = this;
    const { levels, unit } = attack.perturbation(target, step);
    const { width, height, channels } = attack;
    pictureBytes(attack.clean, levels, unit, channels, ...this.range, this.bytes);
    this.now.getContext("2d").putImageData(new ImageData(this.bytes, width, height), 0, 0);
    strongest(levels, channels, width * height, this.signed);
    let full = 127;
    if (this.own) {
      full = 1e-6;
      for (let i = 0; i < this.signed.length; i++) full = Math.max(full, Math.abs(this.signed[i]));
    }
    const scale = 127 / full;
    for (let i = 0; i < this.pixels.length; i++) {
      this.pixels[i] = this.ramp[127 + Math.max(-127, Math.min(127, Math.round(this.signed[i] * scale)))];
    }
    this.change.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(this.pixels.buffer), width, height), 0, 0);
    const value = full * unit;
    if (value === this.said) return;
    this.said = value;
    this.gain.textContent = value > 1e-5 ? `magnified\u00a0×\u00a0${(1 / value).toPrecision(2).replace(/\.0$/, "")}` : "nothing yet";
    const edge = value > 1e-5 ? value.toPrecision(2) : "0";
    this.low.textContent = `−${edge}`;
    this.high.textContent = `+${edge}`;
  }
}

export class Bars {
  constructor(attack) {
    this.attack = attack;
    this.list = el("div", { class: "player-bars" });
    this.note = el("div", { class: "player-note" });
    this.node = el("div", { role: "group", "aria-label": "What the network says" }, el("div", { class: "player-title" }, "What the network says"), this.list, this.note);
  }

  choose(target, colours) {
    const { attack } = this;
    const { source, label } = attack.manifest;
    this.codes = attack.worth(target);
    this.rows = this.codes.map((code) => {
      const fill = el("i", { style: { background: css(colours[code]) } });
      const value = el("span", { class: "value" });
      const roles = [code === attack.targets[target] && "target", code === source && "start", code === label && code !== source && "label"].filter(Boolean);
      const node = el(
        "div",
        { class: `player-bar${roles.length ? " marked" : ""}` },
        el("span", { class: "name", title: attack.classes[code] }, attack.classes[code]),
        el("span", { class: "track" }, fill),
        value,
        el("span", { class: "role" }, roles.join(", ")),
      );
      return { fill, value, node };
    });
    this.list.replaceChildren(...this.rows.map((row) => row.node));
    const hidden = attack.classes.length - this.codes.length;
    this.note.textContent = hidden ? `${hidden} further classes stay lower on this path.` : "";
    this.note.hidden = !hidden;
  }

  show(target, step) {
    const { attack } = this;
    const first = attack.predicted[attack.at(target, step)];
    this.codes.forEach((code, i) => {
      const share = attack.output(target, step, code);
      const { fill, value, node } = this.rows[i];
      fill.style.transform = `scaleX(${Math.max(0, Math.min(1, share))})`;
      value.textContent = share.toFixed(2);
      node.classList.toggle("first", code === first);
    });
  }
}

const HIGH_CELLS = 240;
const STRIP = 1;
const CELLS = 4;

/** The units of every layer as a column, sorted by the class each prefers (the strip at its left): bright is active. */
export class Units {
  constructor(attack) {
    this.attack = attack;
    const { layers, low, high, ramp, count } = attack.manifest.units;
    this.layers = layers;
    this.ramp = rampPixels(ramp.map(rgb));
    this.canvas = el("canvas", { width: layers.length * (STRIP + CELLS), height: HIGH_CELLS, role: "img", "aria-label": `Activations of ${count} units in ${layers.length} layers` });
    const strip = el("i", { class: "player-strip", style: { background: rampStrip(ramp.map(rgb)) } });
    this.node = el(
      "div",
      { class: "player-units" },
      el("div", { class: "player-title" }, "Its units"),
      this.canvas,
      el("div", { class: "player-scale" }, el("span", {}, digits(low, 0)), strip, el("span", {}, digits(high, 0))),
      el("small", {}, `${count.toLocaleString("en-US")} activations, ${layers.length} ${layers.length === 1 ? "layer" : "layers"} from left to right, sorted by preferred class`),
    );
    this.canvas.title = layers.map(({ name }) => name).join(", ");
    this.pixels = new Uint32Array(this.canvas.width * HIGH_CELLS);
  }

  /** The strips of preferred classes, which stay as they are. */
  takeTheme(theme, colours) {
    const grey = pack(...theme.muted.map(Math.round));
    this.layers.forEach(({ from, to }, i) => {
      for (let row = 0; row < HIGH_CELLS; row++) {
        const code = this.attack.preferred[from + Math.floor((row * (to - from)) / HIGH_CELLS)];
        const pixel = colours[code] ? pack(...colours[code].map(Math.round)) : grey;
        this.pixels.fill(pixel, row * this.canvas.width + i * (STRIP + CELLS), row * this.canvas.width + i * (STRIP + CELLS) + STRIP);
      }
    });
  }

  show(target, step) {
    const levels = this.attack.activations(target, step);
    const { width } = this.canvas;
    this.layers.forEach(({ from, to }, i) => {
      const left = i * (STRIP + CELLS) + STRIP;
      for (let row = 0; row < HIGH_CELLS; row++) {
        const pixel = this.ramp[levels[from + Math.floor((row * (to - from)) / HIGH_CELLS)]];
        this.pixels.fill(pixel, row * width + left, row * width + left + CELLS);
      }
    });
    this.canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(this.pixels.buffer), width, HIGH_CELLS), 0, 0);
  }
}

const LEFT = 54;
const RIGHT = 14;
const TOP = 8;
const BAND = 12;

/** ê along the way, with the threshold, and the class the network says at every step as a band below. */
export class Sparkline {
  constructor(player) {
    this.player = player;
    this.attack = player.attack;
    this.still = document.createElement("canvas");
    this.canvas = el("canvas", { class: "player-spark", role: "img" });
    this.node = el("div", { class: "player-spark-box" }, this.canvas);
    this.alarm = el("span", { class: "player-threshold" });
    this.head = el("div", { class: "player-axis" }, el("span", {}, "estimated error ê(h), at every step"), this.alarm);
    const seek = (event) => {
      const box = this.canvas.getBoundingClientRect();
      player.seek(((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * player.last);
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      player.pause();
      seek(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons & 1 && seek(event));
    const { log_error: a, log_error_map: b, manifest } = this.attack;
    let [low, high] = [manifest.threshold, manifest.threshold];
    for (const values of [a, b]) for (const v of values) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
    this.range = [Math.floor(low * 2) / 2 - 0.1, Math.ceil(high * 2) / 2 + 0.1];
  }

  measure(ratio) {
    this.ratio = ratio;
    this.width = this.node.clientWidth;
    this.height = this.node.clientHeight;
    for (const canvas of [this.canvas, this.still]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
  }

  x(step) {
    return LEFT + (step / Math.max(1, this.player.last)) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const [low, high] = this.range;
    return TOP + ((high - value) / (high - low)) * (this.height - TOP - BAND - 8);
  }

  line(context, values, target) {
    context.beginPath();
    for (let step = 0; step <= this.player.last; step++) {
      context[step ? "lineTo" : "moveTo"](this.x(step), this.y(values[this.attack.at(target, step)]));
    }
    context.stroke();
  }

  paint(chosen, theme, colours) {
    if (!this.width) return;
    const { attack, ratio } = this;
    const { manifest } = attack;
    this.theme = theme;
    this.colour = colours[attack.targets[chosen]];
    const context = this.still.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const [low, high] = this.range;
    const every = high - low > 5 ? 2 : 1;
    for (let v = Math.ceil(low / every) * every; v <= high; v += every) {
      context.fillStyle = css(theme.text, 0.08);
      context.fillRect(LEFT, this.y(v), this.width - LEFT - RIGHT, 1);
      context.fillStyle = css(theme.muted);
      context.fillText(v >= -2 ? String(Number((10 ** v).toPrecision(3))) : `10${[...String(v)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("")}`, LEFT - 6, this.y(v));
    }
    context.lineWidth = 1;
    context.strokeStyle = css(theme.text, 0.14);
    const many = attack.targets.length > 24;
    attack.targets.forEach((_, target) => target !== chosen && !many && this.line(context, attack.log_error, target));
    context.lineWidth = 1.4;
    context.strokeStyle = css(theme.muted);
    context.setLineDash([2, 3]);
    this.line(context, attack.log_error_map, chosen);
    context.setLineDash([]);
    context.lineWidth = 5;
    context.strokeStyle = css(theme.background, 0.85);
    this.line(context, attack.log_error, chosen);
    context.lineWidth = 2.2;
    context.strokeStyle = css(this.colour);
    this.line(context, attack.log_error, chosen);
    this.paintThreshold(context, manifest, theme);
    const [goal, alarm] = [manifest.success[chosen], manifest.alarm[chosen]];
    const value = (step) => this.y(attack.log_error[attack.at(chosen, step)]);
    if (alarm >= 0) drawMark(context, "diamond", this.x(alarm), value(alarm), 5, theme.background, theme, 1.8);
    if (goal >= 0 && !attack.fate(chosen).own) drawMark(context, "dot", this.x(goal), value(goal), 4.5, this.colour, theme, 1.8);
    const foot = this.height - BAND;
    const wide = (this.width - LEFT - RIGHT) / Math.max(1, this.player.last);
    for (let step = 0; step <= this.player.last; step++) {
      context.fillStyle = css(colours[attack.predicted[attack.at(chosen, step)]]);
      const from = Math.max(LEFT, this.x(step) - wide / 2);
      context.fillRect(from, foot, Math.min(this.width - RIGHT, this.x(step) + wide / 2) - from + 0.5, BAND - 3);
    }
    context.fillStyle = css(theme.muted);
    context.fillText("says", LEFT - 6, foot + 4);
    this.canvas.setAttribute("aria-label", `Estimated error along the way towards ${attack.classes[attack.targets[chosen]]}: ${attack.fate(chosen).text}.`);
  }

  paintThreshold(context, { threshold, alarmShare }, theme) {
    const y = this.y(threshold);
    context.strokeStyle = theme.dark ? "#f08a30" : "#b24a00";
    context.lineWidth = 1.5;
    context.setLineDash([7, 4]);
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(this.width - RIGHT, y);
    context.stroke();
    context.setLineDash([]);
    this.alarm.style.color = context.strokeStyle;
    this.alarm.textContent = `alarm above ${plainError(threshold)}${alarmShare ? ` (${alarmShare})` : ""}`;
  }

  show(target, step) {
    if (!this.width || !this.theme) return;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    const { ratio, theme } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = css(theme.text, 0.85);
    context.fillRect(this.x(step) - 0.75, 2, 1.5, this.height - 4);
    drawMark(context, "dot", this.x(step), this.y(this.attack.log_error[this.attack.at(target, step)]), 5, this.colour, theme, 2);
  }
}

/** The figures of one step as [name, value, explanation]. */
export function facts(attack, target, step) {
  const at = attack.at(target, step);
  const { pictures } = attack.manifest;
  const l1 = attack.linf[at];
  return [
    ["L∞", `${l1.toFixed(3)}${pictures ? ` (${Math.round(255 * l1)} of 255 grey levels)` : ""}`, `The most that any single value of the input has moved, in units of the input${pictures ? " (0 to 1)" : ""}`],
    ["L2", attack.l2[at].toFixed(2), `Euclidean length of all that was added, over ${attack.inputs.toLocaleString("en-US")} values`],
    ["ê(h)", `${plainError(attack.log_error[at])} (${digits(attack.log_error[at], 2)})`, "Estimated error from all activations, and its log10; the alarm listens to this one"],
    ["ê(z)", `${plainError(attack.log_error_map[at])} (${digits(attack.log_error_map[at], 2)})`, "Estimated error at this place of the map, and its log10: the ground's tint"],
  ];
}
