// The software raster: 70,000 anti-aliased dots in a few milliseconds, on any machine, without a GPU.

export const MARGIN = 24; // pixels round the picture, so that dots on the edge are not cut

/** A disc (or a ring from `hollow` outwards) as pixel offsets with coverage 1..255. */
export function makeStamp(radius, hollow = 0) {
  const reach = Math.ceil(radius + 0.5);
  const solid = [];
  const soft = [];
  const steps = 5;
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      let covered = 0;
      for (let sy = 0; sy < steps; sy++) {
        for (let sx = 0; sx < steps; sx++) {
          const distance = Math.hypot(dx + (sx + 0.5) / steps - 0.5, dy + (sy + 0.5) / steps - 0.5);
          if (distance <= radius && distance >= hollow) covered++;
        }
      }
      const cover = Math.round((255 * covered) / steps ** 2);
      if (cover >= 250) solid.push([dx, dy]);
      else if (cover > 12) soft.push([dx, dy, cover]);
    }
  }
  return { reach, solid, soft };
}

/** Puts one pixel over another: plain 8-bit arithmetic on straight (not premultiplied) alpha. */
export function over(below, above, cover) {
  const alpha = ((above >>> 24) * cover) / 255;
  if (below >>> 24 === 0) return ((Math.round(alpha) << 24) | (above & 0xffffff)) >>> 0;
  const share = Math.round((alpha * 256) / 255);
  const rest = 256 - share;
  const redBlue = (((below & 0xff00ff) * rest + (above & 0xff00ff) * share) >>> 8) & 0xff00ff;
  const green = (((below & 0x00ff00) * rest + (above & 0x00ff00) * share) >>> 8) & 0x00ff00;
  const both = Math.min(255, (below >>> 24) + Math.round(((255 - (below >>> 24)) * alpha) / 255));
  return ((both << 24) | redBlue | green) >>> 0;
}

export class Raster {
  constructor() {
    this.width = 0;
    this.height = 0;
    this.stride = 0;
    this.pixels = new Uint32Array(0);
  }

  /** Width and height in device pixels; the buffer is wider by MARGIN on every side. */
  resize(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.stride = width + 2 * MARGIN;
    this.bytes = new Uint8ClampedArray(4 * this.stride * (height + 2 * MARGIN));
    this.pixels = new Uint32Array(this.bytes.buffer);
  }

  clear() {
    this.pixels.fill(0);
  }

  /**
   * Stamps every point whose `show` equals `level`, in the order of the arrays.
   *
   * @param points {x, y: Float32Array, codes: Uint8Array|Uint16Array, show: Uint8Array}
   * @param colours Uint32Array of packed pixels, one per code
   * @param window {x, y, scale}: plane centre and device pixels per unit
   * @param only optional Int32Array of indices to draw instead of all
   */
  stamp(points, level, colours, window, stamp, only = null) {
    const { x, y, codes, show } = points;
    const { pixels, stride } = this;
    const high = this.height + 2 * MARGIN;
    const solid = Int32Array.from(stamp.solid, ([dx, dy]) => dy * stride + dx);
    const soft = Int32Array.from(stamp.soft, ([dx, dy]) => dy * stride + dx);
    const cover = Int32Array.from(stamp.soft, (entry) => entry[2]);
    const { reach } = stamp;
    const scale = window.scale;
    const originX = this.width / 2 + MARGIN + 0.5 - window.x * scale;
    const originY = this.height / 2 + MARGIN + 0.5 + window.y * scale;
    const [right, bottom] = [stride - reach, high - reach];
    const total = only ? only.length : x.length;
    let drawn = 0;
    for (let k = 0; k < total; k++) {
      const i = only ? only[k] : k;
      if (show[i] !== level) continue;
      const px = (x[i] * scale + originX) | 0;
      const py = (originY - y[i] * scale) | 0;
      if (px < reach || py < reach || px >= right || py >= bottom) continue;
      const colour = colours[codes[i]];
      const at = py * stride + px;
      for (let s = 0; s < solid.length; s++) pixels[at + solid[s]] = colour;
      if (colour >>> 24 < 255) {
        for (let s = 0; s < soft.length; s++) pixels[at + soft[s]] = over(pixels[at + soft[s]], colour, cover[s]);
        drawn++;
        continue;
      }
      // The same as over(), for an opaque colour and without leaving 32-bit integers: this loop is most of a redraw.
      const redBlue = colour & 0xff00ff;
      const green = colour & 0x00ff00;
      for (let s = 0; s < soft.length; s++) {
        const target = at + soft[s];
        const below = pixels[target];
        const share = cover[s] + 1;
        if (below === 0) {
          pixels[target] = (cover[s] << 24) | redBlue | green;
          continue;
        }
        const rest = 256 - share;
        const mixed = (Math.imul(below & 0xff00ff, rest) + Math.imul(redBlue, share)) >>> 8;
        const mixedGreen = (Math.imul(below & 0x00ff00, rest) + Math.imul(green, share)) >>> 8;
        const alpha = below >>> 24;
        const both = alpha === 255 ? 255 : alpha + (((255 - alpha) * share) >>> 8);
        pixels[target] = (both << 24) | (mixed & 0xff00ff) | (mixedGreen & 0x00ff00);
      }
      drawn++;
    }
    return drawn;
  }
}

