// Finding points quickly: a uniform grid filled by counting sort, and the inside of a polygon.

export class Grid {
  constructor(xs, ys, cells = 256) {
    this.xs = xs;
    this.ys = ys;
    this.cells = cells;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < xs.length; i++) {
      if (xs[i] < x0) x0 = xs[i];
      if (xs[i] > x1) x1 = xs[i];
      if (ys[i] < y0) y0 = ys[i];
      if (ys[i] > y1) y1 = ys[i];
    }
    this.x0 = x0;
    this.y0 = y0;
    this.perX = cells / Math.max(1e-12, (x1 - x0) * 1.000001);
    this.perY = cells / Math.max(1e-12, (y1 - y0) * 1.000001);
    const cell = new Int32Array(xs.length);
    this.start = new Int32Array(cells * cells + 1);
    for (let i = 0; i < xs.length; i++) {
      cell[i] = this.column(xs[i]) + cells * this.row(ys[i]);
      this.start[cell[i] + 1]++;
    }
    for (let c = 0; c < cells * cells; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    this.items = new Int32Array(xs.length);
    for (let i = 0; i < xs.length; i++) this.items[next[cell[i]]++] = i;
  }

  column(x) {
    return Math.min(this.cells - 1, Math.max(0, Math.floor((x - this.x0) * this.perX)));
  }

  row(y) {
    return Math.min(this.cells - 1, Math.max(0, Math.floor((y - this.y0) * this.perY)));
  }

  /** Calls visit(i) for every point of the cells that touch the rectangle. */
  visit(x0, y0, x1, y1, visit) {
    const [left, right] = [this.column(x0), this.column(x1)];
    for (let r = this.row(y0), last = this.row(y1); r <= last; r++) {
      const from = this.start[r * this.cells + left];
      const until = this.start[r * this.cells + right + 1];
      for (let k = from; k < until; k++) visit(this.items[k]);
    }
  }

  /** The nearest point no farther than `radius` that `accept` takes, or -1. */
  nearest(x, y, radius, accept = () => true) {
    let best = -1;
    let bestSquare = radius * radius;
    this.visit(x - radius, y - radius, x + radius, y + radius, (i) => {
      const square = (this.xs[i] - x) ** 2 + (this.ys[i] - y) ** 2;
      if (square <= bestSquare && accept(i)) {
        best = i;
        bestSquare = square;
      }
    });
    return best;
  }
}

/** Even-odd rule, the same as introspect.ui.selection.inside: 1 for points inside. */
export function inside(polygon, xs, ys) {
  const mask = new Uint8Array(xs.length);
  const xsPolygon = polygon.map((p) => p[0]);
  const ysPolygon = polygon.map((p) => p[1]);
  const [x0, x1] = [Math.min(...xsPolygon), Math.max(...xsPolygon)];
  const [y0, y1] = [Math.min(...ysPolygon), Math.max(...ysPolygon)];
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i];
    const y = ys[i];
    if (x < x0 || x > x1 || y < y0 || y > y1) continue;
    let odd = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [xa, ya] = polygon[a];
      const [xb, yb] = polygon[b];
      if (ya > y !== yb > y && x < ((xb - xa) * (y - ya)) / (yb - ya) + xa) odd = !odd;
    }
    mask[i] = odd ? 1 : 0;
  }
  return mask;
}

/** Fewer corners: drops those closer than `near` to the last one kept. */
export function thin(polygon, near) {
  const kept = [];
  for (const corner of polygon) {
    const last = kept[kept.length - 1];
    if (!last || Math.hypot(corner[0] - last[0], corner[1] - last[1]) >= near) kept.push(corner);
  }
  return kept;
}
