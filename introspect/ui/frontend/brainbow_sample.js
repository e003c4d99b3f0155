// The ordered activations of one or two samples in the class-sorted network, and their difference.

import { Layers, readActivations } from "./brainbow_data.js";
import { addPanel, download, sheet, toPng } from "./brainbow_export.js";
import { classColours, diverging, painted, ramped, unitScales } from "./brainbow_paint.js";
import { Panel } from "./brainbow_panel.js";
import { count, digits, mix, readTheme, rgb } from "./colour.js";
import { adopt, el, tool } from "./element.js";
import { segments } from "./brainbow_segments.js";
import { rampStrip } from "./layers.js";
import { remover } from "./mounting.js";

const RANGES = [
  ["fixed", "One range", "The same colours for the same activation in every layer and every sample"],
  ["layer", "By layer", "Each layer against its own strongest expected unit: quiet layers become visible; still the same for every sample"],
];

const places = new WeakMap();

export class Samples {
  /** @param files whether the figure can be kept as a file of its own */
  constructor(data, host, files = true) {
    this.data = data;
    this.pinnedUnit = -1;
    this.hoveredUnit = -1;
    this.range = "fixed";
    this.rangeBy = segments("Range of the colours", RANGES, this.range, (range) => {
      this.range = range;
      this.rangeBy.choose(range);
      this.refresh();
    });
    this.strip = el("div", { class: "strip" });
    this.ends = el("div", { class: "strip-ends" });
    this.note = el("div", { class: "bb-quiet", "aria-live": "polite" });
    this.box = el("div", { class: "bb-samples" });
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true", ontransitionend: () => this.refresh() });
    const save = (kind) => tool("download", `Save the figure as ${kind.toUpperCase()}`, () => this.save(kind), { "data-export": kind });
    this.root = el("div", { class: "map brainbow" }, this.box, el("div", { class: "bar" }, this.rangeBy, el("div", { class: "bb-key", style: { width: "260px" } }, this.strip, this.ends), el("span", { class: "bb-space" }), files ? el("span", { class: "bb-files" }, save("svg"), save("png")) : null), this.note, this.sentinel);
    host.replaceChildren(this.root);
    this.sizes = new ResizeObserver(() => this.refresh(true));
    this.record = { rev: 0 };
  }

  /** @param shown [{title, values}]: one sample or two */
  show(shown) {
    this.shown = shown;
    const on = {
      hover: (unit) => this.hover(unit),
      leave: () => this.hover(-1),
      pin: (unit) => {
        this.pinnedUnit = unit === this.pinnedUnit ? -1 : unit;
        this.tell();
      },
      hovered: () => this.hoveredUnit,
      pinned: () => this.pinnedUnit,
    };
    const titles = shown.map(({ title }) => title);
    if (shown.length > 1) titles.push("A minus B");
    this.sizes.disconnect();
    this.panels = titles.map((title) => new Panel(this.data, on, { title, up: "unit, sorted" }));
    this.box.classList.toggle("single", titles.length === 1);
    this.box.replaceChildren(...this.panels.map(({ node }) => node));
    this.panels.forEach(({ stage }) => this.sizes.observe(stage));
    this.refresh(true);
  }

  refresh(measure = false) {
    const { data, shown } = this;
    if (!shown) return;
    const theme = readTheme(this.root);
    this.theme = theme;
    const [low, high] = this.reach();
    const scale = this.range === "layer" ? unitScales(data, data.first.name) : new Float32Array(data.p).fill(1);
    const ramp = data.manifest.ramp.map(rgb);
    const ground = mix(theme.background, theme.text, 0.06);
    const common = { order: data.first.order, blocks: data.blocks(data.first.name), only: -1, strength: 0.22, classes: classColours(data.manifest, theme), theme };
    this.panels.forEach((panel, i) => {
      if (measure) panel.measure();
      const bytes =
        i < shown.length
          ? ramped(data.p, ramp, (unit) => (shown[i].values[unit] / scale[unit] - low) / (high - low))
          : painted(data.p, (unit) => diverging((shown[0].values[unit] - shown[1].values[unit]) / scale[unit] / (high - low), ground));
      panel.draw({ ...common, bytes });
    });
    this.strip.style.background = rampStrip(ramp);
    this.ends.replaceChildren(...[low, high].map((value) => el("span", {}, digits(value, this.range === "layer" ? 2 : 0))));
    this.tell();
    this.record.rev++;
  }