/** One pass of the weights 1, 2, 1 along both directions, in place; the rim repeats itself. */
function blur(values, width, height, scratch) {
  for (let from = 0; from < width * height; from += width) {
    const last = from + width - 1;
    scratch[from] = 0.75 * values[from] + 0.25 * values[Math.min(last, from + 1)];
    for (let i = from + 1; i < last; i++) scratch[i] = 0.25 * (values[i - 1] + values[i + 1]) + 0.5 * values[i];
    scratch[last] = 0.75 * values[last] + 0.25 * values[Math.max(from, last - 1)];
  }
  for (let r = 0; r < height; r++) {
    const above = r ? -width : 0;
    const below = r < height - 1 ? width : 0;
    for (let i = r * width, end = i + width; i < end; i++) {
      values[i] = 0.25 * (scratch[i + above] + scratch[i + below]) + 0.5 * scratch[i];
    }
  }
}

/**
 * How many shown points fall in every cell of the window, as pixels: mean colour, logarithmic alpha.
 *
 * @param cell device pixels a side of one cell
 * @returns {width, height, bytes} RGBA of the cells, to be drawn enlarged by `cell`
 */
export function density(points, colours, window, width, height, cell, passes = 2) {
  const wide = Math.ceil(width / cell);
  const high = Math.ceil(height / cell);
  const sums = Array.from({ length: 4 }, () => new Float32Array(wide * high));
  const [red, green, blue, counts] = sums;
  const { x, y, codes, show } = points;
  const perUnit = window.scale / cell;
  const originX = width / 2 / cell - window.x * perUnit;
  const originY = height / 2 / cell + window.y * perUnit;
  for (let i = 0; i < x.length; i++) {
    if (show[i] !== 2) continue;
    const c = Math.floor(x[i] * perUnit + originX);
    const r = Math.floor(originY - y[i] * perUnit);
    if (c < 0 || r < 0 || c >= wide || r >= high) continue;
    const at = r * wide + c;
    const colour = colours[codes[i]];
    red[at] += colour & 255;
    green[at] += (colour >>> 8) & 255;
    blue[at] += (colour >>> 16) & 255;
    counts[at] += 1;
  }
  const scratch = new Float32Array(wide * high);
  for (const sum of sums) for (let p = 0; p < passes; p++) blur(sum, wide, high, scratch);
  let most = 0;
  for (let at = 0; at < counts.length; at++) if (counts[at] > most) most = counts[at];
  const bytes = new Uint8ClampedArray(4 * wide * high);
  const full = Math.log1p(most * 4);
  for (let at = 0; at < wide * high; at++) {
    const amount = counts[at];
    if (amount <= 0.01) continue;
    bytes[4 * at] = red[at] / amount;
    bytes[4 * at + 1] = green[at] / amount;
    bytes[4 * at + 2] = blue[at] / amount;
    bytes[4 * at + 3] = 255 * Math.min(1, 0.12 + Math.log1p(amount * 4) / full);
  }
  return { width: wide, height: high, bytes };
}
