// The brainbow: all units before and after sorting, one class's path through the layers, and each unit's own card.

import { Layers, readJson, Strongest } from "./brainbow_data.js";
import { download, toPng, toSvg } from "./brainbow_export.js";
import { columnsIn, classColours, differenceReach, diverging, fillColumns, unitColours } from "./brainbow_paint.js";
import { UnitCard } from "./brainbow_card.js";
import { MARGINS, Panel, skip } from "./brainbow_panel.js";
import { segments } from "./brainbow_segments.js";
import { count, digits, hex, readTheme, rgb } from "./colour.js";
import { adopt, el, tool } from "./element.js";
import { rampStrip } from "./layers.js";
import { remover } from "./mounting.js";
import { Sheets } from "./sheets.js";

const COLOURS = [
  ["mixture", "Mixture", "Every class colour, weighted by how much the unit answers to that class (eq. 11)"],
  ["preferred", "Preferred class", "The colour of the class that the unit answers most (eq. 10)"],
  ["activation", "Activation", "How strongly the unit answers: to the chosen class, or to its own"],
];
const FEW = 24; // small pictures of single classes that are shown without scrolling
const places = new WeakMap();

class Figure {
  constructor(data) {
    this.data = data;
    this.state = { colour: "mixture", way: data.first.name, only: -1 };
    Object.assign(this, { pinnedUnit: -1, hoveredUnit: -1, hinted: -1, strongest: null, sheets: null });
    this.record = { ready: false, rev: 0 };
  }

  mount(parent) {
    const { data } = this;
    const on = {
      hover: (unit) => this.hover(unit),
      leave: () => this.hover(-1),
      pin: (unit) => this.pin(unit),
      hovered: () => this.hoveredUnit,
      pinned: () => this.pinnedUnit,
    };
    this.before = new Panel(data, on, { title: "As trained", up: "unit", help: "Every column is a layer, every line of it a unit, in the order the network has them." });
    this.after = new Panel(data, on, { title: "Sorted by preferred class", up: "unit, sorted", help: "The same units, sorted within each layer by the class they answer most." });
    this.card = new UnitCard(data);
    const ways = [...data.ways.values()].map(({ name, title }) => [
      name,
      title,
      name === "decoder" ? "What the map's decoder answers to the mean place of the class (eqs. 8 and 9)" : "The plain mean over the training samples of the class",
    ]);
    if (data.compares) ways.push(["difference", "Difference", "Decoder minus sample mean: what passing through two numbers costs"]);
    this.colourBy = segments("Colour of the units", COLOURS, this.state.colour, (colour) => this.set({ colour }));
    this.wayBy = segments("Where expectations come from", ways, this.state.way, (way) => this.set({ way }));
    this.chips = this.makeChips();
    this.counts = el("canvas", { class: "bb-counts", role: "img" });
    this.countsNote = el("div", { class: "bb-quiet", "aria-live": "polite" });
    this.key = el("div", { class: "bb-key" });
    this.paths = el("div", { class: `bb-paths${data.k > FEW ? " many" : ""}`, role: "group", "aria-label": "Expected activations of every class: press to follow one" });
    this.status = el("div", { class: "bb-status", "aria-live": "polite" });
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true" });
    this.root = el(
      "div",
      { class: "map brainbow" },
      el("div", { class: "bar" }, this.colourBy, this.wayBy, el("span", { class: "bb-space" }), el("span", { class: "bb-files" }, tool("download", "Save the figure as SVG", () => this.save("svg"), { "data-export": "svg" }), tool("download", "Save the figure as PNG", () => this.save("png"), { "data-export": "png" }))),
      el("div", { class: "bb-chips", role: "group", "aria-label": "Classes: press to follow one through the layers" }, ...this.chips),
      el(
        "div",
        { class: "bb-body" },
        el("div", { class: "bb-panels" }, this.before.node, this.after.node, this.key, el("div", { class: "bb-countbox" }, this.counts, this.countsNote)),
        this.card.node,
      ),
      el("h3", {}, "Expected activation of every class, sorted"),
      this.paths,
      this.status,
      this.sentinel,
    );
    parent.replaceChildren(this.root);
    this.counts.addEventListener("pointermove", (event) => this.tellCount(event));
    this.counts.addEventListener("pointerleave", () => this.tellCounts());
    this.counts.addEventListener("click", (event) => this.isolate(this.blockAt(event)?.code ?? -1));
    this.sizes = new ResizeObserver(() => {
      this.before.measure();
      this.after.measure();
      this.refresh();
    });
    this.sizes.observe(this.after.stage);
    // A colour transition on the sentinel tells that the page's theme has changed.
    this.sentinel.addEventListener("transitionend", () => this.refreshTheme());
    this.takeTheme();
    this.makePaths();
    this.refresh();
    this.record.ready = true;
    this.record.spot = (unit, sorted = true) => {
      const panel = sorted ? this.after : this.before;
      const box = panel.stage.getBoundingClientRect();
      const [x, y] = panel.spot(unit);
      return [box.left + x, box.top + y];
    };
  }

