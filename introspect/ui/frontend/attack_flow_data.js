// The walks of many attacked samples as typed arrays, and what can be counted of them: passages, drift, who passes here.

import { addressOf } from "./table.js";

const LEVELS = 65535;

export class Walks {
  /**
   * @param manifest what `attack_flow_payload.pack_flow` describes
   * @param parts {walks, source, success, counts, rates, places, codes, chart}: ArrayBuffers by name
   */
  constructor(manifest, parts) {
    this.manifest = manifest;
    this.classes = manifest.classes;
    this.targets = manifest.targets;
    this.samples = manifest.samples;
    this.frames = manifest.frames.length;
    const [x0, x1, y0, y1] = manifest.extent;
    const levels = new Uint16Array(parts.walks);
    this.z = new Float32Array(levels.length);
    for (let i = 0; i < levels.length; i += 2) {
      this.z[i] = x0 + (levels[i] / LEVELS) * (x1 - x0);
      this.z[i + 1] = y0 + (levels[i + 1] / LEVELS) * (y1 - y0);
    }
    this.source = new Uint16Array(parts.source);
    this.success = new Int16Array(parts.success);
    const size = this.classes.length * this.targets.length;
    const counts = new Uint32Array(parts.counts);
    [this.number, this.arrived] = [counts.subarray(0, size), counts.subarray(size, 2 * size)];
    const rates = new Float32Array(parts.rates);
    [this.rate, this.median, this.alarm] = [0, 1, 2].map((i) => rates.subarray(i * size, (i + 1) * size));
    const xy = new Float32Array(parts.places);
    const n = xy.length / 2;
    const codes = manifest.ground.wide ? new Uint16Array(parts.codes) : new Uint8Array(parts.codes);
    this.points = { x: xy.slice(0, n), y: xy.slice(n), codes, show: new Uint8Array(n).fill(2) };
    this.chart = parts.chart ? new Uint8Array(parts.chart) : null;
  }

  static async load(base, key) {
    const fetched = async (name) => {
      const answer = await fetch(addressOf(base, name));
      if (!answer.ok) throw new Error(`The server answered ${answer.status} for a part of the flow. Reload the page.`);
      return answer;
    };
    const manifest = await (await fetched(key)).json();
    const names = Object.keys(manifest.parts);
    const bodies = await Promise.all(names.map(async (name) => (await fetched(manifest.parts[name])).arrayBuffer()));
    return new Walks(manifest, Object.fromEntries(names.map((name, i) => [name, bodies[i]])));
  }

  /** Place of a pair in the tables of rates: class at the start, column of the target. */
  at(source, column) {
    return source * this.targets.length + column;
  }

  /** The walks from a class towards a target; null stands for every one. Walks to the own class are none. */
  chosen(source, column) {
    const found = [];
    const count = this.targets.length;
    for (let i = 0; i < this.samples; i++) {
      if (source !== null && this.source[i] !== source) continue;
      for (let j = 0; j < count; j++) {
        if ((column === null || column === j) && this.targets[j] !== this.source[i]) found.push(i * count + j);
      }
    }
    return Int32Array.from(found);
  }

  /** Walks, arrivals over a choice: {walks, arrived}. */
  total(source, column) {
    const sum = { walks: 0, arrived: 0 };
    for (let i = 0; i < this.classes.length; i++) {
      for (let j = 0; j < this.targets.length; j++) {
        if ((source !== null && source !== i) || (column !== null && column !== j)) continue;
        sum.walks += this.number[this.at(i, j)];
        sum.arrived += this.arrived[this.at(i, j)];
      }
    }
    return sum;
  }

  place(walk, frame) {
    const at = 2 * (walk * this.frames + frame);
    return [this.z[at], this.z[at + 1]];
  }

  /** The frame at which a walk has arrived, -1 when it never does. */
  arrival(walk) {
    const step = this.success[walk];
    if (step < 0) return -1;
    const frame = this.manifest.frames.findIndex((one) => one >= step);
    return frame < 0 ? this.frames - 1 : frame;
  }

