// The picture beneath the pointer: error map, density, dots and mistakes, painted in this order.

import { along, hex, pack, rampPixels } from "./colour.js";
import { MARGIN, Raster, density, makeStamp } from "./raster.js";

const FINER = 3;

/** Dot radius in CSS pixels: smaller when there are many, growing slowly as one zooms in. */
export function dotRadius(n, width, height, zoom, size) {
  const base = Math.min(4.2, Math.max(1.25, Math.sqrt((0.3 * width * height) / (Math.PI * Math.max(1, n)))));
  return Math.min(8, base * Math.max(0.8, zoom) ** 0.42) * size;
}

/** The error map as a small canvas: uint8 levels, row 0 lowest, the rim faded out. */
export function chartCanvas(levels, width, height, ramp) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = rampPixels(ramp);
  const rim = 0.06 * Math.min(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const edge = Math.min(row, column, height - 1 - row, width - 1 - column);
      const alpha = Math.round(255 * Math.min(1, edge / rim));
      const colour = colours[levels[row * width + column]];
      pixels[(height - 1 - row) * width + column] = ((alpha << 24) | (colour & 0xffffff)) >>> 0;
    }
  }
  context.putImageData(image, 0, 0);
  // Enlarged once with care, so that every redraw can enlarge it further in a hurry.
  const large = document.createElement("canvas");
  large.width = FINER * width;
  large.height = FINER * height;
  const fine = large.getContext("2d");
  fine.imageSmoothingQuality = "high";
  fine.drawImage(canvas, 0, 0, large.width, large.height);
  return large;
}

/** Packed colours of a colouring: `full` as chosen, `ghost` for what is set aside. */
export function colourTables(colouring, theme) {
  if (colouring.ramp) {
    const full = new Uint32Array(257);
    full.set(rampPixels(colouring.ramp));
    full[256] = pack(...theme.ghost.map(Math.round));
    return { full, ghost: new Uint32Array(257).fill(pack(...theme.ghost.map(Math.round), 70)) };
  }
  const full = Uint32Array.from(colouring.colours, (colour) => pack(...colour.map(Math.round)));
  return { full, ghost: new Uint32Array(full.length).fill(pack(...theme.ghost.map(Math.round), 70)) };
}

/** Values to codes 0..255 between low and high; 256 is "no value". */
export function rampCodes(values, low, high) {
  const codes = new Uint16Array(values.length);
  const scale = 255 / Math.max(1e-12, high - low);
  for (let i = 0; i < values.length; i++) {
    const level = (values[i] - low) * scale;
    codes[i] = level >= 0 ? (level > 255 ? 255 : level) : level < 0 ? 0 : 256;
  }
  return codes;
}

export class Painter {
  constructor() {
    this.raster = new Raster();
    this.dots = document.createElement("canvas");
    this.cloud = document.createElement("canvas");
  }

  /**
   * Paints the whole base picture.
   *
   * @param context the 2D context, `width` × `height` CSS pixels at `ratio` device pixels each
   * @param scene {points, tables, view, theme, layers, size, chart, wrong, faded}
   */
  paint(context, scene, width, height, ratio) {
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = hex(scene.theme.background);
    context.fillRect(0, 0, wide, high);
    const { view, layers } = scene;
    const window = { x: view.x, y: view.y, scale: view.scale * ratio };
    if (scene.chart && layers.error.on) this.paintChart(context, scene, window, wide, high);
    this.paintLines(context, scene, ratio, wide, high);
    if (layers.density.on) this.paintDensity(context, scene, window, wide, high, ratio);
    if (layers.points.on) this.paintDots(context, scene, window, wide, high, ratio);
    context.globalAlpha = 1;
  }

  paintChart(context, { chart, layers, faded }, window, wide, high) {
    const [x0, x1, y0, y1] = chart.extent;
    const left = (x0 - window.x) * window.scale + wide / 2;
    const top = high / 2 - (y1 - window.y) * window.scale;
    context.globalAlpha = layers.error.opacity * faded;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "low";
    context.drawImage(chart.canvas, left, top, (x1 - x0) * window.scale, (y1 - y0) * window.scale);
    context.globalAlpha = 1;
  }

  paintLines(context, { view, theme }, ratio, wide, high) {
    const [x0, y1] = view.toPlane(0, 0);
    const [x1, y0] = view.toPlane(view.width, view.height);
    context.fillStyle = `rgba(${theme.text.join(",")},${theme.dark ? 0.09 : 0.07})`;
    const line = Math.max(1, Math.round(ratio));
    for (const x of view.ticks(x0, x1).values) {
      context.fillRect(Math.round(view.toPixel(x, 0)[0] * ratio), 0, line, high);
    }
    for (const y of view.ticks(y0, y1).values) {
      context.fillRect(0, Math.round(view.toPixel(0, y)[1] * ratio), wide, line);
    }
  }

  paintDensity(context, { points, tables, layers }, window, wide, high, ratio) {
    const cell = 2 * ratio;
    const cells = density(points, tables.full, window, wide, high, cell);
    this.cloud.width = cells.width;
    this.cloud.height = cells.height;
    this.cloud.getContext("2d").putImageData(new ImageData(cells.bytes, cells.width, cells.height), 0, 0);
    context.globalAlpha = layers.density.opacity;
    context.imageSmoothingEnabled = true;
    context.drawImage(this.cloud, 0, 0, cells.width * cell, cells.height * cell);
    context.globalAlpha = 1;
  }

  paintDots(context, scene, window, wide, high, ratio) {
    const { points, tables, view, layers, theme } = scene;
    const { raster } = this;
    const radius = dotRadius(scene.expected, view.width, view.height, view.zoom, scene.size) * ratio;
    const stamp = makeStamp(radius);
    raster.resize(wide, high);
    raster.clear();
    raster.stamp(points, 1, tables.ghost, window, makeStamp(Math.max(1, radius * 0.8)));
    raster.stamp(points, 2, tables.full, window, stamp);
    if (layers.mistakes.on && scene.wrong.length) {
      const ink = new Uint32Array(tables.full.length).fill(pack(...theme.text.map(Math.round)));
      const gap = new Uint32Array(tables.full.length).fill(pack(...theme.background.map(Math.round)));
      raster.stamp(points, 2, ink, window, makeStamp(radius + 1.5 * ratio), scene.wrong);
      raster.stamp(points, 2, gap, window, makeStamp(radius + 0.6 * ratio), scene.wrong);
      raster.stamp(points, 2, tables.full, window, makeStamp(radius), scene.wrong);
    }
    if (this.dots.width !== raster.stride || this.dots.height !== high + 2 * MARGIN) {
      this.dots.width = raster.stride;
      this.dots.height = high + 2 * MARGIN;
    }
    this.dots.getContext("2d").putImageData(new ImageData(raster.bytes, raster.stride), 0, 0);
    context.globalAlpha = layers.points.opacity;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.dots, -MARGIN, -MARGIN);
  }
}

/** A horizontal strip of a ramp, for legends. */
export function rampStrip(ramp, stops = 9) {
  const parts = Array.from({ length: stops }, (_, i) => hex(along(ramp, i / (stops - 1))));
  return `linear-gradient(to right, ${parts.join(", ")})`;
}
