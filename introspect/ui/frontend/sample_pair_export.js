// The sample cards as one picture: everything of the page on one sheet, words and bars as vectors.

import { addPanel, FONT, shape, sheet, toPng } from "./brainbow_export.js";
import { digits, hex } from "./colour.js";
import { BLUE, marksOf, ORANGE, shareOf, shownClasses } from "./sample_pair_bars.js";

export { toPng };

const EDGE = 20;
const WIDE = 330; // one sample
const PICTURE = 112;
const TALLEST = 26; // values of a table that are written out

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
    this.say(`${letter ? `${letter}: ` : ""}${card.title}`, x, y + 14, { "font-size": 15, "font-weight": 700 });
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
    const codes = shownClasses(cards).slice(0, TALLEST);
    const cell = 210;
    const head = cards.length > 1 ? ["A", "B", "A − B"] : [];
    head.forEach((text, i) => this.say(text, x + 80 + cell * i, y + 12, { "font-weight": 700 }));
    codes.forEach((code, i) => {
      const line = y + 20 + 18 * i;
      this.say(classes[code].slice(0, 12), x + 72, line + 10, { "text-anchor": "end" });
      cards.forEach((card, j) => {
        const left = x + 80 + cell * j;
        this.block(left, line, 110, 11, this.soft);
        this.block(left, line, 110 * shareOf(card.outputs[code]), 11, hex(colours[code]));
        this.say(`${digits(card.outputs[code], 3)} ${marksOf(card, code)}`, left + 116, line + 10, { fill: this.quiet });
      });
      if (cards.length < 2) return;
      const gap = cards[0].outputs[code] - cards[1].outputs[code];
      const middle = x + 80 + 2 * cell + 45;
      const length = 45 * Math.min(1, Math.abs(gap));
      this.block(middle - 45, line, 90, 11, this.soft);
      this.block(gap < 0 ? middle - length : middle, line, length, 11, gap < 0 ? BLUE : ORANGE);
      this.say(digits(gap, 3), middle + 50, line + 10, { fill: this.quiet });
    });
    return 24 + 18 * codes.length;
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
  const panels = cards.every(({ values }) => values) ? samples.panels : [];
  const mapWide = 420;
  const mapHigh = (mapWide * map.view.height) / map.view.width;
  const columns = Math.max(cards.length * WIDE, 80 + 210 * cards.length + (cards.length > 1 ? 150 : 0));
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
  y += tall + 18;
  if (panels.length) {
    for (const line of broken(samples.note.textContent, 130)) {
      page.say(line, EDGE, y, { "font-size": 11, fill: page.quiet });
      y += 16;
    }
    y += 8;
  }
  for (const part of pair.near) y += page.near(part, EDGE, y);
  svg.setAttribute("height", String(y + EDGE));
  svg.setAttribute("viewBox", `0 0 ${width} ${y + EDGE}`);
  return new XMLSerializer().serializeToString(svg);
}