  makeChips() {
    const { data } = this;
    const totals = new Array(data.k + 1).fill(0);
    for (const code of data.first.preferred) totals[code]++;
    return data.classes.map((name, code) =>
      el(
        "button",
        {
          type: "button",
          class: "bb-chip",
          "aria-pressed": "false",
          title: `Follow ${name}: ${count(totals[code])} of ${count(data.p)} units prefer it`,
          onclick: () => this.isolate(code),
          onpointerenter: (event) => event.pointerType === "mouse" && this.hint(code),
          onpointerleave: () => this.hint(-1),
        },
        el("i", { class: "swatch" }),
        el("span", {}, name),
      ),
    );
  }

  makePaths() {
    this.pathTiles = this.data.classes.map((name, code) => {
      const canvas = el("canvas", { "aria-hidden": "true" });
      const empty = !this.data.manifest.samples[code];
      const node = el(
        "button",
        { type: "button", class: "bb-path", "aria-pressed": "false", disabled: empty, title: empty ? `There is no sample of ${name}` : `Follow ${name} through the layers`, onclick: () => this.isolate(code) },
        el("span", {}, name),
        canvas,
      );
      return { node, canvas, code };
    });
    this.paths.replaceChildren(...this.pathTiles.map(({ node }) => node));
  }

  takeTheme() {
    this.theme = readTheme(this.root);
    this.classes = classColours(this.data.manifest, this.theme);
    this.chips.forEach((chip, code) => {
      chip.querySelector(".swatch").style.background = hex(this.classes[code]);
    });
  }

  refreshTheme() {
    if (JSON.stringify(readTheme(this.root)) === JSON.stringify(this.theme)) return;
    this.takeTheme();
    this.refresh();
  }

  set(change) {
    Object.assign(this.state, change);
    this.refresh();
  }

  isolate(code) {
    this.set({ only: code === this.state.only ? -1 : code });
  }

  /** A class pointed at in the legend is shown alone as long as the pointer stays. */
  hint(code) {
    if (code === this.hinted) return;
    this.hinted = code;
    this.refresh(true);
  }

  hover(unit) {
    if (unit === this.hoveredUnit) return;
    this.hoveredUnit = unit;
    this.look();
  }

  pin(unit) {
    this.pinnedUnit = unit === this.pinnedUnit ? -1 : unit;
    if (unit < 0) this.hoveredUnit = -1;
    this.look();
  }

  look() {
    const unit = this.hoveredUnit >= 0 ? this.hoveredUnit : this.pinnedUnit;
    if (unit < 0) this.card.empty();
    else this.card.show({ unit, way: this.state.way, classes: this.classes, strongest: this.strongest, sheets: this.sheets });
    this.before.mark();
    this.after.mark();
    this.record.unit = unit;
    this.status.classList.toggle("on", unit >= 0);
    if (unit >= 0) {
      const l = this.data.layerOf(unit);
      const code = this.data.way(this.state.way).preferred[unit];
      this.status.textContent = `Layer ${l + 1}, unit ${unit - this.data.layers[l].start}, answers ${this.card.className(code)} most`;
    }
  }

  refresh(quick = false) {
    const { data, theme, classes, state } = this;
    if (!theme) return;
    const only = this.hinted >= 0 && state.way !== "difference" ? this.hinted : state.only;
    const shown = { ...state, only };
    const bytes = unitColours(data, shown, theme);
    const way = data.way(state.way);
    const common = { bytes, only, classes, theme };
    this.before.draw({ ...common, order: data.plain, blocks: null });
    this.after.draw({ ...common, order: way.order, blocks: data.blocks(state.way) });
    this.drawCounts(only);
    if (!quick) {
      this.colourBy.choose(state.colour);
      this.colourBy.classList.toggle("off", state.way === "difference");
      this.wayBy.choose(state.way);
      this.chips.forEach((chip, code) => chip.setAttribute("aria-pressed", String(code === state.only)));
      this.drawPaths();
      this.tellKey();
      this.tellCounts();
      this.look();
    }
    Object.assign(this.record, { only: state.only, colour: state.colour, way: state.way, rev: this.record.rev + 1 });
  }

