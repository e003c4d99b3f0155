// One picture of all layers side by side: a column per layer, a row per unit, with its axes and its keys.

import { hex } from "./colour.js";
import { el } from "./element.js";
import { columnsIn, fillColumns, unitAt } from "./brainbow_paint.js";

export const MARGINS = { left: 46, right: 8, top: 8, bottom: 40 };
const KEYS = "Arrow keys walk through units and layers, Enter pins a unit, Escape lets go.";

/** Marks on the vertical axis: numbers where all layers are alike, shares otherwise. */
export function ticksOf(layers) {
  const sizes = layers.map(({ start, stop }) => stop - start);
  const alike = sizes.every((size) => size === sizes[0]);
  return [0, 0.25, 0.5, 0.75, 1].map((share) => ({ share, text: alike ? String(Math.round(share * sizes[0])) : `${100 * share} %` }));
}

/** Every how many layers a number fits below a column. */
export function skip(pitch) {
  return Math.max(1, Math.ceil(20 / pitch));
}

export class Panel {
  /** @param on {hover(unit), pin(unit), walk(panel, dx, dy), leave()}; say {title, up, help} */
  constructor(data, on, say) {
    Object.assign(this, { data, on, say });
    this.canvas = el("canvas", { class: "bb-base", "aria-hidden": "true" });
    this.over = el("canvas", { class: "bb-over", "aria-hidden": "true" });
    this.stage = el(
      "div",
      {
        class: "bb-stage",
        tabindex: 0,
        role: "group",
        "aria-roledescription": "figure",
        "aria-label": `${say.title}. ${say.help ?? ""} ${KEYS}`,
        onpointermove: (event) => this.point(event),
        onpointerleave: () => on.leave(),
        onclick: (event) => this.press(event),
        onkeydown: (event) => this.key(event),
      },
      this.canvas,
      this.over,
    );
    this.node = el("section", { class: "bb-panel" }, el("h3", {}, say.title), this.stage);
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return false;
    Object.assign(this, { width, height, ratio: window.devicePixelRatio || 1 });
    this.columns = columnsIn(width, height, this.data.layers.length, MARGINS);
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    return true;
  }

  /** Boxes of the columns in whole device pixels. */
  boxes(ratio) {
    const { columns } = this;
    return this.data.layers.map((_, l) => {
      const x = Math.round(columns.x(l) * ratio);
      const y = Math.round(columns.top * ratio);
      const wide = Math.max(1, Math.round((columns.x(l) + columns.wide) * ratio) - x);
      return { x, y, wide, high: Math.max(1, Math.round((columns.top + columns.high) * ratio) - y) };
    });
  }

  /** @param picture {order, bytes, blocks or null, only, classes: colours, theme, strength: of all bands together} */
  draw(picture) {
    this.picture = picture;
    if (!this.width && !this.measure()) return;
    const context = this.canvas.getContext("2d");
    this.paint(context, this.ratio);
    this.axes(context);
    this.mark();
  }

