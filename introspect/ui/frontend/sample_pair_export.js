// The sample cards as one picture: everything of the page on one sheet, words and bars as vectors.

import { addPanel, FONT, shape, sheet, toPng } from "./brainbow_export.js";
import { along, digits, hex, rgb } from "./colour.js";
import { BLUE, marksOf, ORANGE, shareOf, shownClasses } from "./sample_pair_bars.js";

export { toPng };

const EDGE = 20;
const WIDE = 330; // one sample
const PICTURE = 112;
const NAMES = 100; // for the name of a class
const STEPS = 32; // of the ramp in its key

/** Text broken into lines of at most so many letters, at spaces. */
export function broken(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last && last.length + word.length + 1 > most) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines;
}

class Sheet {
  constructor(svg, theme) {
    Object.assign(this, { svg, ink: hex(theme.text), quiet: hex(theme.muted), soft: hex(theme.faint) });
  }

  say(text, x, y, more = {}) {
    shape(this.svg, "text", { x, y, "font-size": 12, fill: this.ink, "font-family": FONT, ...more }, text);
  }

  picture(href, x, y, width, height) {
    shape(this.svg, "image", { x, y, width, height, href, style: "image-rendering: pixelated" });
  }

  block(x, y, width, height, fill) {
    shape(this.svg, "rect", { x, y, width: Math.max(0, width), height, fill });
  }

  /** Picture or values, names and facts of one sample; the height that it took. */
  head(card, letter, x, y) {
    const right = card.label === null ? "" : card.label === card.predicted ? ", right" : ", wrong";
    this.say(`${letter ? `${letter}: ` : ""}${card.title}${right}`, x, y + 14, { "font-size": 15, "font-weight": 700 });
    const top = y + 26;
    if (card.picture) this.picture(card.picture, x, top, PICTURE, PICTURE);
    else card.values.rows.slice(0, 7).forEach(([name, value], i) => this.say(`${name}: ${value}`, x, top + 12 + 16 * i, { fill: this.quiet }));
    [...card.names, ...card.facts].forEach(([name, value], i) => {
      this.say(name, x + PICTURE + 14, top + 12 + 18 * i, { fill: this.quiet });
      this.say(value, x + WIDE - 12, top + 12 + 18 * i, { "font-weight": 600, "text-anchor": "end" });
    });
    const lines = broken(card.verdict, 58);
    lines.forEach((line, i) => this.say(line, x, top + PICTURE + 20 + 15 * i, { "font-size": 11, fill: this.quiet }));
    return 26 + PICTURE + 20 + 15 * lines.length;
  }

  /** The outputs of every sample and their difference; the height that they took. */
  bars(cards, classes, colours, x, y) {
    const codes = shownClasses(cards);
    const cell = 210;
    const left = x + NAMES + 8;
    const head = cards.length > 1 ? ["A", "B", "A − B"] : [];
    head.forEach((text, i) => this.say(text, left + cell * i, y + 12, { "font-weight": 700 }));
    codes.forEach((code, i) => {
      const line = y + 20 + 18 * i;
      this.say(classes[code].length > 17 ? `${classes[code].slice(0, 16)}…` : classes[code], x + NAMES, line + 10, { "text-anchor": "end" });
      cards.forEach((card, j) => {
        const start = left + cell * j;
        this.block(start, line, 110, 11, this.soft);
        this.block(start, line, 110 * shareOf(card.outputs[code]), 11, hex(colours[code]));
        this.say(`${digits(card.outputs[code], 3)} ${marksOf(card, code)}`, start + 116, line + 10, { fill: this.quiet });
      });
      if (cards.length < 2) return;
      const gap = cards[0].outputs[code] - cards[1].outputs[code];
      const middle = left + 2 * cell + 45;
      const length = 45 * Math.min(1, Math.abs(gap));
      this.block(middle - 45, line, 90, 11, this.soft);
      this.block(gap < 0 ? middle - length : middle, line, length, 11, gap < 0 ? BLUE : ORANGE);
      this.say(digits(gap, 3), middle + 50, line + 10, { fill: this.quiet });
    });
    this.say("● answer of the network, ✓ label", x, y + 34 + 18 * codes.length, { "font-size": 11, fill: this.quiet });
    return 42 + 18 * codes.length;
  }