  /**
   * How many walks pass each cell of a window, every walk once a cell, and where they go on average.
   *
   * The lattice is fixed to the plane, so that cells stay the same ones while the window moves.
   *
   * @param walks numbers of walks
   * @param window {x, y, scale, width, height} as a View has them
   * @param cell side of a cell in pixels
   * @param cut whether a walk ends where it arrives
   * @returns {left, top, columns, rows, cell, count, dx, dy, way, most}: pixels of the first cell's corner, sums of moves (y up) and of their lengths in cells
   */
  passages(walks, window, cell, cut = false) {
    const { x, y, scale, width, height } = window;
    const per = scale / cell;
    const c0 = Math.floor((x - width / 2 / scale) * per);
    const r0 = Math.floor((-y - height / 2 / scale) * per);
    const columns = Math.ceil(width / cell) + 1;
    const rows = Math.ceil(height / cell) + 1;
    const count = new Float32Array(columns * rows);
    const dx = new Float32Array(columns * rows);
    const dy = new Float32Array(columns * rows);
    const way = new Float32Array(columns * rows);
    const seen = new Int32Array(columns * rows).fill(-1);
    const { z, frames } = this;
    let most = 0;
    for (const walk of walks) {
      let at = 2 * walk * frames;
      let px = z[at] * per - c0;
      let py = -z[at + 1] * per - r0;
      const last = cut && this.success[walk] >= 0 ? this.arrival(walk) : frames - 1;
      for (let frame = 0; frame <= last; frame++, at += 2) {
        const qx = z[at] * per - c0;
        const qy = -z[at + 1] * per - r0;
        const [wide, high] = [qx - px, qy - py];
        const length = Math.hypot(wide, high);
        // A cell per piece at most; a jump across the whole window need not be cut finer.
        const pieces = Math.min(4 * (columns + rows), Math.max(1, Math.ceil(Math.max(Math.abs(wide), Math.abs(high)))));
        for (let piece = frame ? 1 : pieces; piece <= pieces; piece++) {
          const share = piece / pieces;
          const column = Math.floor(px + wide * share);
          const row = Math.floor(py + high * share);
          if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
          const place = row * columns + column;
          dx[place] += wide / pieces;
          dy[place] -= high / pieces;
          way[place] += length / pieces;
          if (seen[place] === walk) continue;
          seen[place] = walk;
          if (++count[place] > most) most = count[place];
        }
        [px, py] = [qx, qy];
      }
    }
    const left = (c0 / per - x) * scale + width / 2;
    const top = (r0 / per + y) * scale + height / 2;
    return { left, top, columns, rows, cell, count, dx, dy, way, most };
  }

  /** Who passes within `reach` (units of z) of a place: {walks, pairs: [[source, target, walks]]}, the busiest pairs first. */
  near(walks, x, y, reach, most = 3) {
    const pairs = new Map();
    const square = reach ** 2;
    const { z, frames, targets } = this;
    let total = 0;
    for (const walk of walks) {
      let at = 2 * walk * frames;
      for (let frame = 0; frame < frames; frame++, at += 2) {
        if ((z[at] - x) ** 2 + (z[at + 1] - y) ** 2 > square) continue;
        const key = this.source[Math.floor(walk / targets.length)] * 65536 + targets[walk % targets.length];
        pairs.set(key, (pairs.get(key) ?? 0) + 1);
        total++;
        break;
      }
    }
    const sorted = [...pairs].sort((a, b) => b[1] - a[1]).slice(0, most);
    return { walks: total, pairs: sorted.map(([key, number]) => [key >> 16, key & 65535, number]) };
  }
}

/** A share as whole percent, without rounding some to none or not all to all. */
export function percent(share) {
  if (!(share >= 0)) return "–";
  if (share > 0 && share < 0.005) return "<1";
  if (share < 1 && share >= 0.995) return ">99";
  return String(Math.round(100 * share));
}

/** One pair of classes in words. */
export function tellPair(walks, source, column) {
  const at = walks.at(source, column);
  const [from, to] = [walks.classes[source], walks.classes[walks.targets[column]]];
  const number = walks.number[at];
  if (walks.targets[column] === source) return `${from}: the own class`;
  if (!number) return `${from} to ${to}: no sample begins there`;
  const arrived = walks.arrived[at];
  const told = [`${from} to ${to}: ${arrived} of ${number} ${number === 1 ? "walk arrives" : "walks arrive"} (${percent(arrived / number)} %)`];
  if (arrived) {
    told.push(`in the median at step ${Number(walks.median[at].toFixed(1))}`);
    told.push(`the alarm is in time for ${Math.round(walks.alarm[at] * arrived)} of them (${percent(walks.alarm[at])} %)`);
  }
  return told.join(", ");
}
