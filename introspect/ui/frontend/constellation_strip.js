// What the network is given: the sample as it is, and a few of its copies at the present level.

import { el } from "./element.js";

export class Strip {
  /** @param manifest {sprite: {url, width, height, columns} or null, copies}; later() when it can be drawn */
  constructor(manifest, later) {
    this.sprite = manifest.sprite;
    this.node = el("div", { class: "cloud-strip", role: "group", "aria-label": "The sample and some of its copies", hidden: !this.sprite });
    if (!this.sprite) return;
    const tile = (title) => {
      const canvas = el("canvas", { width: this.sprite.width, height: this.sprite.height, role: "img", "aria-label": title });
      this.node.append(el("figure", {}, canvas, title));
      return canvas.getContext("2d");
    };
    // Column 0 of the sprite is the sample as it is, on every row.
    this.tiles = [tile("as it is"), ...Array.from({ length: this.sprite.columns - 1 }, (_, i) => tile(manifest.copies > 1 ? `copy ${i + 1}` : "spoilt"))];
    this.image = new Image();
    this.image.onload = () => {
      this.ready = true;
      later();
    };
    this.image.src = this.sprite.url;
  }

  paint(level) {
    if (!this.ready || level === this.level) return;
    this.level = level;
    const { width, height } = this.sprite;
    this.tiles.forEach((context, column) => context.drawImage(this.image, column * width, level * height, width, height, 0, 0, width, height));
  }
}
