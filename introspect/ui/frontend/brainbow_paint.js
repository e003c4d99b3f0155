// From units to pixels: what colour each unit has, and columns of them, as plain arrays.

import { along, mix, rgb } from "./colour.js";

const BLUE = [63, 144, 218];
const ORANGE = [231, 99, 0];

/** A colour for a value in -1..1: blue below zero, orange above, the ground at zero. */
export function diverging(share, ground) {
  const t = Math.max(-1, Math.min(1, share));
  return mix(ground, t < 0 ? BLUE : ORANGE, Math.sqrt(Math.abs(t)));
}

/** 256 colours along a ramp, as bytes. */
function tableOf(ramp) {
  return Uint8ClampedArray.from({ length: 768 }, (_, i) => along(ramp, Math.floor(i / 3) / 255)[i % 3]);
}

/** Paints every unit with its share, 0..1, along a ramp: bytes r, g, b; without a share, its lowest end. */
export function ramped(p, ramp, shareOf) {
  const table = tableOf(ramp);
  const out = new Uint8ClampedArray(3 * p);
  for (let unit = 0; unit < p; unit++) {
    const share = shareOf(unit);
    const at = 3 * (share > 0 ? Math.min(255, Math.round(255 * share)) : 0);
    out[3 * unit] = table[at];
    out[3 * unit + 1] = table[at + 1];
    out[3 * unit + 2] = table[at + 2];
  }
  return out;
}

/** The class colours of the theme at hand, and grey for "none". */
export function classColours(manifest, theme) {
  return [...manifest.palette[theme.dark ? "dark" : "light"].map(rgb), theme.ghost];
}

/** Paints every unit by `colourOf(unit)`: bytes r, g, b. */
export function painted(p, colourOf) {
  const out = new Uint8ClampedArray(3 * p);
  for (let unit = 0; unit < p; unit++) out.set(colourOf(unit), 3 * unit);
  return out;
}

/**
 * The colours of all units in a state of the figure.
 * @param state {colour: "mixture" | "preferred" | "activation", way, only: class or -1}
 */
export function unitColours(data, state, theme) {
  const { way, colour, only } = state;
  if (way === "difference") return differenceColours(data, only, theme);
  const held = data.way(way);
  if (colour === "activation") {
    const scale = unitScales(data, way);
    const depth = data.depth(way);
    const { expected } = held;
    const value = only < 0 ? (unit) => data.highest(way, unit) : (unit) => expected[only * data.p + unit];
    return ramped(data.p, data.manifest.ramp.map(rgb), (unit) => (value(unit) / scale[unit] + depth) / (1 + depth));
  }
  const classes = classColours(data.manifest, theme);
  const bytes = theme.dark ? held.dark : held.light;
  return painted(data.p, (unit) => {
    const own = colour === "preferred" ? classes[held.preferred[unit]] : [...bytes.subarray(3 * unit, 3 * unit + 3)];
    return only < 0 || held.preferred[unit] === only ? own : mix(own, theme.background, 0.88);
  });
}

/** Every unit's own layer's scale. */
export function unitScales(data, way) {
  const out = new Float32Array(data.p);
  data.scales(way).forEach((scale, l) => out.fill(scale, data.layers[l].start, data.layers[l].stop));
  return out;
}

function differenceColours(data, only, theme) {
  const gaps = only < 0 ? data.gaps() : null;
  const most = differenceReach(data, only, gaps);
  if (gaps) return ramped(data.p, data.manifest.ramp.map(rgb), (unit) => gaps[unit] / most);
  return painted(data.p, (unit) => diverging(data.value("difference", only, unit) / most || 0, theme.background));
}

/** The largest difference between both expectations that is drawn, of one class or over all. */
export function differenceReach(data, only, gaps = data.gaps()) {
  let most = 0;
  for (let unit = 0; unit < data.p; unit++) {
    const gap = only < 0 ? gaps[unit] : Math.abs(data.value("difference", only, unit));
    if (gap > most) most = gap;
  }
  return most || 1;
}

/** Where columns lie in a box: {left, top, pitch, wide, high, x(l)}. */
export function columnsIn(width, height, count, margins) {
  const { left, right, top, bottom } = margins;
  const pitch = Math.max(1, (width - left - right) / Math.max(1, count));
  const gap = Math.min(16, pitch * 0.36);
  return { left, top, pitch, gap, wide: Math.max(1, pitch - gap), high: Math.max(1, height - top - bottom), x: (l) => left + l * pitch + gap / 2 };
}

/** The colour of each of `rows` rows of a column: the mean of the units that fall into it. */
export function rowColours(order, start, stop, bytes, rows) {
  const count = stop - start;
  const out = new Uint8ClampedArray(3 * rows);
  for (let row = 0; row < rows; row++) {
    const from = Math.floor((row * count) / rows);
    const to = Math.max(from + 1, Math.floor(((row + 1) * count) / rows));
    // Bytes are roughly the square roots of light: averaged as light, thin bright units stay visible.
    let [r, g, b] = [0, 0, 0];
    for (let place = from; place < to; place++) {
      const at = 3 * order[start + place];
      r += bytes[at] ** 2;
      g += bytes[at + 1] ** 2;
      b += bytes[at + 2] ** 2;
    }
    const n = to - from;
    out.set([Math.sqrt(r / n), Math.sqrt(g / n), Math.sqrt(b / n)], 3 * row);
  }
  return out;
}

/**
 * Fills columns of an image (Uint32 pixels, `stride` a row) with units in an order.
 * @param boxes per layer {x, y, wide, high} in whole pixels
 */
export function fillColumns(pixels, stride, data, order, bytes, boxes) {
  data.layers.forEach(({ start, stop }, l) => {
    const { x, y, wide, high } = boxes[l];
    const rows = rowColours(order, start, stop, bytes, high);
    for (let row = 0; row < high; row++) {
      const pixel = ((255 << 24) | (rows[3 * row + 2] << 16) | (rows[3 * row + 1] << 8) | rows[3 * row]) >>> 0;
      const at = (y + row) * stride + x;
      pixels.fill(pixel, at, at + wide);
    }
  });
}

/** Which unit of an order lies at a place of a box of columns; null outside. */
export function unitAt(data, order, columns, px, py) {
  const l = Math.floor((px - columns.left) / columns.pitch);
  if (l < 0 || l >= data.layers.length || py < columns.top || py >= columns.top + columns.high) return null;
  const { start, stop } = data.layers[l];
  const place = Math.min(stop - start - 1, Math.floor(((py - columns.top) / columns.high) * (stop - start)));
  return order[start + place];
}
