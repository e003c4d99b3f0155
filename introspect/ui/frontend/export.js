// The view as a file: an SVG with the dots as one embedded picture and everything else as vectors; PNG from it.

import { count, digits, hex, rampPixels } from "./colour.js";
import { Painter } from "./layers.js";
import { colourTitle } from "./toolbar.js";
import { format } from "./legend.js";
import { drawPictures } from "./marks.js";

const SVG = "http://www.w3.org/2000/svg";
const RATIO = 2; // the raster part at twice the screen's CSS size, sharp in print
const FONT = "Helvetica, Arial, sans-serif";

function shape(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function axes(parent, map, ink) {
  const { view } = map;
  const [x0, y1] = view.toPlane(0, 0);
  const [x1, y0] = view.toPlane(view.width, view.height);
  const small = { "font-size": 11, fill: ink, "font-family": FONT };
  const across = view.ticks(x0, x1);
  for (const x of across.values) {
    shape(parent, "text", { ...small, x: view.toPixel(x, 0)[0], y: view.height - 6, "text-anchor": "middle" }, x.toFixed(across.digits));
  }
  const up = view.ticks(y0, y1);
  for (const y of up.values) {
    const py = view.toPixel(0, y)[1];
    if (py > 24 && py < view.height - 24) shape(parent, "text", { ...small, x: 6, y: py + 4 }, y.toFixed(up.digits));
  }
  const [first, second] = map.axes();
  shape(parent, "text", { ...small, "font-weight": 600, x: view.width - 8, y: view.height - 6, "text-anchor": "end" }, first);
  shape(parent, "text", { ...small, "font-weight": 600, x: 6, y: 16 }, second);
}

function names(parent, map, paper, ink) {
  const { view, colouring } = map;
  for (const { code, x, y } of map.labelled()) {
    const [px, py] = view.toPixel(x, y);
    if (px < 0 || py < 0 || px > view.width || py > view.height) continue;
    const style = { x: px, y: py + 5, "text-anchor": "middle", "font-size": 15, "font-weight": 700, "font-family": FONT };
    shape(parent, "text", { ...style, fill: "none", stroke: paper, "stroke-width": 5, "stroke-linejoin": "round" }, colouring.names[code]);
    shape(parent, "text", { ...style, fill: ink }, colouring.names[code]);
  }
}

function rampImage(ramp) {
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 1;
  const image = canvas.getContext("2d").createImageData(256, 1);
  new Uint32Array(image.data.buffer).set(rampPixels(ramp));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function scale(parent, x, y, title, ramp, low, high, ink) {
  const text = { "font-size": 11, fill: ink, "font-family": FONT };
  shape(parent, "text", { ...text, x, y: y + 10, "font-weight": 600 }, title);
  shape(parent, "image", { x, y: y + 16, width: 170, height: 10, preserveAspectRatio: "none", href: rampImage(ramp) });
  shape(parent, "text", { ...text, x, y: y + 40 }, low);
  shape(parent, "text", { ...text, x: x + 170, y: y + 40, "text-anchor": "end" }, high);
  return y + 58;
}

function legend(parent, map, left, ink) {
  const { colouring, state } = map;
  let y = 12;
  const text = { "font-size": 12, fill: ink, "font-family": FONT };
  if (colouring.ramp) {
    const { score } = colouring;
    y = scale(parent, left, y, score.title, colouring.ramp, ...score.shown.map((v) => format(score, v)), ink);
  } else {
    shape(parent, "text", { ...text, x: left, y: y + 10, "font-weight": 600 }, colourTitle(map.table, state.colour));
    y += 20;
    colouring.names.forEach((name, code) => {
      if (!map.counts[code]) return;
      const dim = state.filter.only && !state.filter.only.codes.includes(code) ? 0.3 : 1;
      shape(parent, "circle", { "fill-opacity": dim, cx: left + 6, cy: y + 8, r: 5, fill: hex(colouring.colours[code]) });
      shape(parent, "text", { ...text, "fill-opacity": dim, x: left + 18, y: y + 12 }, name);
      shape(parent, "text", { ...text, x: left + 170, y: y + 12, "text-anchor": "end", "fill-opacity": 0.65 * dim }, count(map.counts[code]));
      y += 19;
    });
    y += 12;
  }
  if (map.showsChart()) {
    const { low, high } = map.table.manifest.chart;
    y = scale(parent, left, y, "estimated error (log10)", map.theme.error, digits(low, 1), digits(high, 1), ink);
  }
  return y;
}

/** The current view as SVG text. */
export function toSvg(map) {
  const { view, theme } = map;
  const [ink, paper] = [hex(theme.text), hex(theme.background)];
  const side = 200;
  const base = document.createElement("canvas");
  base.width = Math.round(view.width * RATIO);
  base.height = Math.round(view.height * RATIO);
  const context = base.getContext("2d");
  new Painter().paint(context, map.scene(), view.width, view.height, RATIO);
  if (map.showsPictures()) {
    context.setTransform(RATIO, 0, 0, RATIO, 0, 0);
    drawPictures(context, map.scene(), map.grid(), map.sheets, map.table);
  }
  const svg = document.createElementNS(SVG, "svg");
  const content = document.createElementNS(SVG, "g");
  shape(content, "image", { x: 0, y: 0, width: view.width, height: view.height, href: base.toDataURL("image/png") });
  axes(content, map, hex(theme.muted));
  if (map.state.layers.labels.on) names(content, map, paper, ink);
  if (map.state.pinned >= 0) {
    const [cx, cy] = view.toPixel(map.points.x[map.state.pinned], map.points.y[map.state.pinned]);
    shape(content, "circle", { cx, cy, r: 9, fill: "none", stroke: hex(theme.primary), "stroke-width": 3 });
  }
  for (const { probe } of map.probes.all.values()) {
    const at = probe.at[map.state.projection];
    if (!at) continue;
    const [cx, cy] = view.toPixel(...at);
    shape(content, "circle", { cx, cy, r: 6, fill: hex(theme.primary), stroke: paper, "stroke-width": 2 });
    shape(content, "text", { x: cx + 11, y: cy + 4, "font-size": 13, "font-weight": 600, fill: ink, "font-family": FONT }, probe.title);
  }
  const foot = legend(content, map, view.width + 16, ink);
  const high = Math.max(view.height, foot);
  Object.entries({ xmlns: SVG, width: view.width + side, height: high, viewBox: `0 0 ${view.width + side} ${high}` }).forEach(([name, value]) =>
    svg.setAttribute(name, String(value)),
  );
  shape(svg, "title", {}, map.summary());
  shape(svg, "rect", { width: "100%", height: "100%", fill: paper });
  svg.append(content);
  return new XMLSerializer().serializeToString(svg);
}

/** The current view as a PNG blob, twice the CSS size. */
export async function toPng(map) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([toSvg(map)], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * RATIO;
  canvas.height = image.naturalHeight * RATIO;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Offers a blob as a file to keep. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
