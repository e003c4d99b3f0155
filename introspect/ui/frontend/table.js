// The recorded samples as typed arrays, fetched once by content hash and kept in a shuffled draw order.

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };

/** Joins the address of the server with ours, whatever path the app is served under. */
export function addressOf(base, key) {
  return new URL(`${base}/${key}`, window.location.href).href;
}

async function fetchBytes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`The server answered ${answer.status} for a part of the map. Reload the page.`);
  return answer.arrayBuffer();
}

/** A seeded Fisher-Yates permutation (mulberry32), so that no class always lies on top. */
export function shuffled(n, seed = 1) {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const j = Math.floor(random() * (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}

/** Undoes the 16-bit packing of payload.pack_score; 65535 is "no value". */
export function unpackScore(packed, low, high) {
  const step = (high - low) / 65534;
  return Float32Array.from(packed, (v) => (v === 65535 ? NaN : low + v * step));
}

export class Table {
  constructor(manifest, base) {
    this.manifest = manifest;
    this.base = base;
    this.n = manifest.n;
    this.classes = manifest.classes;
    this.views = new Map();
    this.scores = new Map();
    this.medians = new Map();
    this.rows = shuffled(this.n); // slot -> row of the recording
    this.slots = new Int32Array(this.n); // row -> slot
    for (let slot = 0; slot < this.n; slot++) this.slots[this.rows[slot]] = slot;
  }

  static async load(base, key) {
    const manifest = JSON.parse(new TextDecoder().decode(await fetchBytes(addressOf(base, key))));
    const table = new Table(manifest, base);
    await Promise.all([table.loadCodes(), table.loadIds(), table.loadChart(), table.view(manifest.views[0].name)]);
    return table;
  }

  async fetch(key, kind) {
    return new ARRAYS[kind](await fetchBytes(addressOf(this.base, key)));
  }

  /** From row order to slot order. */
  arrange(values, Kind = values.constructor) {
    const arranged = new Kind(this.n);
    for (let slot = 0; slot < this.n; slot++) arranged[slot] = values[this.rows[slot]];
    return arranged;
  }

  async loadCodes() {
    const { key, kind } = this.manifest.codes;
    const bytes = await fetchBytes(addressOf(this.base, key));
    const Kind = ARRAYS[kind];
    const size = Kind.BYTES_PER_ELEMENT * this.n;
    this.label = this.arrange(new Kind(bytes, 0, this.n));
    this.predicted = this.arrange(new Kind(bytes, size, this.n));
    this.split = this.arrange(new Uint8Array(bytes, 2 * size, this.n));
    const none = this.classes.length; // the code of "no label"
    this.correct = new Uint8Array(this.n); // 0 wrong, 1 right, 2 no label
    const wrong = [];
    for (let i = 0; i < this.n; i++) {
      this.correct[i] = this.label[i] === none ? 2 : this.label[i] === this.predicted[i] ? 1 : 0;
      if (this.correct[i] === 0) wrong.push(i);
    }
    this.wrong = Int32Array.from(wrong);
    this.labelled = this.correct.some((value) => value < 2);
  }

  async loadIds() {
    const { ids } = this.manifest;
    this.ids = ids ? this.arrange(await this.fetch(ids.key, ids.kind)) : Float64Array.from(this.rows);
    this.slotById = new Map();
    for (let slot = 0; slot < this.n; slot++) this.slotById.set(Number(this.ids[slot]), slot);
  }

  async loadChart() {
    const { chart } = this.manifest;
    this.chart = chart ? await this.fetch(chart.key, "u1") : null;
  }

  /** The coordinates {x, y} of a projection, fetched when first asked for. */
  async view(name) {
    if (!this.views.has(name)) {
      const view = this.manifest.views.find((candidate) => candidate.name === name);
      const pairs = await this.fetch(view.key, "f4");
      const x = new Float32Array(this.n);
      const y = new Float32Array(this.n);
      for (let slot = 0; slot < this.n; slot++) {
        x[slot] = pairs[2 * this.rows[slot]];
        y[slot] = pairs[2 * this.rows[slot] + 1];
      }
      this.views.set(name, { x, y });
    }
    return this.views.get(name);
  }

  /** All values of a score, fetched when first asked for. */
  async score(name) {
    if (!this.scores.has(name)) {
      const { key, low, high } = this.manifest.scores.find((candidate) => candidate.name === name);
      this.scores.set(name, unpackScore(this.arrange(await this.fetch(key, "u2")), low, high));
    }
    return this.scores.get(name);
  }

  /** What can be coloured by classes of things: names and one code per slot. */
  category(by) {
    if (by === "label") return { codes: this.label, names: [...this.classes, "no label"] };
    if (by === "predicted") return { codes: this.predicted, names: this.classes };
    if (by === "correct") return { codes: this.correct, names: ["wrong", "right", "no label"] };
    return { codes: this.split, names: this.manifest.splits };
  }

  /** Median place of every class in a projection: [{code, x, y, count}]. */
  centres(viewName, by) {
    const name = `${viewName}/${by}`;
    if (!this.medians.has(name)) {
      const { x, y } = this.views.get(viewName);
      const { codes, names } = this.category(by);
      const members = names.map(() => []);
      for (let i = 0; i < this.n; i++) members[codes[i]].push(i);
      const median = (values) => Float32Array.from(values).sort()[values.length >> 1];
      this.medians.set(
        name,
        members.flatMap((slots, code) =>
          slots.length ? [{ code, x: median(slots.map((i) => x[i])), y: median(slots.map((i) => y[i])) }] : [],
        ),
      );
    }
    return this.medians.get(name);
  }
}
