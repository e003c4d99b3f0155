import assert from "node:assert/strict";
import test from "node:test";
import { Walks, percent, tellPair } from "./attack_flow_data.js";
import { emberPixels, levels } from "./attack_flow_map.js";

const NONE = NaN;

/** Three samples of classes 0, 0, 1; targets 0, 1, 2; three frames each, in the unit square. */
function small(change = {}) {
  const manifest = { classes: ["a", "<b>b</b>", "c"], targets: [0, 1, 2], samples: 3, frames: [0, 2, 4], steps: 5, extent: [0, 1, 0, 1], ground: { wide: false }, ...change };
  const paths = [
    [[0, 0], [0, 0], [0, 0]], [[0, 0], [0.5, 0], [1, 0]], [[0, 0], [0, 0.5], [0, 1]],
    [[0, 0], [0, 0], [0, 0]], [[0, 0], [0.5, 0], [0.5, 0]], [[0, 0], [0, 0.5], [0, 0]],
    [[1, 1], [0.5, 0.5], [0, 0]], [[1, 1], [1, 1], [1, 1]], [[1, 1], [0.5, 1], [0, 1]],
  ];
  return new Walks(manifest, {
    walks: Uint16Array.from(paths.flat(2), (v) => Math.round(65535 * v)).buffer,
    source: Uint16Array.of(0, 0, 1).buffer,
    success: Int16Array.of(0, 3, -1, 0, -1, -1, 2, 0, 4).buffer,
    counts: Uint32Array.of(0, 2, 2, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0).buffer,
    rates: Float32Array.of(NONE, 0.5, 0, 1, NONE, 1, NONE, NONE, NONE, NONE, 3, NONE, 2, NONE, 4, NONE, NONE, NONE, NONE, 1, NONE, 0, NONE, 1, NONE, NONE, NONE).buffer,
    places: Float32Array.of(0, 1, 0, 1).buffer,
    codes: Uint8Array.of(0, 1).buffer,
    chart: null,
  });
}

test("places are read back over their box", () => {
  const walks = small({ extent: [-1, 3, 0, 2] });
  assert.deepEqual(walks.place(1, 2), [3, 0]);
  assert.deepEqual(walks.place(2, 2), [-1, 2]);
});

test("a choice holds the walks of its classes and none towards the own class", () => {
  const walks = small();
  assert.deepEqual([...walks.chosen(null, null)], [1, 2, 4, 5, 6, 8]);
  assert.deepEqual([...walks.chosen(0, null)], [1, 2, 4, 5]);
  assert.deepEqual([...walks.chosen(null, 2)], [2, 5, 8]);
  assert.deepEqual([...walks.chosen(1, 0)], [6]);
  assert.deepEqual([...walks.chosen(2, 0)], []);
  assert.deepEqual(walks.total(null, null), { walks: 6, arrived: 3 });
  assert.deepEqual(walks.total(0, null), { walks: 4, arrived: 1 });
});

test("a walk arrives in the first frame that is not before its step", () => {
  const walks = small();
  assert.deepEqual([1, 2, 6, 8].map((walk) => walks.arrival(walk)), [2, -1, 1, 2]);
});

/** Passages counted by sampling each walk finely. */
function slowly(walks, chosen, window, cell) {
  const found = new Map();
  for (const walk of chosen) {
    const cells = new Set();
    for (let frame = 1; frame < walks.frames; frame++) {
      const [[ax, ay], [bx, by]] = [walks.place(walk, frame - 1), walks.place(walk, frame)];
      for (let i = 0; i <= 4000; i++) {
        const [x, y] = [ax + ((bx - ax) * i) / 4000, ay + ((by - ay) * i) / 4000];
        const key = `${Math.floor((x * window.scale) / cell)},${Math.floor((-y * window.scale) / cell)}`;
        cells.add(key);
      }
    }
    for (const key of cells) found.set(key, (found.get(key) ?? 0) + 1);
  }
  return found;
}

