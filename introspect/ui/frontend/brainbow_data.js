// The sorted layers of an atlas as typed arrays: expectations, preferences, orders and colours of all units.

import { addressOf, unpackScore } from "./table.js";

const DEEPEST = 0.25;
const ARRAYS = { u1: Uint8Array, u2: Uint16Array };

async function bytes(base, key) {
  const answer = await fetch(addressOf(base, key));
  if (!answer.ok) throw new Error(`The server answered ${answer.status} for a part of the figure. Reload the page.`);
  return answer.arrayBuffer();
}

export async function readJson(base, key) {
  return JSON.parse(new TextDecoder().decode(await bytes(base, key)));
}

export class Layers {
  static async load(base, key) {
    const manifest = await readJson(base, key);
    const ways = await Promise.all(
      manifest.ways.map(async (way) => {
        const [expected, preferred, order, light, dark] = await Promise.all(
          [way.expected.key, way.preferred.key, way.order, way.light, way.dark].map((part) => bytes(base, part)),
        );
        return {
          name: way.name,
          title: way.title,
          expected: unpackScore(new Uint16Array(expected), way.expected.low, way.expected.high),
          preferred: new ARRAYS[way.preferred.kind](preferred),
          order: new Int32Array(order),
          light: new Uint8Array(light),
          dark: new Uint8Array(dark),
        };
      }),
    );
    return new Layers(manifest, ways);
  }

  constructor(manifest, ways) {
    this.manifest = manifest;
    this.classes = manifest.classes;
    this.k = manifest.classes.length;
    this.p = manifest.p;
    this.layers = manifest.layers;
    this.ways = new Map(ways.map((way) => [way.name, way]));
    this.first = ways[0];
    this.kept = new Map();
    this.plain = Int32Array.from({ length: this.p }, (_, unit) => unit);
    for (const way of ways) {
      way.place = new Int32Array(this.p); // unit -> where it stands after sorting
      way.order.forEach((unit, place) => {
        way.place[unit] = place;
      });
    }
  }

  /** Whether both expectations are there, so that they can be compared. */
  get compares() {
    return this.ways.size > 1;
  }

  /** The way whose preferences and order hold; the difference keeps the decoder's. */
  way(name) {
    return this.ways.get(name) ?? this.first;
  }

  /** What `make()` gives, worked out once: with many classes and units a pass over all of them is felt. */
  once(name, make) {
    if (!this.kept.has(name)) this.kept.set(name, make());
    return this.kept.get(name);
  }

  layerOf(unit) {
    return this.layers.findIndex(({ start, stop }) => unit >= start && unit < stop);
  }

  /** E[h_unit | class], or how far the decoder's lies above the sample mean. */
  value(name, code, unit) {
    const at = code * this.p + unit;
    if (name !== "difference") return this.way(name).expected[at];
    return this.ways.get("decoder").expected[at] - this.ways.get("mean").expected[at];
  }

  /** The runs of one class in every layer after sorting: [[{code, start, stop}, …], …], places in the layer. */
  blocks(name) {
    return this.once(`blocks ${name}`, () => this.findBlocks(name));
  }

  findBlocks(name) {
    const { order, preferred } = this.way(name);
    return this.layers.map(({ start, stop }) => {
      const runs = [];
      for (let place = start; place < stop; place++) {
        const code = preferred[order[place]];
        const last = runs[runs.length - 1];
        if (last && last.code === code) last.stop++;
        else runs.push({ code, start: place - start, stop: place - start + 1 });
      }
      return runs;
    });
  }

  /** Share of units that both expectations give to the same class. */
  agreement() {
    return this.once("agreement", () => this.findAgreement());
  }

  findAgreement() {
    const [a, b] = [...this.ways.values()];
    let same = 0;
    for (let unit = 0; unit < this.p; unit++) same += a.preferred[unit] === b.preferred[unit];
    return same / Math.max(1, this.p);
  }

  /** The largest size of any expectation of every layer: what "strong" means there. */
  scales(name) {
    return this.once(`scales ${name}`, () => this.findScales(name));
  }

  findScales(name) {
    const known = name === "difference" ? this.ways.values() : [this.way(name)];
    const ways = [...known];
    return this.layers.map(({ start, stop }) => {
      let most = 0;
      for (const { expected } of ways) {
        for (let code = 0; code < this.k; code++) {
          for (let unit = start; unit < stop; unit++) {
            const value = expected[code * this.p + unit];
            if (value > most) most = value;
          }
        }
      }
      return most > 0 ? most : 1;
    });
  }

  /** How far below zero the colours reach, as a share of the layer's scale: what lies deeper looks alike. */
  depth(name) {
    return this.once(`depth ${name}`, () => this.findDepth(name));
  }

  findDepth(name) {
    const scales = this.scales(name);
    const { expected } = this.way(name);
    let least = 0;
    this.layers.forEach(({ start, stop }, l) => {
      for (let code = 0; code < this.k; code++) {
        for (let unit = start; unit < stop; unit++) least = Math.min(least, (expected[code * this.p + unit] || 0) / scales[l]);
      }
    });
    return Math.min(DEEPEST, -least);
  }

  /** Root mean square of the differences between both expectations over all classes, unit by unit. */
  gaps() {
    return this.once("gaps", () => this.findGaps());
  }

  findGaps() {
    const out = new Float32Array(this.p);
    for (let unit = 0; unit < this.p; unit++) {
      let sum = 0;
      let known = 0;
      for (let code = 0; code < this.k; code++) {
        const gap = this.value("difference", code, unit);
        if (Number.isNaN(gap)) continue;
        sum += gap * gap;
        known++;
      }
      out[unit] = Math.sqrt(sum / Math.max(1, known));
    }
    return out;
  }

  /** The highest expectation of a unit over all classes. */
  highest(name, unit) {
    let most = -Infinity;
    for (let code = 0; code < this.k; code++) {
      const value = this.value(name, code, unit);
      if (value > most) most = value;
    }
    return most;
  }
}

/** The nine strongest samples of every unit. */
export class Strongest {
  static async load(base, key, p) {
    const { count, key: part } = await readJson(base, key);
    return new Strongest(await bytes(base, part), count, p);
  }

  constructor(buffer, count, p) {
    const size = p * count;
    this.count = count;
    this.ids = new Float64Array(buffer, 0, size);
    this.rows = new Int32Array(buffer, 8 * size, size);
    this.labels = new Int32Array(buffer, 12 * size, size);
    this.predicted = new Int32Array(buffer, 16 * size, size);
    this.values = new Float32Array(buffer, 20 * size, size);
  }

  of(unit) {
    return Array.from({ length: this.count }, (_, i) => {
      const at = unit * this.count + i;
      return { row: this.rows[at], id: this.ids[at], label: this.labels[at], predicted: this.predicted[at], value: this.values[at] };
    });
  }
}

/** One sample's activations, in the order of the recording. */
export async function readActivations(base, key) {
  return new Float32Array(await bytes(base, key));
}
