// Pictures side by side; a press on one pins it on the map.

import { count, hex, readTheme } from "./colour.js";
import { classColours } from "./colouring.js";
import { adopt, el } from "./element.js";
import { remover } from "./mounting.js";
import { Sheets } from "./sheets.js";
import { addressOf } from "./table.js";

const PAGE = 120;
const manifests = new Map();
const places = new WeakMap();

function manifest(base, key) {
  const url = addressOf(base, key);
  if (!manifests.has(url)) {
    manifests.set(
      url,
      fetch(url)
        .then((answer) => answer.json())
        .then((found) => ({ found, sheets: found.thumbs && Sheets.of(found.thumbs, base) })),
    );
  }
  return manifests.get(url);
}

export class Gallery {
  constructor(host) {
    this.grid = el("div", { class: "tiles", role: "list" });
    // A colour transition on the sentinel tells that the page's theme has changed.
    this.sentinel = el("i", { class: "sentinel", "aria-hidden": "true", ontransitionend: () => this.recolour() });
    this.more = el("button", { type: "button", class: "clear", onclick: () => this.grow() });
    host.replaceChildren(el("div", { class: "gallery" }, this.grid, this.more, this.sentinel));
  }

  async show(component) {
    this.component = component;
    const { data } = component;
    const { found, sheets } = await manifest(data.blobs, data.manifest);
    const text = JSON.stringify([data.items, data.manifest]);
    if (text === this.text) return;
    Object.assign(this, { text, found, sheets, items: data.items, size: data.size ?? 44, named: data.named ?? false, shown: 0 });
    this.colours = classColours(found, readTheme(this.grid));
    this.grid.replaceChildren();
    this.grow();
  }

  /** The pictures stay; the class marks below them take the colours of the theme at hand. */
  recolour() {
    if (!this.found) return;
    this.colours = classColours(this.found, readTheme(this.grid));
    [...this.grid.children].forEach((tile, i) => {
      tile.querySelector(".tile-mark").style.background = this.colourOf(this.items[i]);
    });
  }

  colourOf([, , label, predicted]) {
    return hex(this.colours[label < 0 ? predicted : label] ?? [128, 128, 128]);
  }

  grow() {
    const until = Math.min(this.items.length, this.shown + PAGE);
    for (; this.shown < until; this.shown++) this.grid.append(this.tile(...this.items[this.shown]));
    this.more.hidden = this.shown === this.items.length;
    this.more.textContent = `Show more (${count(this.items.length - this.shown)} left)`;
  }

  tile(row, id, label, predicted, note) {
    const { classes } = this.found;
    const wrong = label >= 0 && label !== predicted;
    const said = label < 0 ? classes[predicted] : wrong ? `${classes[label]}, taken for ${classes[predicted]}` : classes[label];
    const name = `#${count(id)}: ${said}${note ? `, ${note}` : ""}`;
    const body = this.sheets ? this.picture(row) : el("span", { class: "tile-text" }, `#${count(id)}`);
    return el(
      "button",
      {
        type: "button",
        role: "listitem",
        class: `tile${wrong ? " wrong" : ""}`,
        title: name,
        "aria-label": name,
        "data-row": row,
        onclick: () => this.component.setTriggerValue("pick", row),
      },
      body,
      this.named ? el("span", { class: "tile-name" }, wrong ? `${classes[label]} → ${classes[predicted]}` : said) : null,
      el("i", { class: "tile-mark", style: { background: this.colourOf([row, id, label, predicted]) } }),
    );
  }

  picture(row) {
    const ratio = window.devicePixelRatio || 1;
    const share = this.size / Math.max(this.sheets.width, this.sheets.height);
    const [wide, high] = [this.sheets.width * share, this.sheets.height * share];
    const canvas = el("canvas", { width: Math.round(wide * ratio), height: Math.round(high * ratio), style: { width: `${wide}px`, height: `${high}px` }, "aria-hidden": "true" });
    const later = () => canvas.isConnected && paint();
    const paint = () => this.sheets.draw(canvas.getContext("2d"), row, 0, 0, canvas.width, canvas.height, later);
    paint();
    return canvas;
  }
}

export default async function mount(component) {
  const { parentElement: parent } = component;
  const leave = remover(places, parent, () => {
    places.get(parent)?.host.remove();
    places.delete(parent);
  });
  if (!places.has(parent)) {
    const host = el("div", {});
    parent.append(host);
    places.set(parent, { host, gallery: new Gallery(host) });
    await adopt(host, new URL("map.css", import.meta.url).href);
    await adopt(host, new URL("panel.css", import.meta.url).href);
  }
  await places.get(parent)?.gallery.show(component);
  return leave;
}
