// A network's training as typed arrays: n samples at s snapshots, and where everything is in between.

import { mix, pack } from "./colour.js";
import { addressOf, shuffled } from "./table.js";

const KINDS = { u1: Uint8Array, u2: Uint16Array };

export class Run {
  /**
   * @param manifest what `introspect.ui.evolution.pack_evolution` describes
   * @param parts {row, z, predicted, sure, own}: ArrayBuffers by name
   * @param table the atlas's points (labels, ids, classes)
   */
  constructor(manifest, parts, table) {
    Object.assign(this, { manifest, table, steps: manifest.steps, n: manifest.samples });
    const { n, steps } = this;
    this.last = steps.length - 1;
    this.none = table.classes.length; // the code of "no label"
    const order = shuffled(n, 3); // no class always on top
    const rows = new Int32Array(parts.row);
    this.slot = Int32Array.from(order, (i) => table.slots[rows[i]]);
    this.label = Uint16Array.from(this.slot, (slot) => table.label[slot]);
    this.labelled = this.label.some((code) => code < this.none);
    const arrange = (values, width = 1, offset = 0) => {
      const made = new values.constructor(n * steps.length);
      for (let s = 0; s < steps.length; s++) for (let j = 0; j < n; j++) made[s * n + j] = values[(s * n + order[j]) * width + offset];
      return made;
    };
    const z = new Float32Array(parts.z);
    this.xs = arrange(z, 2, 0);
    this.ys = arrange(z, 2, 1);
    this.predicted = arrange(new KINDS[manifest.kind](parts.predicted));
    this.sure = arrange(new Uint8Array(parts.sure));
    this.own = arrange(new Uint8Array(parts.own));
    // Where everything is at the moment: what `place` and `colour` fill.
    this.x = new Float32Array(n);
    this.y = new Float32Array(n);
    this.codes = new Uint16Array(n); // class that gives the colour
    this.levels = new Uint8Array(n); // how much of it
    this.index = Uint32Array.from({ length: n }, (_, j) => j);
    this.show = new Uint8Array(n).fill(2);
    this.shares = new Map();
  }

  static async load(base, manifest, table) {
    const names = Object.keys(manifest.parts);
    const bodies = await Promise.all(
      names.map(async (name) => {
        const answer = await fetch(addressOf(base, manifest.parts[name]));
        if (!answer.ok) throw new Error("A part of the training is gone. Reload the page.");
        return answer.arrayBuffer();
      }),
    );
    return new Run(manifest, Object.fromEntries(names.map((name, i) => [name, bodies[i]])), table);
  }

  /** The snapshot before a place and how far it is to the next, 0..1. */
  split(at) {
    const before = Math.max(0, Math.min(this.last - 1, Math.floor(at)));
    return [before, Math.min(1, Math.max(0, at - before))];
  }

  /** The step in training at a place between snapshots. */
  stepAt(at) {
    const [before, share] = this.split(at);
    return this.steps[before] + share * (this.steps[Math.min(this.last, before + 1)] - this.steps[before]);
  }

  /** Puts x and y where the samples are: on straight lines between snapshots. */
  place(at) {
    const { n, xs, ys, x, y } = this;
    const [before, share] = this.split(at);
    const [a, b] = [before * n, Math.min(this.last, before + 1) * n];
    for (let j = 0; j < n; j++) {
      x[j] = xs[a + j] + share * (xs[b + j] - xs[a + j]);
      y[j] = ys[a + j] + share * (ys[b + j] - ys[a + j]);
    }
  }

  /**
   * Fills codes and levels. By "label": the sample's own class, as much as the network gives it. By "predicted": the
   * class told, as much as it is sure; between two answers the colour fades out and the other one in.
   */
  colour(at, by) {
    const { n, codes, levels, label, own, sure, predicted } = this;
    const [before, share] = this.split(at);
    const [a, b] = [before * n, Math.min(this.last, before + 1) * n];
    for (let j = 0; j < n; j++) {
      if (by === "label") {
        codes[j] = label[j];
        levels[j] = own[a + j] + share * (own[b + j] - own[a + j]) + 0.5;
        continue;
      }
      const [was, will] = [predicted[a + j], predicted[b + j]];
      if (was === will) levels[j] = sure[a + j] + share * (sure[b + j] - sure[a + j]) + 0.5;
      else levels[j] = share < 0.5 ? sure[a + j] * (1 - 2 * share) : sure[b + j] * (2 * share - 1);
      codes[j] = share < 0.5 ? was : will;
    }
  }

  says(j, at) {
    return this.predicted[Math.round(at) * this.n + j];
  }

  /** How sure the network is of what it says, 0..1, at the nearest snapshot. */
  certain(j, at) {
    return this.sure[Math.round(at) * this.n + j] / 255;
  }

  /** From which snapshot on a sample is told right until the end; -1 when it is wrong at the end. */
  settled(j) {
    let from = -1;
    for (let s = this.last; s >= 0 && this.predicted[s * this.n + j] === this.label[j]; s--) from = s;
    return from;
  }

  /** Share of a class's samples that are told right, at every snapshot; of all labelled ones with code -1. */
  accuracy(code = -1) {
    if (!this.shares.has(code)) {
      const mine = [];
      for (let j = 0; j < this.n; j++) if (this.label[j] < this.none && (code < 0 || this.label[j] === code)) mine.push(j);
      const right = (s) => mine.reduce((sum, j) => sum + (this.predicted[s * this.n + j] === this.label[j]), 0);
      this.shares.set(code, mine.length ? this.steps.map((_, s) => right(s) / mine.length) : null);
    }
    return this.shares.get(code);
  }

  /** Mean certainty at every snapshot: what is drawn where nothing has a label. */
  certainty() {
    return this.steps.map((_, s) => {
      let sum = 0;
      for (let j = 0; j < this.n; j++) sum += this.sure[s * this.n + j];
      return sum / 255 / this.n;
    });
  }

  /** How many samples have each code, by label or by what is said at the nearest snapshot. */
  counts(by, at) {
    const counts = new Array(this.none + 1).fill(0);
    for (let j = 0; j < this.n; j++) counts[by === "label" ? this.label[j] : this.says(j, at)]++;
    return counts;
  }

  /** The shown sample nearest to a pixel, within reach; -1 when none is. */
  nearest(px, py, view, reach) {
    const [cx, cy] = view.toPlane(px, py);
    let least = (reach / view.scale) ** 2;
    let best = -1;
    for (let j = 0; j < this.n; j++) {
      if (this.show[j] !== 2) continue;
      const square = (this.x[j] - cx) ** 2 + (this.y[j] - cy) ** 2;
      if (square <= least) [least, best] = [square, j];
    }
    return best;
  }

  /** Where the samples that a path may be drawn of are now shown, at most so many. */
  shown(most) {
    const found = [];
    for (let j = 0; j < this.n && found.length < most; j++) if (this.show[j] === 2) found.push(j);
    return found;
  }
}

/** Packed pixels from grey to every colour: 256 levels a class. */
export function fades(colours, grey) {
  const table = new Uint32Array(256 * colours.length);
  colours.forEach((colour, code) => {
    for (let level = 0; level < 256; level++) table[256 * code + level] = pack(...mix(grey, colour, level / 255).map(Math.round));
  });
  return table;
}