  /** One small picture a class: its expected activations in the sorted order. */
  drawPaths() {
    const { data, theme, state } = this;
    const order = data.way(state.way).order;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [92, 78];
    for (const { node, code } of this.pathTiles) node.setAttribute("aria-pressed", String(code === state.only));
    const drawn = `${state.way} ${ratio} ${hex(theme.background)}`;
    if (drawn === this.drawnPaths) return;
    this.drawnPaths = drawn;
    for (const { canvas, code } of this.pathTiles) {
      const bytes = unitColours(data, { way: state.way, colour: "activation", only: code }, theme);
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const context = canvas.getContext("2d");
      const image = context.createImageData(canvas.width, canvas.height);
      const columns = columnsIn(canvas.width, canvas.height, data.layers.length, { left: 0, right: 0, top: 0, bottom: 0 });
      const boxes = data.layers.map((_, l) => {
        const x = Math.round(columns.left + l * columns.pitch);
        return { x, y: 0, wide: Math.max(1, Math.round(columns.left + (l + 1) * columns.pitch) - x - (columns.pitch > 5 ? 1 : 0)), high: canvas.height };
      });
      fillColumns(new Uint32Array(image.data.buffer), canvas.width, data, order, bytes, boxes);
      context.putImageData(image, 0, 0);
    }
  }

  drawCounts(only) {
    const { data, theme, classes } = this;
    const width = this.counts.clientWidth;
    const height = this.counts.clientHeight;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.counts, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = this.counts.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const columns = columnsIn(width, height, data.layers.length, { ...MARGINS, top: 4, bottom: 16 });
    this.bars = data.blocks(this.state.way).map((runs, l) => {
      const size = data.layers[l].stop - data.layers[l].start;
      return runs.map(({ code, start, stop }) => ({ l, code, amount: stop - start, size, x: columns.x(l), wide: columns.wide, y: columns.top + (columns.high * start) / size, high: (columns.high * (stop - start)) / size }));
    });
    for (const { code, x, y, wide, high } of this.bars.flat()) {
      context.globalAlpha = only < 0 || only === code ? 1 : 0.12;
      context.fillStyle = hex(classes[code]);
      context.fillRect(x, y, wide, Math.max(0.5, high - (high > 3 ? 0.7 : 0)));
    }
    context.globalAlpha = 1;
    context.font = `11px ${theme.font}`;
    context.fillStyle = hex(theme.muted);
    context.textAlign = "center";
    const every = skip(columns.pitch);
    data.layers.forEach((_, l) => l % every === 0 && context.fillText(String(l + 1), columns.x(l) + columns.wide / 2, height - 4));
    context.save();
    context.translate(9, columns.top + columns.high / 2);
    context.rotate(-Math.PI / 2);
    context.fillText("share of units", 0, 0);
    context.restore();
    context.textAlign = "right";
    context.textBaseline = "middle";
    ["0", "100 %"].forEach((text, i) => context.fillText(text, columns.left - 4, columns.top + (i ? columns.high - 5 : 6)));
    const all = data.layers.map((_, l) => `layer ${l + 1}: ${this.bars[l].map(({ code, amount }) => `${this.card.className(code)} ${amount}`).join(", ")}`);
    this.counts.setAttribute("aria-label", `Units by preferred class: ${data.k > FEW ? "one bar a layer" : all.join("; ")}`);
  }

  blockAt(event) {
    const box = this.counts.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    return this.bars?.flat().find(({ x, y, wide, high }) => px >= x && px < x + wide && py >= y && py < y + high);
  }

  tellCount(event) {
    const bar = this.blockAt(event);
    if (!bar) return this.tellCounts();
    this.countsNote.textContent = `Layer ${bar.l + 1}: ${count(bar.amount)} of ${count(bar.size)} units (${digits((100 * bar.amount) / bar.size, 1)} %) prefer ${this.card.className(bar.code)}`;
  }

  tellCounts() {
    const { data, state } = this;
    const way = data.way(state.way);
    let text = "Units of each layer by the class they prefer.";
    if (state.only >= 0) {
      const amount = way.preferred.filter((code) => code === state.only).length;
      text = `${count(amount)} of ${count(data.p)} units prefer ${data.classes[state.only]}.`;
    } else if (data.compares) {
      text += ` Decoder and sample mean agree on ${digits(100 * data.agreement(), 1)} % of the units.`;
    }
    this.countsNote.textContent = text;
  }

