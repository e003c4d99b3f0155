// Picture sheets: which tile shows a sample, loaded when first looked at.

import { addressOf } from "./table.js";

const KEPT = 96; // sheets held at once; the browser drops their pixels when memory is short

export class Sheets {
  constructor(manifest, base) {
    Object.assign(this, manifest); // height, width, columns, per_sheet, sheets
    this.base = base;
    this.images = new Map();
    this.stopped = false;
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

  /** The decoded sheet, or a promise of it. */
  load(sheet) {
    let entry = this.images.get(sheet);
    if (!entry) {
      const image = new Image();
      image.src = this.url(sheet);
      entry = { image, ready: false };
      entry.promise = image.decode().then(
        () => {
          entry.ready = true;
          return image;
        },
        () => null,
      );
    }
    this.images.delete(sheet); // the latest asked for goes to the end
    this.images.set(sheet, entry);
    if (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    return entry;
  }

  /** Draws row's picture into a rectangle of a canvas; false (and a call of `later`) while it loads. */
  draw(context, row, left, top, wide, high, later) {
    const { sheet, x, y } = this.tile(row);
    const entry = this.load(sheet);
    if (!entry.ready) {
      if (later) entry.promise.then((image) => image && later());
      return false;
    }
    context.imageSmoothingEnabled = wide < this.width;
    context.drawImage(entry.image, x, y, this.width, this.height, left, top, wide, high);
    return true;
  }

  /** Quietly brings every sheet into the browser's cache, one after the other. */
  async prefetch() {
    for (let sheet = 0; sheet < this.sheets.length && !this.stopped; sheet++) {
      await fetch(this.url(sheet), { priority: "low" }).then((answer) => answer.blob(), () => null);
    }
  }
}
