// The parts of the page the map is made of, and how they keep up with its state.

import { count } from "./colour.js";
import { el, icon, tool } from "./element.js";
import { isEverything } from "./filter.js";
import { HoverCard } from "./hover_card.js";
import { ErrorBar, Legend } from "./legend.js";
import { Pointer } from "./pointer.js";
import { Notice, Probes } from "./probes.js";
import { Toolbar, colourTitle } from "./toolbar.js";

const HELP = "Arrow keys move the map, plus and minus zoom, 0 shows everything, Enter pins the nearest sample, Escape clears.";

export class Stage {
  constructor(map, parent) {
    this.map = map;
    this.canvas = el("canvas", { class: "base", role: "img", "aria-label": map.summary() });
    this.overlay = el("canvas", { class: "over", "aria-hidden": "true" });
    this.base = this.canvas.getContext("2d", { alpha: false });
    this.above = this.overlay.getContext("2d");
    this.toolbar = new Toolbar(map);
    this.legend = new Legend({ isolate: (codes) => map.isolate(codes), hover: (code) => map.pointLegend(code) });
    this.errorBar = new ErrorBar();
    this.card = new HoverCard();
    this.notice = new Notice();
    const flags = el("div", { class: "probes" });
    this.probes = new Probes(flags);
    this.status = el("span", { class: "status-text", "aria-live": "polite" });
    this.all = el("button", { type: "button", class: "link", onclick: () => map.chooseShown() }, "look at them");
    this.clear = tool("close", "Clear the selection (Escape)", () => map.choose(null), { class: "tool small" });
    const check = el(
      "button",
      { type: "button", class: "check", title: "Locates a stored sample again, alone and in a batch, and compares", onclick: () => this.check() },
      icon("check"),
      "Same input, same place?",
    );
    this.node = el(
      "div",
      { class: "stage", tabindex: 0, role: "group", "aria-roledescription": "map", "aria-label": `${map.summary()} ${HELP}` },
      this.canvas,
      this.overlay,
      flags,
      this.toolbar.tools,
      el("div", { class: "side" }, this.legend.node, this.errorBar.node),
      el("div", { class: "foot" }, el("div", { class: "status glass" }, this.status, this.all, this.clear), map.send.checks ? check : null),
      this.card.node,
      this.notice.node,
    );
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true" });
    this.root = el("div", { class: "map" }, this.toolbar.node, this.node, this.sentinel);
    parent.replaceChildren(this.root);
    this.pointer = new Pointer(map, this.node);
    this.watch();
  }

  /** Follows the size of the window, the resolution of the screen and the theme of the page. */
  watch() {
    const { map } = this;
    this.sizes = new ResizeObserver(() => {
      this.measure();
      map.redraw();
    });
    this.sizes.observe(this.node);
    // A colour transition on the sentinel tells that the page's theme has changed.
    this.sentinel.addEventListener("transitionend", () => map.refreshTheme());
    // A ring and a cross for those who came by keyboard, not after a click.
    const keyed = (on) => {
      this.keyed = on;
      this.node.classList.toggle("keyed", on);
      map.redraw(false);
    };
    let pressed = false;
    this.node.addEventListener("pointerdown", () => {
      pressed = true;
      keyed(false);
      setTimeout(() => {
        pressed = false;
      });
    }, true);
    this.node.addEventListener("focus", () => keyed(!pressed && this.node.matches(":focus-visible")));
    this.node.addEventListener("blur", () => keyed(false));
    this.node.addEventListener("keydown", (event) => event.target === this.node && event.key !== "Shift" && keyed(true));
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.node; // without its border
    if (!width || !height) return;
    const { view } = this.map;
    this.ratio = window.devicePixelRatio || 1;
    const wide = width > 560;
    const beside = this.legend.node.offsetWidth + (wide ? 18 : 10);
    view.insets = { left: wide ? 76 : 46, right: beside, top: 10, bottom: 26 };
    view.resize(width, height);
    for (const canvas of [this.canvas, this.overlay]) {
      const [wide, high] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
  }

  check() {
    this.notice.say("Locating a stored sample again…", "", 30);
    this.map.send.trigger("check", Date.now());
  }

  /** Shows a sample's card where it lies, for those who do not use a pointer. */
  announce(slot) {
    const { map } = this;
    this.card.show(map, slot, ...map.view.toPixel(map.points.x[slot], map.points.y[slot]));
  }

  refresh() {
    const { map } = this;
    const { table, colouring, state } = map;
    if (!colouring) return;
    this.toolbar.refresh();
    this.node.dataset.tool = state.tool;
    const title = colourTitle(table, state.colour);
    if (colouring.ramp) this.legend.showScale(colouring.score, colouring.values, map.passed, colouring.ramp, map.theme);
    else this.legend.showClasses(title, colouring, map.counts, state.filter.only?.codes ?? null);
    this.errorBar.show(map.showsChart(), table.manifest.chart, map.theme.error);
    this.canvas.setAttribute("aria-label", map.summary());
    this.node.setAttribute("aria-label", `${map.summary()} ${HELP}`);
    this.tell();
  }

  tell() {
    const { map } = this;
    const { table, selection } = map;
    const what = map.sheets ? "pictures" : "samples";
    let shown = 0;
    let wrong = 0;
    const mask = selection ? selection.mask : map.passed;
    for (let i = 0; i < mask.length; i++) {
      shown += mask[i];
      if (mask[i] && table.correct[i] === 0) wrong++;
    }
    const share = table.labelled && shown ? ` · ${((100 * wrong) / shown).toFixed(wrong && wrong < shown ? 1 : 0)} % wrong` : "";
    if (selection) this.status.textContent = `${count(shown)} selected${share}`;
    else if (isEverything(map.state.filter)) this.status.textContent = `${count(table.n)} ${what}${share}`;
    else this.status.textContent = `${count(shown)} of ${count(table.n)} ${what}${share}`;
    this.clear.hidden = !selection;
    this.all.hidden = Boolean(selection) || isEverything(map.state.filter) || !shown;
    map.report({ shown, wrong });
  }

  dispose() {
    this.sizes.disconnect();
    this.root.remove();
  }
}