  /** The key to the colours below the unsorted panel. */
  tellKey() {
    const { data, state, theme } = this;
    const name = state.only < 0 ? null : data.classes[state.only];
    const strip = (ramp, texts, note) => {
      const ends = texts.map((text) => el("span", {}, text));
      this.key.replaceChildren(el("div", { class: "strip", style: { background: rampStrip(ramp) } }), el("div", { class: "strip-ends" }, ...ends), el("div", { class: "bb-quiet" }, note));
    };
    const ramp = data.manifest.ramp.map(rgb);
    if (state.way === "difference") {
      const most = differenceReach(data, state.only);
      if (name === null) strip(ramp, ["0", digits(most, 2)], "Decoder against sample mean: root mean square over the classes, in units of the activations. Choose a class to see the sign.");
      else {
        const both = Array.from({ length: 17 }, (_, i) => diverging((i - 8) / 8, theme.background));
        strip(both, [digits(-most, 2), "0", digits(most, 2)], `Decoder minus sample mean for ${name}, in units of the activations.`);
      }
    } else if (state.colour === "activation") {
      const depth = data.depth(state.way);
      const what = name === null ? "its own class, the strongest" : name;
      strip(ramp, [`${digits(-depth, 2)}${depth > 0 ? " or less" : ""}`, "1"], `Expected activation for ${what}, as a share of the strongest unit of the same layer.`);
    } else {
      const text =
        state.colour === "mixture"
          ? "The class colours mixed by expected activation (eq. 11): a pure hue serves one class, grey serves many, black answers none. Each layer is scaled to its brightest units."
          : "Each unit in the colour of the class that it answers most (eq. 10); grey answers all alike.";
      const follow = name === null ? " Press a class to follow its path." : ` Shown are the units that prefer ${name}; press it again for all.`;
      this.key.replaceChildren(el("div", { class: "bb-quiet" }, text + follow));
    }
  }

  async save(kind) {
    const name = `brainbow-${this.data.manifest.name}`.replace(/[^\w-]+/g, "-");
    const svg = toSvg(this);
    if (kind === "svg") download(new Blob([svg], { type: "image/svg+xml" }), `${name}.svg`);
    else download(await toPng(svg), `${name}.png`);
  }

  dispose() {
    this.sizes?.disconnect();
    this.root?.remove();
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
    if (data.manifest !== this.manifest) {
      this.manifest = data.manifest;
      this.figure?.dispose();
      this.host.replaceChildren(el("div", { class: "map-wait bb-wait", role: "status" }, "Fetching the layers…"));
      try {
        const layers = await Layers.load(data.blobs, data.manifest);
        if (data.manifest !== this.manifest) return;
        this.figure = new Figure(layers);
        this.figure.mount(this.host);
        window.__brainbow = this.figure.record; // what tests wait for
      } catch (error) {
        this.manifest = null;
        this.host.replaceChildren(el("div", { class: "map-wait bb-wait", role: "alert" }, error.message));
        return;
      }
    }
    if (!this.figure) return;
    this.figure.refreshTheme();
    await this.takeSamples(data);
  }

  async takeSamples(data) {
    if (!data.strongest || data.strongest === this.known) return;
    this.known = data.strongest;
    const { figure } = this;
    const { map } = figure.data.manifest;
    let found;
    try {
      found = await Promise.all([Strongest.load(data.blobs, data.strongest, figure.data.p), map ? readJson(data.blobs, map) : null]);
    } catch (error) {
      this.known = null;
      figure.card.problem = error.message;
      return;
    }
    const [strongest, pictures] = found;
    figure.card.problem = "";
    figure.strongest = strongest;
    figure.sheets = pictures?.thumbs ? Sheets.of(pictures.thumbs, data.blobs) : null;
    figure.record.strongest = strongest.count;
    figure.look();
  }
}

/** Called by Streamlit at first and after every change of the data. */
export default async function mount(component) {
  const { parentElement: parent } = component;
  const leave = remover(places, parent, () => {
    places.get(parent)?.figure?.dispose();
    places.get(parent)?.host.remove();
    places.delete(parent);
  });
  if (!places.has(parent)) places.set(parent, new Place(parent));
  await places.get(parent).update(component);
  return leave;
}
