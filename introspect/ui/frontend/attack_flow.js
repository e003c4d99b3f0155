// The attack flow: the door to the page, the map with its walks, the table of classes and the gateways in words.

import { Walks, percent, tellPair } from "./attack_flow_data.js";
import { EMBER_STOPS, FlowMap } from "./attack_flow_map.js";
import { RateTable } from "./attack_flow_table.js";
import { count, hex, readTheme, rgb } from "./colour.js";
import { adopt, el } from "./element.js";
import { download } from "./export.js";
import { rampStrip } from "./layers.js";
import { mounted } from "./mounting.js";

const LAYERS = { density: "Walks that pass", arrows: "Direction", lines: "Single walks", gateways: "Gateways", samples: "Samples", error: "Estimated error", labels: "Class names", cut: "Only until they arrive" };

export class FlowView {
  constructor(walks, host) {
    Object.assign(this, { walks, host, source: null, column: null });
    this.shown = Object.fromEntries(Object.keys(LAYERS).map((name) => [name, name !== "cut"]));
    this.picked = walks.chosen(null, null);
    this.record = { ready: false, rev: 0, source: null, column: null, walks: this.picked.length };
    this.map = new FlowMap(this);
    this.table = new RateTable(this);
    this.build();
  }

  build() {
    const { walks } = this;
    const switches = Object.entries(LAYERS).map(([name, title]) =>
      el("label", { class: "cloud-switch" }, el("input", { type: "checkbox", checked: this.shown[name], "data-layer": name, onchange: (event) => this.toggle(name, event.target.checked) }), title),
    );
    this.story = el("div", { class: "flow-story", "aria-live": "polite" });
    this.all = el("button", { type: "button", class: "menu", hidden: true, onclick: () => this.choose(null, null) }, "Show all walks");
    this.told = el("div", { class: "flow-told", role: "status" });
    this.strip = el("i", { class: "flow-strip" });
    this.most = el("span", {});
    const gateways = walks.manifest.gateways.map((gateway, i) =>
      el("li", {}, el("button", { type: "button", class: "link", onclick: () => this.map.visit(gateway), title: "Show it on the map" }, `Gateway ${i + 1}`), ` ${gateway.told}`),
    );
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true" });
    this.sentinel.addEventListener("transitionend", () => this.takeTheme());
    this.root = el(
      "div",
      { class: "map flow" },
      el("div", { class: "cloud-bar" }, this.story, this.all),
      el(
        "div",
        { class: "flow-body" },
        el(
          "section",
          { class: "flow-left" },
          this.map.node,
          el("div", { class: "flow-legend" }, el("span", {}, "walks that pass: 1"), this.strip, this.most),
          this.told,
        ),
        el(
          "div",
          { class: "flow-right" },
          this.table.node,
          el(
            "section",
            { class: "flow-gateways" },
            el("b", {}, "Gateways, the busiest places at which answers change"),
            gateways.length ? el("ol", {}, ...gateways) : el("p", {}, "No place has enough walks that change their answer there."),
          ),
        ),
      ),
      el("div", { class: "cloud-bar" }, ...switches, el("button", { type: "button", class: "menu", onclick: () => this.save() }, "PNG")),
      this.sentinel,
    );
  }

  mount() {
    this.host.replaceChildren(this.root);
    this.map.measure();
    this.map.view.reset();
    this.takeTheme();
    this.choose(null, null);
    this.record.ready = true;
  }

  takeTheme() {
    const theme = readTheme(this.root);
    const text = JSON.stringify(theme);
    if (text === this.themed) return;
    this.themed = text;
    this.map.takeTheme(theme);
    this.table.takeTheme(theme, this.map.colours);
    this.strip.style.background = rampStrip(EMBER_STOPS[theme.dark ? "dark" : "light"].map(rgb));
    this.redraw();
  }

  toggle(name, on) {
    this.shown[name] = on;
    this.map.stale = this.map.stale || name === "samples" || name === "error";
    this.redraw();
  }

