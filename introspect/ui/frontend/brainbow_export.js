// The brainbow as a file: an SVG with the columns as embedded pictures and everything else as vectors; PNG from it.

import { hex } from "./colour.js";
import { download } from "./export.js";
import { ribbonsOf, skip, ticksOf } from "./brainbow_panel.js";

export { download };

const SVG = "http://www.w3.org/2000/svg";
const RATIO = 2;
export const FONT = "Helvetica, Arial, sans-serif";
const HEAD = 26;
const LEGEND = 150;

export function shape(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** One panel at (x, y): its title, columns, ribbons and axes. */
export function addPanel(parent, panel, x, y) {
  const { columns, data, picture, width, height } = panel;
  const [ink, quiet] = [hex(picture.theme.text), hex(picture.theme.muted)];
  const small = { "font-size": 11, fill: quiet, "font-family": FONT };
  const group = shape(parent, "g", { transform: `translate(${x} ${y})` });
  shape(group, "text", { x: columns.left, y: 16, "font-size": 14, "font-weight": 700, fill: ink, "font-family": FONT }, panel.say.title);
  const inner = shape(group, "g", { transform: `translate(0 ${HEAD})` });
  const { blocks } = picture;
  picture.blocks = null; // the bands are drawn as vectors
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * RATIO);
  canvas.height = Math.round(height * RATIO);
  panel.paint(canvas.getContext("2d"), RATIO);
  picture.blocks = blocks;
  shape(inner, "image", { x: 0, y: 0, width, height, href: canvas.toDataURL("image/png") });
  for (const { code, corners } of blocks ? ribbonsOf(data.layers, blocks, columns) : []) {
    if (code >= data.k) continue;
    const opacity = picture.only < 0 ? (picture.strength ?? 0.4) : code === picture.only ? 0.95 : 0.05;
    shape(inner, "polygon", { points: corners.map((pair) => pair.join(",")).join(" "), fill: hex(picture.classes[code]), "fill-opacity": opacity });
  }
  for (const { share, text } of ticksOf(data.layers)) {
    shape(inner, "text", { ...small, x: columns.left - 4, y: columns.top + share * columns.high + 4, "text-anchor": "end" }, text);
  }
  const every = skip(columns.pitch);
  data.layers.forEach((_, l) => {
    if (l % every === 0) shape(inner, "text", { ...small, x: columns.x(l) + columns.wide / 2, y: columns.top + columns.high + 14, "text-anchor": "middle" }, String(l + 1));
  });
  shape(inner, "text", { ...small, x: columns.left + (columns.pitch * data.layers.length) / 2, y: height - 7, "text-anchor": "middle" }, "layer (1 reads the input)");
  shape(inner, "text", { ...small, transform: `translate(11 ${columns.top + columns.high / 2}) rotate(-90)`, "text-anchor": "middle" }, panel.say.up);
  return HEAD + height;
}

function addCounts(parent, figure, x, y) {
  const group = shape(parent, "g", { transform: `translate(${x} ${y})` });
  const quiet = { "font-size": 11, fill: hex(figure.theme.muted), "font-family": FONT };
  for (const { code, x: left, y: top, wide, high } of figure.bars?.flat() ?? []) {
    shape(group, "rect", { x: left, y: top, width: wide, height: high, fill: hex(figure.classes[code]) });
  }
  shape(group, "text", { ...quiet, x: figure.after.columns.left, y: figure.counts.clientHeight + 2 }, "units of each layer by preferred class");
  return figure.counts.clientHeight;
}

function addLegend(parent, figure, x) {
  const ink = hex(figure.theme.text);
  const most = 40;
  figure.data.classes.slice(0, most).forEach((name, code) => {
    const y = HEAD + 14 + 18 * code;
    shape(parent, "circle", { cx: x + 6, cy: y - 4, r: 5, fill: hex(figure.classes[code]) });
    shape(parent, "text", { x: x + 18, y, "font-size": 12, fill: ink, "font-family": FONT }, name);
  });
  return HEAD + 14 + 18 * Math.min(most, figure.data.k);
}

/** Opens an SVG of a size on the ground of the page. */
export function sheet(width, height, ground, title) {
  const svg = document.createElementNS(SVG, "svg");
  Object.entries({ xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` }).forEach(([name, value]) => svg.setAttribute(name, String(value)));
  shape(svg, "title", {}, title);
  shape(svg, "rect", { width: "100%", height: "100%", fill: hex(ground) });
  return svg;
}

/** The whole figure as the text of an SVG. */
export function toSvg(figure) {
  const { before, after, theme, data } = figure;
  const width = before.width + after.width + 20 + LEGEND;
  const foot = figure.counts.clientHeight + 14;
  const high = Math.max(HEAD + after.height + foot, HEAD + 24 + 18 * Math.min(40, data.k));
  const svg = sheet(width, high, theme.background, `Brainbow of ${data.manifest.name}`);
  addPanel(svg, before, 0, 0);
  const y = addPanel(svg, after, before.width + 20, 0);
  addCounts(svg, figure, before.width + 20, y);
  addLegend(svg, figure, before.width + after.width + 32);
  return new XMLSerializer().serializeToString(svg);
}

/** An SVG as a PNG blob, twice its size. */
export async function toPng(svg) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * RATIO;
  canvas.height = image.naturalHeight * RATIO;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
