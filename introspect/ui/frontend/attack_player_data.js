// One attack as typed arrays: every step towards every target, decoded from the parts that Python packed.

import { addressOf } from "./table.js";

/** IEEE half floats (the bits as Uint16Array) to float32. */
export function halves(bits) {
  return Float32Array.from(bits, (h) => {
    const sign = h & 0x8000 ? -1 : 1;
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

const SERIES = ["log_error", "log_error_map", "linf", "l2", "stalled"];

export class Attack {
  /**
   * @param manifest what `player_payload.pack_player` describes
   * @param parts {delta, clean, outputs, predicted, series, places, codes, chart}: ArrayBuffers by name
   */
  constructor(manifest, parts) {
    this.manifest = manifest;
    this.classes = manifest.classes;
    this.targets = manifest.targets;
    this.steps = manifest.steps; // t points: 0 .. steps - 1
    [this.channels, this.height, this.width] = manifest.shape;
    this.inputs = this.channels * this.height * this.width;
    this.clean = new Float32Array(parts.clean);
    this.delta = new Int8Array(parts.delta);
    this.outputs = halves(new Uint16Array(parts.outputs));
    const all = new Float32Array(parts.series);
    const size = this.targets.length * this.steps;
    this.z = all.subarray(0, 2 * size);
    SERIES.forEach((name, i) => {
      this[name] = all.subarray((2 + i) * size, (3 + i) * size);
    });
    this.predicted = new Uint16Array(parts.predicted);
    // A picture may travel for some of the steps only, when all of them would be too many bytes.
    this.frameOf = new Int32Array(this.steps);
    for (let step = 0, frame = 0; step < this.steps; step++) {
      while (frame + 1 < manifest.frames.length && manifest.frames[frame + 1] <= step) frame++;
      this.frameOf[step] = frame;
    }
    const xy = new Float32Array(parts.places);
    const n = xy.length / 2;
    const [x, y] = [xy.slice(0, n), xy.slice(n)];
    const codes = manifest.wide ? new Uint16Array(parts.codes) : new Uint8Array(parts.codes);
    this.points = { x, y, codes, show: new Uint8Array(n).fill(2) };
    // Activations as levels 0..255, units sorted by the class each prefers; absent where there are none.
    this.units = parts.units ? new Uint8Array(parts.units) : null;
    this.preferred = parts.units ? new Uint16Array(parts.preferred) : null;
    this.chart = parts.chart ? new Uint8Array(parts.chart) : null;
  }

  static async load(base, key) {
    const fetched = async (name) => {
      const answer = await fetch(addressOf(base, name));
      if (!answer.ok) throw new Error(`The server answered ${answer.status} for a part of the attack. Reload the page.`);
      return answer;
    };
    const manifest = await (await fetched(key)).json();
    const names = Object.keys(manifest.parts);
    const bodies = await Promise.all(names.map(async (name) => (await fetched(manifest.parts[name])).arrayBuffer()));
    return new Attack(manifest, Object.fromEntries(names.map((name, i) => [name, bodies[i]])));
  }

  at(target, step) {
    return target * this.steps + step;
  }

  place(target, step) {
    const at = 2 * this.at(target, step);
    return [this.z[at], this.z[at + 1]];
  }

  /** What was added to the clean input up to a step: x − clean, as whole numbers to be multiplied by `unit`. */
  perturbation(target, step) {
    const { frames, largest } = this.manifest;
    const from = (target * frames.length + this.frameOf[step]) * this.inputs;
    return { levels: this.delta.subarray(from, from + this.inputs), unit: largest[target] / 127 };
  }

  /** The activations of all cells at a step. */
  activations(target, step) {
    const { length } = this.preferred;
    const from = (target * this.manifest.frames.length + this.frameOf[step]) * length;
    return this.units.subarray(from, from + length);
  }

  output(target, step, code) {
    return this.outputs[this.at(target, step) * this.classes.length + code];
  }

  /** At most `most` classes worth a bar: the source, the target and the highest on the way, in class order. */
  worth(target, most = 10) {
    const k = this.classes.length;
    const codes = Array.from({ length: k }, (_, code) => code);
    if (k <= most) return codes;
    const peak = codes.map((code) => {
      if (code === this.targets[target] || code === this.manifest.source) return Infinity;
      let high = 0;
      for (let step = 0; step < this.steps; step++) high = Math.max(high, this.output(target, step, code));
      return high;
    });
    return codes.sort((a, b) => peak[b] - peak[a]).slice(0, most).sort((a, b) => a - b);
  }

  /** The square of the map that holds every step of every path. */
  extent(margin = 0.15) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < this.z.length; i += 2) {
      x0 = Math.min(x0, this.z[i]);
      x1 = Math.max(x1, this.z[i]);
      y0 = Math.min(y0, this.z[i + 1]);
      y1 = Math.max(y1, this.z[i + 1]);
    }
    const pad = Math.max(x1 - x0, y1 - y0, 0.05) * margin;
    return [x0 - pad, x1 + pad, y0 - pad, y1 + pad];
  }

  /** The target whose path passes nearest to a pixel, within reach; -1 when none does. */
  nearest(px, py, toPixel, reach) {
    let best = -1;
    let least = reach ** 2;
    for (let target = 0; target < this.targets.length; target++) {
      for (let step = 0; step < this.steps; step++) {
        const [x, y] = toPixel(...this.place(target, step));
        const square = (x - px) ** 2 + (y - py) ** 2;
        if (square < least) [least, best] = [square, target];
      }
    }
    return best;
  }

  /** What became of a target, in words. */
  fate(target) {
    const { success, alarm, source } = this.manifest;
    const reached = success[target];
    const own = this.targets[target] === source;
    const goal = own ? "its own class from the start" : reached < 0 ? `not reached in ${this.steps - 1} steps` : `reached at step ${reached}`;
    const warned = alarm[target] < 0 ? "no alarm" : alarm[target] === 0 ? "alarm from the start" : `alarm at step ${alarm[target]}`;
    return { own, reached: reached >= 0, goal, warned, text: `${goal}, ${warned}` };
  }
}

/** A share of inputs without a gradient, said when it matters; "" otherwise. */
export function stallText(share) {
  if (!(share >= 0.5)) return "";
  const part = share >= 0.995 ? "all" : `${Math.floor(100 * share)} %`;
  return `The gradient is exactly 0 for ${part} of the inputs at this step: the attack stands still there, most often because an output saturates in 32-bit floats.`;
}