  /** What the colours of the units mean; the height that it took. */
  key(samples, x, y) {
    const ramp = samples.data.manifest.ramp.map(rgb);
    for (let i = 0; i < STEPS; i++) this.block(x + i * 6, y, 6.5, 9, hex(along(ramp, i / (STEPS - 1))));
    const [low, high] = [...samples.ends.children].map(({ textContent }) => textContent);
    this.say(low, x, y + 22, { "font-size": 11, fill: this.quiet });
    this.say(high, x + STEPS * 6, y + 22, { "font-size": 11, fill: this.quiet, "text-anchor": "end" });
    broken(samples.legend, 120).forEach((line, i) => this.say(line, x + STEPS * 6 + 20, y + 10 + 15 * i, { "font-size": 11, fill: this.quiet }));
    return 44;
  }

  /** The pictures of a gallery as they stand on the page; the height that they took. */
  near(part, x, y) {
    const tiles = [...part.gallery.grid.children].slice(0, 10);
    if (part.node.hidden || part.host.hidden || !tiles.length) return 0;
    this.say(`Nearest in activation space${part.title.hidden ? "" : `, ${part.title.textContent.slice(-1)}`}`, x, y + 12, { "font-weight": 700 });
    tiles.forEach((tile, i) => {
      const canvas = tile.querySelector("canvas");
      const left = x + 74 * i;
      if (canvas) this.picture(canvas.toDataURL(), left, y + 20, 56, (56 * canvas.height) / canvas.width);
      else this.say(tile.querySelector(".tile-text").textContent, left, y + 40);
      this.say(tile.querySelector(".tile-name").textContent.slice(0, 11), left, y + 90, { "font-size": 11, fill: this.quiet });
    });
    return 104;
  }
}

/** One or two cards, their map, units and neighbours as the text of an SVG. */
export async function toCard(pair) {
  const { shown: cards, theme, map, samples, layers } = pair;
  const panels = cards.every(({ h }) => h) ? samples.panels : [];
  const mapWide = 420;
  const mapHigh = (mapWide * map.view.height) / map.view.width;
  const columns = Math.max(cards.length * WIDE, NAMES + 8 + 210 * cards.length + (cards.length > 1 ? 150 : 0));
  const unitsWide = panels.reduce((sum, panel) => sum + panel.width + 14, 0);
  const width = 2 * EDGE + Math.max(columns + 20 + mapWide, unitsWide, 740);
  const svg = sheet(width, 100, theme.background, "Sample card");
  const page = new Sheet(svg, theme);
  const two = cards.length > 1;
  const heads = cards.map((card, i) => page.head(card, two ? "AB"[i] : "", EDGE + WIDE * i, EDGE));
  let y = EDGE + Math.max(...heads) + 14;
  y += page.bars(cards, layers.classes, pair.colours(), EDGE, y) + 16;
  page.picture(map.canvas.toDataURL(), EDGE + columns + 20, EDGE, mapWide, mapHigh);
  y = Math.max(y, EDGE + mapHigh + 24);
  if (!pair.apart.hidden) {
    page.say(pair.apart.textContent, EDGE, y);
    y += 24;
  }
  let x = EDGE;
  let tall = 0;
  for (const panel of panels) {
    tall = Math.max(tall, addPanel(svg, panel, x, y));
    x += panel.width + 14;
  }
  y += tall + 12;
  if (panels.length) y += page.key(samples, EDGE, y);
  for (const part of pair.near) y += page.near(part, EDGE, y);
  svg.setAttribute("height", String(y + EDGE));
  svg.setAttribute("viewBox", `0 0 ${width} ${y + EDGE}`);
  return new XMLSerializer().serializeToString(svg);
}
