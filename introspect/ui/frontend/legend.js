// The key to the colours: classes to click and point at, or a scale with the spread of its values.

import { along, count, digits, hex } from "./colour.js";
import { el } from "./element.js";
import { rampStrip } from "./layers.js";

export class Legend {
  /** @param on {isolate(codes|null), hover(code|-1)} */
  constructor(on) {
    this.on = on;
    this.title = el("div", { class: "legend-title" });
    this.list = el("div", { class: "legend-list", role: "group", "aria-label": "Classes: press to show only one" });
    this.node = el("div", { class: "legend glass" }, this.title, this.list);
    this.items = [];
  }

  /** @param colouring see colouring.js; counts: Map-like array per code; only: chosen codes or null */
  showClasses(title, colouring, counts, only) {
    const key = JSON.stringify([title, colouring.names, colouring.colours.map(hex), counts.map((c) => c > 0)]);
    if (key !== this.key) this.build(title, colouring, counts);
    this.key = key;
    for (const item of this.items) {
      const chosen = !only || only.includes(item.code);
      item.node.setAttribute("aria-pressed", String(Boolean(only) && chosen));
      item.node.classList.toggle("off", !chosen);
      item.number.textContent = count(counts[item.code]);
    }
    this.only = only;
  }

  build(title, colouring, counts) {
    this.title.textContent = title;
    this.items = [];
    this.list.replaceChildren();
    colouring.names.forEach((name, code) => {
      if (!counts[code] && code >= colouring.optionalFrom) return;
      const number = el("span", { class: "number" });
      const node = el(
        "button",
        {
          type: "button",
          class: "legend-item",
          title: `Show only ${name} (Ctrl or Shift: add to what is shown)`,
          onclick: (event) => this.choose(code, event.ctrlKey || event.metaKey || event.shiftKey),
          onpointerenter: (event) => event.pointerType === "mouse" && this.on.hover(code),
          onpointerleave: () => this.on.hover(-1),
          onfocus: (event) => event.target.matches(":focus-visible") && this.on.hover(code),
          onblur: () => this.on.hover(-1),
        },
        el("i", { class: "swatch", style: { background: hex(colouring.colours[code]) } }),
        el("span", { class: "name" }, name),
        number,
      );
      this.items.push({ code, node, number });
      this.list.append(node);
    });
  }

  choose(code, add) {
    const chosen = this.only || [];
    let next;
    if (add) next = chosen.includes(code) ? chosen.filter((c) => c !== code) : [...chosen, code];
    else next = chosen.length === 1 && chosen[0] === code ? [] : [code];
    this.on.isolate(next.length ? next.sort((a, b) => a - b) : null);
  }

  /** A score's scale with a histogram of the shown values. */
  showScale(score, values, mask, ramp, theme) {
    this.key = null;
    this.items = [];
    this.title.textContent = score.title;
    const canvas = el("canvas", { class: "spread", width: 300, height: 64, "aria-hidden": "true" });
    this.list.replaceChildren(
      canvas,
      el("div", { class: "strip", style: { background: rampStrip(ramp) } }),
      el("div", { class: "strip-ends" }, el("span", {}, format(score, score.shown[0])), el("span", {}, format(score, score.shown[1]))),
      el("div", { class: "legend-note" }, score.help),
    );
    const bins = new Float64Array(50);
    const [low, high] = score.shown;
    const scale = bins.length / Math.max(1e-12, high - low);
    for (let i = 0; i < values.length; i++) {
      if (!mask[i] || Number.isNaN(values[i])) continue;
      bins[Math.min(bins.length - 1, Math.max(0, Math.floor((values[i] - low) * scale)))]++;
    }
    const most = Math.max(...bins, 1);
    const context = canvas.getContext("2d");
    bins.forEach((amount, i) => {
      const tall = amount ? Math.max(1.5, (60 * Math.sqrt(amount)) / Math.sqrt(most)) : 0;
      context.fillStyle = hex(along(ramp, (i + 0.5) / bins.length));
      context.fillRect(i * 6, 64 - tall, 5.4, tall);
    });
    canvas.style.borderBottom = `1px solid ${hex(theme.muted)}`;
  }
}

/** A score's value as a short text with its unit. */
export function format(score, value) {
  if (!Number.isFinite(value)) return "unknown";
  if (score.kind === "percent") return `${value.toFixed(value < 99 ? 0 : 1)} %`;
  if (score.kind === "share") return value.toFixed(3);
  return digits(value, 2);
}

/** The colour bar of the error map. */
export class ErrorBar {
  constructor() {
    this.strip = el("div", { class: "strip" });
    this.ends = el("div", { class: "strip-ends" });
    this.node = el("div", { class: "errorbar glass" }, el("div", { class: "bar-title" }, "estimated error (log10)"), this.strip, this.ends);
  }

  show(visible, chart, ramp) {
    this.node.hidden = !visible;
    if (!visible) return;
    const middle = (chart.low + chart.high) / 2;
    this.strip.style.background = rampStrip(ramp);
    this.ends.replaceChildren(...[chart.low, middle, chart.high].map((v) => el("span", {}, digits(v, 1))));
  }
}