  /** Columns and ribbons on any context of this size. */
  paint(context, ratio) {
    const { order, bytes, blocks, theme } = this.picture;
    context.setTransform(1, 0, 0, 1, 0, 0);
    const [wide, high] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    const image = context.createImageData(wide, high);
    fillColumns(new Uint32Array(image.data.buffer), wide, this.data, order, bytes, this.boxes(ratio));
    context.clearRect(0, 0, wide, high);
    context.fillStyle = hex(theme.background);
    context.fillRect(0, 0, wide, high);
    // An image replaces what lies beneath: it goes through a canvas of its own.
    const layer = new OffscreenCanvas(wide, high);
    layer.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(layer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (blocks) this.ribbons(context);
  }

  /** Bands between neighbouring columns that join the units of one class. */
  ribbons(context) {
    const { blocks, only, classes } = this.picture;
    for (const { code, corners } of ribbonsOf(this.data.layers, blocks, this.columns)) {
      if (code >= this.data.k) continue;
      context.globalAlpha = only < 0 ? (this.picture.strength ?? 0.4) : code === only ? 0.95 : 0.05;
      context.fillStyle = hex(classes[code]);
      context.beginPath();
      corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.fill();
    }
    context.globalAlpha = 1;
  }

  axes(context) {
    const { columns, height } = this;
    const { theme } = this.picture;
    context.font = `11px ${theme.font}`;
    context.fillStyle = hex(theme.muted);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { share, text } of ticksOf(this.data.layers)) {
      const y = columns.top + share * columns.high;
      context.fillText(text, columns.left - 4, Math.min(columns.top + columns.high - 4, Math.max(columns.top + 5, y)));
    }
    context.textAlign = "center";
    const every = skip(columns.pitch);
    this.data.layers.forEach((_, l) => {
      if (l % every === 0) context.fillText(String(l + 1), columns.x(l) + columns.wide / 2, columns.top + columns.high + 11);
    });
    const middle = columns.left + (columns.pitch * this.data.layers.length) / 2;
    context.fillText("layer (1 reads the input)", middle, height - 11);
    context.save();
    context.translate(9, columns.top + columns.high / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(this.say.up, 0, 0);
    context.restore();
  }

  /** The unit that is looked at, and the pinned one, framed. */
  mark() {
    if (!this.picture) return;
    const context = this.over.getContext("2d");
    const { ratio, columns } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const { theme, order } = this.picture;
    const place = (this.places ??= new Map()).get(order) ?? this.keepPlaces(order);
    for (const [unit, wide] of [
      [this.on.pinned(), 2],
      [this.on.hovered(), 1.5],
    ]) {
      if (unit < 0) continue;
      const l = this.data.layerOf(unit);
      const { start, stop } = this.data.layers[l];
      const high = columns.high / (stop - start);
      const y = columns.top + (place[unit] - start) * high;
      const tall = Math.max(3, high);
      const top = y + high / 2 - tall / 2;
      for (const [colour, out] of [
        [theme.background, 1 + wide],
        [theme.text, 1],
      ]) {
        context.strokeStyle = hex(colour);
        context.lineWidth = wide;
        context.strokeRect(columns.x(l) - out, top - out, columns.wide + 2 * out, tall + 2 * out);
      }
    }
  }

  keepPlaces(order) {
    const place = new Int32Array(order.length);
    order.forEach((unit, at) => {
      place[unit] = at;
    });
    this.places.clear();
    this.places.set(order, place);
    return place;
  }

  /** Where a unit is drawn, in pixels of the stage. */
  spot(unit) {
    const place = this.places?.get(this.picture.order) ?? (this.places ??= new Map(), this.keepPlaces(this.picture.order));
    const l = this.data.layerOf(unit);
    const { start, stop } = this.data.layers[l];
    return [this.columns.x(l) + this.columns.wide / 2, this.columns.top + ((place[unit] - start + 0.5) / (stop - start)) * this.columns.high];
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return unitAt(this.data, this.picture.order, this.columns, event.clientX - box.left, event.clientY - box.top);
  }

  point(event) {
    const unit = this.picture ? this.at(event) : null;
    if (unit === null) this.on.leave();
    else this.on.hover(unit);
  }

  press(event) {
    const unit = this.at(event);
    if (unit !== null) this.on.pin(unit);
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [0, -10], PageDown: [0, 10] };
    if (event.key in steps) this.walk(...steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.on.pin(this.on.hovered());
    else if (event.key === "Escape") this.on.pin(-1);
    else return;
    event.preventDefault();
  }

  /** Steps through this panel's own order; beside a layer with another size, to the same share of it. */
  walk(dx, dy) {
    const { order } = this.picture;
    const from = this.on.hovered() >= 0 ? this.on.hovered() : this.on.pinned();
    if (from < 0) return this.on.hover(order[0]);
    const place = this.places.get(order) ?? this.keepPlaces(order);
    const l = this.data.layerOf(from);
    const to = Math.max(0, Math.min(this.data.layers.length - 1, l + dx));
    const [old, fresh] = [this.data.layers[l], this.data.layers[to]];
    const share = (place[from] - old.start) / (old.stop - old.start);
    const size = fresh.stop - fresh.start;
    const next = to === l ? place[from] - old.start + dy : Math.round(share * size);
    this.on.hover(order[fresh.start + Math.max(0, Math.min(size - 1, next))]);
  }
}

/** The bands between columns: [{code, corners: four [x, y]}]. */
export function ribbonsOf(layers, blocks, columns) {
  const found = [];
  for (let l = 0; l + 1 < layers.length; l++) {
    const y = (layer, place) => columns.top + (place / (layers[layer].stop - layers[layer].start)) * columns.high;
    const [x0, x1] = [columns.x(l) + columns.wide, columns.x(l + 1)];
    for (const run of blocks[l]) {
      const next = blocks[l + 1].find(({ code }) => code === run.code);
      if (!next) continue;
      found.push({ code: run.code, corners: [[x0, y(l, run.start)], [x1, y(l + 1, next.start)], [x1, y(l + 1, next.stop)], [x0, y(l, run.stop)]] });
    }
  }
  return found;
}