test("each walk is counted once in every cell that it passes", () => {
  const walks = small();
  const chosen = walks.chosen(null, null);
  const window = { x: 0.48, y: 0.53, scale: 97, width: 200, height: 200 };
  const cell = 7;
  const { left, top, columns, count, most } = walks.passages(chosen, window, cell);
  const wanted = slowly(walks, chosen, window, cell);
  let wrong = 0;
  let seen = 0;
  for (let place = 0; place < count.length; place++) {
    const x = window.x + (left + ((place % columns) + 0.5) * cell - window.width / 2) / window.scale;
    const y = window.y - (top + (Math.floor(place / columns) + 0.5) * cell - window.height / 2) / window.scale;
    const key = `${Math.floor((x * window.scale) / cell)},${Math.floor((-y * window.scale) / cell)}`;
    if (count[place]) seen++;
    if (count[place] !== (wanted.get(key) ?? 0)) wrong++;
  }
  // A corner that is only just cut may be missed: pieces are one cell long.
  assert.ok(wrong <= 0.1 * seen, `${wrong} of ${seen} cells`);
  assert.equal(most, 5);
});

test("cells stay where they are in the plane while the window moves", () => {
  const walks = small();
  const chosen = walks.chosen(null, null);
  const window = { x: 0.5, y: 0.5, scale: 100, width: 160, height: 160 };
  const [a, b] = [window, { ...window, x: 0.5 + 3 / 100 }].map((one) => walks.passages(chosen, one, 8));
  const shift = (((b.left - a.left) % 8) + 8) % 8;
  assert.ok(Math.abs(shift - 5) < 1e-6, `${a.left} ${b.left}`);
  const sum = (found) => found.count.reduce((total, value) => total + value, 0);
  assert.ok(Math.abs(sum(a) - sum(b)) <= 4);
});

test("arrows point where the walks go and tell how much they agree", () => {
  const walks = small();
  const window = { x: 0.5, y: 0.5, scale: 100, width: 200, height: 200 };
  const { dx, dy, way } = walks.passages(Int32Array.of(1, 4), window, 30);
  const place = [...dx].findIndex((value) => value > 0);
  assert.ok(place >= 0 && dy[place] === 0 && Math.abs(dx[place] - way[place]) < 1e-4);
  const back = walks.passages(Int32Array.of(5), window, 30);
  const sums = (array) => array.reduce((total, value) => total + value, 0);
  assert.ok(Math.abs(sums(back.dy)) < 1e-4 && sums(back.way) > 3, "there and back again agree in nothing");
});

test("who passes here is named by class, the busiest pair first", () => {
  const walks = small();
  assert.deepEqual(walks.near(walks.chosen(null, null), 0.5, 0, 0.05), { walks: 2, pairs: [[0, 1, 2]] });
  assert.deepEqual(walks.near(walks.chosen(null, null), 0, 0, 0.05).walks, 5);
  assert.deepEqual(walks.near(walks.chosen(null, null), 0.3, 0.8, 0.05), { walks: 0, pairs: [] });
});

test("counts become levels on a logarithmic scale", () => {
  assert.deepEqual([...levels(Float32Array.of(0, 1, 10, 100), 100)], [0, 1, 128, 255]);
  assert.deepEqual([...levels(Float32Array.of(0, 1), 1)], [0, 255]);
  const alpha = [...emberPixels(false)].map((pixel) => pixel >>> 24);
  assert.equal(alpha[0], 0);
  assert.ok(alpha.every((value, i) => i < 2 || value >= alpha[i - 1]));
});

test("shares are not rounded to none or all", () => {
  assert.deepEqual([0, 0.001, 0.5, 0.999, 1, NaN].map(percent), ["0", "<1", "50", ">99", "100", "–"]);
});

test("a pair is told with its counts", () => {
  const walks = small();
  assert.equal(tellPair(walks, 0, 1), "a to <b>b</b>: 1 of 2 walks arrive (50 %), in the median at step 3, the alarm is in time for 1 of them (100 %)");
  assert.equal(tellPair(walks, 0, 2), "a to c: 0 of 2 walks arrive (0 %)");
  assert.equal(tellPair(walks, 2, 0), "c to a: no sample begins there");
  assert.equal(tellPair(walks, 0, 0), "a: the own class");
});
