// The window onto the map: which part of the plane is seen, at which scale. Equal aspect, y up.

const DEEPEST = 3000;
const WIDEST = 0.4;

export class View {
  constructor() {
    this.width = 1;
    this.height = 1;
    this.insets = { left: 0, right: 0, top: 0, bottom: 0 };
    this.extent = [-1, 1, -1, 1];
    this.x = 0;
    this.y = 0;
    this.scale = 1; // CSS pixels per unit
  }

  /** Where `reset` leads: the whole extent [x0, x1, y0, y1] inside the part no panel covers. */
  home(extent = this.extent) {
    const [x0, x1, y0, y1] = extent;
    const { left, right, top, bottom } = this.insets;
    const wide = Math.max(40, this.width - left - right);
    const high = Math.max(40, this.height - top - bottom);
    const scale = Math.min(wide / Math.max(1e-9, x1 - x0), high / Math.max(1e-9, y1 - y0));
    return {
      x: (x0 + x1) / 2 + (right - left) / 2 / scale,
      y: (y0 + y1) / 2 + (top - bottom) / 2 / scale,
      scale,
    };
  }

  get zoom() {
    return this.scale / this.home().scale;
  }

  get isHome() {
    const home = this.home();
    const near = 0.5 / home.scale;
    return Math.abs(this.zoom - 1) < 1e-3 && Math.abs(this.x - home.x) < near && Math.abs(this.y - home.y) < near;
  }

  reset() {
    Object.assign(this, this.home());
  }

  /** Keeps what is seen; a view that was home stays home. */
  resize(width, height) {
    const wasHome = this.width <= 1 || this.isHome;
    const zoom = this.width <= 1 ? 1 : this.zoom;
    this.width = width;
    this.height = height;
    if (wasHome) this.reset();
    else this.scale = this.home().scale * zoom;
  }

  set(x, y, zoom) {
    const home = this.home();
    this.scale = home.scale * Math.min(DEEPEST, Math.max(WIDEST, zoom));
    const [x0, x1, y0, y1] = this.extent;
    const slackX = (x1 - x0) / 2 + this.width / 2 / home.scale;
    const slackY = (y1 - y0) / 2 + this.height / 2 / home.scale;
    this.x = Math.min(x1 + slackX, Math.max(x0 - slackX, x));
    this.y = Math.min(y1 + slackY, Math.max(y0 - slackY, y));
  }

  pan(dx, dy) {
    this.set(this.x - dx / this.scale, this.y + dy / this.scale, this.zoom);
  }

  /** Zooms by a factor and keeps the place under the pixel where it is. */
  zoomAt(px, py, factor) {
    const [x, y] = this.toPlane(px, py);
    this.set(this.x, this.y, this.zoom * factor);
    const [seenX, seenY] = this.toPlane(px, py);
    this.set(this.x + x - seenX, this.y + y - seenY, this.zoom);
  }

  toPixel(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, this.height / 2 - (y - this.y) * this.scale];
  }

  toPlane(px, py) {
    return [(px - this.width / 2) / this.scale + this.x, (this.height / 2 - py) / this.scale + this.y];
  }

  /** Round values to mark on an axis, about one every `apart` pixels: {values, digits}. */
  ticks(low, high, apart = 90) {
    const raw = apart / this.scale;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const values = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) values.push(k * step);
    return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }
}

/** The middle range [x0, x1, y0, y1] of points, a few far strangers left out, with a margin. */
export function extentOf(xs, ys, share = 0.002, margin = 0.08) {
  const range = (values) => {
    if (!values.length) return [-1, 1];
    const sorted = Float32Array.from(values).sort();
    const cut = Math.floor(share * sorted.length);
    const low = sorted[cut];
    const high = sorted[sorted.length - 1 - cut];
    const pad = Math.max(high - low, 1e-6) * margin;
    return [low - pad, high + pad];
  };
  return [...range(xs), ...range(ys)];
}
