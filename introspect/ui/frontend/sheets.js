// Picture sheets: which tile shows a sample, fetched and decoded when first looked at.

import { addressOf } from "./table.js";

const MEMORY = 256 * 2 ** 20; // decoded sheets held at once, in bytes; the browser caches the files
const TILES = 4096; // single pictures held at once, so that a view full of them is drawn at once

const known = new Map(); // address of the first sheet -> Sheets

export class Sheets {
  /** The sheets of an atlas, the same for every part of the page: each is decoded once. */
  static of(manifest, base) {
    const name = addressOf(base, manifest.sheets[0]);
    if (!known.has(name)) known.set(name, new Sheets(manifest, base));
    return known.get(name);
  }

  constructor(manifest, base) {
    Object.assign(this, manifest); // height, width, columns, per_sheet, sheets
    this.base = base;
    this.bitmaps = new Map(); // sheet -> ImageBitmap, the least recently used first
    this.loading = new Map(); // sheet -> promise
    this.wanted = new Map(); // sheet -> {rows: Set, later: Set}
    this.places = new Map(); // row -> slot of the tile canvas, the least recently used first
    this.perLine = Math.max(1, Math.floor(2048 / this.width));
    this.capacity = Math.min(TILES, this.perLine * Math.floor(4096 / this.height));
  }

  /** Where row's picture lies: {sheet, x, y} in pixels of the sheet. */
  tile(row) {
    const place = row % this.per_sheet;
    return {
      sheet: Math.floor(row / this.per_sheet),
      x: (place % this.columns) * this.width,
      y: Math.floor(place / this.columns) * this.height,
    };
  }

  url(sheet) {
    return addressOf(this.base, this.sheets[sheet]);
  }

  /** A promise that everything wanted of a sheet has been cut out of it. */
  load(sheet) {
    if (!this.loading.has(sheet)) {
      const bring = async () => {
        const answer = await fetch(this.url(sheet));
        if (!answer.ok) return;
        const bitmap = await createImageBitmap(await answer.blob());
        this.bitmaps.set(sheet, bitmap);
        let size = 0;
        for (const held of this.bitmaps.values()) size += 4 * held.width * held.height;
        for (const [old, held] of this.bitmaps) {
          if (size <= MEMORY || old === sheet) break;
          size -= 4 * held.width * held.height;
          this.bitmaps.delete(old);
          held.close();
        }
        this.cut(sheet);
      };
      const done = () => this.loading.delete(sheet);
      this.loading.set(sheet, bring().then(done, done));
    }
    return this.loading.get(sheet);
  }

  /** Moves all wanted tiles of a decoded sheet to the tile canvas, and tells those who wait. */
  cut(sheet) {
    const { rows, later } = this.wanted.get(sheet) ?? { rows: [], later: [] };
    this.wanted.delete(sheet);
    for (const row of rows) this.keep(row);
    for (const call of later) call();
  }

  /** Copies row's tile from its decoded sheet; its slot on the tile canvas. */
  keep(row) {
    if (!this.canvas) {
      this.canvas = document.createElement("canvas");
      this.canvas.width = this.perLine * this.width;
      this.canvas.height = Math.ceil(this.capacity / this.perLine) * this.height;
    }
    let slot = this.places.size;
    if (slot >= this.capacity) {
      const [oldest, freed] = this.places.entries().next().value;
      this.places.delete(oldest);
      slot = freed;
    }
    const { sheet, x, y } = this.tile(row);
    const bitmap = this.bitmaps.get(sheet);
    this.bitmaps.delete(sheet);
    this.bitmaps.set(sheet, bitmap);
    const context = this.canvas.getContext("2d");
    const [left, top] = this.spot(slot);
    context.clearRect(left, top, this.width, this.height);
    context.drawImage(bitmap, x, y, this.width, this.height, left, top, this.width, this.height);
    this.places.set(row, slot);
    return slot;
  }

  spot(slot) {
    return [(slot % this.perLine) * this.width, Math.floor(slot / this.perLine) * this.height];
  }

  /** Draws row's picture into a rectangle of a canvas; false (and a call of `later`) while it loads. */
  draw(context, row, left, top, wide, high, later) {
    let slot = this.places.get(row);
    if (slot !== undefined) {
      this.places.delete(row); // to the end: recently used
      this.places.set(row, slot);
    } else {
      const { sheet } = this.tile(row);
      if (!this.bitmaps.has(sheet)) {
        if (!this.wanted.has(sheet)) this.wanted.set(sheet, { rows: new Set(), later: new Set() });
        const wish = this.wanted.get(sheet);
        wish.rows.add(row);
        if (later) wish.later.add(later);
        this.load(sheet);
        return false;
      }
      slot = this.keep(row);
    }
    context.imageSmoothingEnabled = wide < this.width;
    context.drawImage(this.canvas, ...this.spot(slot), this.width, this.height, left, top, wide, high);
    return true;
  }

  /** Quietly brings every sheet into the browser's cache, one after the other, while `wanted`. */
  async prefetch(wanted = () => true) {
    for (let sheet = 0; sheet < this.sheets.length && wanted(); sheet++) {
      await fetch(this.url(sheet), { priority: "low" }).then((answer) => answer.blob(), () => null);
    }
  }
}