  /** The lowest and the highest value that the colours tell apart. */
  reach() {
    const { data } = this;
    return this.range === "layer" ? [-data.depth(data.first.name), 1] : data.manifest.range;
  }

  hover(unit) {
    if (unit === this.hoveredUnit) return;
    this.hoveredUnit = unit;
    this.tell();
  }

  /** What the colours mean, in words. */
  get legend() {
    const [low, high] = this.reach();
    const what = this.range === "layer" ? "Activation as a share of the layer's strongest expected unit" : "Activation in the network's own units";
    const gap = digits(high - low, this.range === "layer" ? 2 : 0);
    return `${what}, the same range for every sample${this.shown.length > 1 ? `; the difference is blue where B is stronger (−${gap}), orange where A is (${gap})` : ""}.`;
  }

  tell() {
    const { data, shown } = this;
    const unit = this.hoveredUnit >= 0 ? this.hoveredUnit : this.pinnedUnit;
    this.panels.forEach((panel) => panel.mark());
    this.record.unit = unit;
    if (unit < 0) {
      this.note.textContent = this.legend;
      return;
    }
    const l = data.layerOf(unit);
    const code = data.first.preferred[unit];
    const values = shown.map(({ values: held }, i) => `${shown.length > 1 ? `${"AB"[i]}: ` : ""}${digits(held[unit], 2)}`);
    const liked = code < data.k ? `prefers ${data.classes[code]} (${digits(data.value(data.first.name, code, unit), 2)} expected)` : "prefers no class";
    this.note.textContent = `Layer ${l + 1}, unit ${count(unit - data.layers[l].start)}, ${liked}; here ${values.join(", ")}`;
  }

  async save(kind) {
    const gap = 14;
    const width = this.panels.reduce((sum, panel) => sum + panel.width + gap, 0);
    const svg = sheet(width, this.panels[0].height + 30, this.theme.background, "Ordered activations");
    let x = 0;
    for (const panel of this.panels) {
      addPanel(svg, panel, x, 0);
      x += panel.width + gap;
    }
    const text = new XMLSerializer().serializeToString(svg);
    if (kind === "svg") download(new Blob([text], { type: "image/svg+xml" }), "ordered-activations.svg");
    else download(await toPng(text), "ordered-activations.png");
  }
}

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update(component) {
    const { data } = component;
    const own = (name) => new URL(name, import.meta.url).href;
    await Promise.all([adopt(this.host, own("map.css")), adopt(this.host, own("brainbow.css"))]);
    const text = JSON.stringify([data.manifest, data.samples]);
    if (text === this.text) return;
    this.text = text;
    try {
      if (data.manifest !== this.manifest) {
        this.samples?.sizes.disconnect();
        this.samples = new Samples(await Layers.load(data.blobs, data.manifest), this.host);
        this.manifest = data.manifest;
        window.__ordered = this.samples.record; // what tests wait for
      }
      const shown = await Promise.all(data.samples.map(async ({ title, key }) => ({ title, values: await readActivations(data.blobs, key) })));
      if (text === this.text) this.samples.show(shown);
    } catch (error) {
      this.text = null;
      this.host.replaceChildren(el("div", { class: "map-wait bb-wait", role: "alert" }, error.message));
    }
  }
}

export default async function mount(component) {
  const { parentElement: parent } = component;
  const leave = remover(places, parent, () => {
    places.get(parent)?.samples?.sizes.disconnect();
    places.get(parent)?.host.remove();
    places.delete(parent);
  });
  if (!places.has(parent)) places.set(parent, new Place(parent));
  await places.get(parent).update(component);
  return leave;
}