  /** Shows the walks from a class towards a target; null stands for every one. The same choice again shows all. */
  choose(source, column) {
    const again = source === this.source && column === this.column;
    [this.source, this.column] = again ? [null, null] : [source, column];
    this.picked = this.walks.chosen(this.source, this.column);
    this.table.mark(this.source, this.column);
    this.all.hidden = this.source === null && this.column === null;
    this.story.textContent = this.tale();
    this.redraw();
  }

  tale() {
    const { walks, source, column } = this;
    if (source !== null && column !== null) return `${tellPair(walks, source, column)}.`;
    const { walks: number, arrived } = walks.total(source, column);
    if (!number) return "There is no walk to another class here: every sample is taken for the target already.";
    const which = source !== null ? ` from ${walks.classes[source]}` : column !== null ? ` towards ${walks.classes[walks.targets[column]]}` : ` of ${count(walks.samples)} ${walks.samples === 1 ? "sample" : "samples"}`;
    const told = `${count(arrived)} of ${count(number)} walks${which} reach their target (${percent(arrived / Math.max(1, number))} %)`;
    if (source !== null || column !== null) return `${told}.`;
    const { alarmed, stalled } = walks.manifest;
    const stood = stalled ? ` ${count(stalled)} ${stalled === 1 ? "walk" : "walks"} came to a stand, because every gradient is exactly 0.` : "";
    return arrived ? `${told}; for ${count(alarmed)} of these (${percent(alarmed / arrived)} %) the alarm sounds in time.${stood}` : `${told}.${stood}`;
  }

  tell(text) {
    if (this.told.textContent !== text) this.told.textContent = text;
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const started = performance.now();
      this.map.paint();
      this.most.textContent = count(this.map.most ?? 0);
      const { source, column } = this;
      Object.assign(this.record, { source, column, walks: this.picked.length, most: this.map.most, zoom: this.map.view.zoom, drawMs: performance.now() - started, rev: this.record.rev + 1 });
    });
  }

  /** The map as it stands, under a line that says what it shows, as a picture file. */
  save() {
    const { ratio, base, over } = this.map;
    const theme = readTheme(this.root);
    const head = 30 * ratio;
    const canvas = el("canvas", { width: base.width, height: base.height + head });
    const context = canvas.getContext("2d");
    context.fillStyle = hex(theme.background);
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = hex(theme.text);
    context.font = `600 ${13 * ratio}px ${theme.font}`;
    context.fillText(`${this.walks.manifest.atlas} · ${this.tale()}`, 10 * ratio, 20 * ratio, canvas.width - 20 * ratio);
    context.drawImage(base, 0, head);
    context.drawImage(over, 0, head);
    canvas.toBlob((blob) => {
      download(blob, "attack-flow.png");
      this.record.savedBytes = blob.size;
    }, "image/png");
  }

  dispose() {
    cancelAnimationFrame(this.frame);
    this.map.dispose();
  }
}

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    if (data.manifest === this.manifest) return;
    this.manifest = data.manifest;
    for (const name of ["map.css", "constellation.css", "attack_flow.css"]) await adopt(this.host, new URL(name, import.meta.url).href);
    if (!this.view) this.host.replaceChildren(el("div", { class: "map-wait", role: "status" }, "Fetching the flow…"));
    try {
      const walks = await Walks.load(data.blobs, data.manifest);
      if (data.manifest !== this.manifest) return;
      this.dispose();
      this.view = new FlowView(walks, this.host);
      this.view.mount();
      window.__flow = this.view.record; // what tests and benchmarks wait for
    } catch (error) {
      this.dispose();
      this.manifest = null;
      this.host.replaceChildren(el("div", { class: "map-wait", role: "alert" }, error.message));
    }
  }

  dispose() {
    this.view?.dispose();
    this.view = null;
  }
}

/** Called by Streamlit at first and after every change of the data. */
export default mounted(Place);
