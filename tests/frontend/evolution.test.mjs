import assert from "node:assert/strict";
import test from "node:test";
import { placeOf, rounds } from "./evolution_chart.js";
import { Film, HOLD, RATE } from "./evolution_clock.js";
import { Run, fades } from "./evolution_data.js";
import { shuffled } from "./table.js";

/** Three samples at steps 0, 10 and 40, two classes; the last sample has no label. */
function small() {
  const [n, s] = [3, 3];
  const table = { classes: ["a", "b"], slots: [2, 1, 0, 3], label: Uint8Array.of(2, 1, 0, 0), ids: [12, 11, 10, 13], rows: [2, 1, 0, 3] };
  const z = [0, 0, 1, 1, 2, 2, 4, 0, 1, 3, 2, 2, 4, 8, 1, 3, 2, 6];
  const parts = {
    row: Int32Array.of(0, 1, 2).buffer, // labels a, b and none
    z: Float32Array.from(z).buffer,
    predicted: Uint8Array.of(0, 0, 1, 0, 1, 1, 1, 1, 1).buffer,
    sure: Uint8Array.of(0, 100, 40, 200, 60, 80, 50, 255, 80).buffer,
    own: Uint8Array.of(0, 20, 0, 200, 60, 0, 10, 255, 0).buffer,
  };
  assert.equal(z.length, 2 * n * s);
  const run = new Run({ steps: [0, 10, 40], samples: n, kind: "u1", parts: {} }, parts, table);
  const at = (i) => Array.from(shuffled(n, 3)).indexOf(i); // where sample i lies after shuffling
  return { run, at };
}

test("samples are where they were measured at a snapshot and on a straight line in between", () => {
  const { run, at } = small();
  run.place(0);
  assert.deepEqual([run.x[at(0)], run.y[at(0)]], [0, 0]);
  run.place(0.25);
  assert.deepEqual([run.x[at(0)], run.y[at(0)]], [1, 0]);
  assert.deepEqual([run.x[at(1)], run.y[at(1)]], [1, 1.5]);
  run.place(2);
  assert.deepEqual([run.x[at(2)], run.y[at(2)]], [2, 6]);
  assert.equal(run.stepAt(1.5), 25);
  assert.equal(run.stepAt(2), 40);
});

test("a sample takes on its own class's colour as that class's share grows", () => {
  const { run, at } = small();
  run.colour(0.5, "label");
  assert.equal(run.codes[at(0)], 0);
  assert.equal(run.levels[at(0)], 100);
  assert.equal(run.codes[at(2)], 2); // no label
});

test("between two answers the colour of the first fades out and that of the second in", () => {
  const { run, at } = small();
  const seen = [1, 1.25, 1.5, 1.75, 2].map((place) => {
    run.colour(place, "predicted");
    return [run.codes[at(0)], run.levels[at(0)]];
  });
  assert.deepEqual(seen, [[0, 200], [0, 100], [1, 0], [1, 25], [1, 50]]);
  run.colour(0.5, "predicted");
  assert.deepEqual([run.codes[at(2)], run.levels[at(2)]], [1, 60]);
});

test("accuracy counts labelled samples only, by class and in all", () => {
  const { run } = small();
  assert.deepEqual(run.accuracy(), [0.5, 1, 0.5]);
  assert.deepEqual(run.accuracy(1), [0, 1, 1]);
  assert.deepEqual(run.counts("label", 0), [1, 1, 1]);
  assert.deepEqual(run.counts("predicted", 1.8), [0, 3, 0]);
});

test("a sample is settled from the snapshot on that it is told right until the end", () => {
  const { run, at } = small();
  assert.equal(run.settled(at(1)), 1);
  assert.equal(run.settled(at(0)), -1);
  assert.equal(run.says(at(0), 1.4), 0);
});

test("only what is shown can be pointed at", () => {
  const { run, at } = small();
  const view = { scale: 10, toPlane: (px, py) => [px / 10, py / 10] };
  run.place(0);
  assert.equal(run.nearest(12, 11, view, 10), at(1));
  run.show[at(1)] = 1;
  assert.equal(run.nearest(12, 11, view, 10), -1);
  assert.ok(!run.shown(9).includes(at(1)));
});

test("colours go from grey to full", () => {
  const table = fades([[255, 0, 0], [0, 0, 255]], [100, 100, 100]);
  assert.equal(table[0] >>> 0, 0xff646464);
  assert.equal(table[255] >>> 0, 0xff0000ff);
  assert.equal(table[511] >>> 0, 0xffff0000);
});

function film(last, change = {}) {
  const seen = [];
  const made = Object.assign(new Film(last, (at) => seen.push(at)), change);
  return { made, seen };
}

test("the film runs at its rate, ends at the last snapshot and starts over from there", () => {
  const { made } = film(4);
  made.play(1000);
  assert.ok(made.tick(1500));
  assert.equal(made.at, RATE / 2);
  made.haste(4, 1500);
  assert.ok(made.tick(1600));
  assert.ok(Math.abs(made.at - (RATE / 2 + 0.4 * RATE)) < 1e-9);
  assert.ok(!made.tick(60000));
  assert.deepEqual([made.at, made.playing], [4, false]);
  made.play(60000);
  assert.equal(made.at, 0);
});

test("a loop rests at the end and begins anew", () => {
  const { made } = film(4, { loop: true });
  made.play(0);
  assert.ok(made.tick((4 / RATE) * 1000 + 500 * HOLD));
  assert.equal(made.at, 4);
  assert.ok(made.tick((4 / RATE + HOLD + 1) * 1000));
  assert.ok(Math.abs(made.at - RATE) < 1e-9);
});

test("who asked for calm goes from snapshot to snapshot", () => {
  const { made } = film(4, { calm: true });
  made.play(0);
  made.tick(800);
  assert.equal(made.at, Math.floor(0.8 * RATE));
});

test("stepping goes to whole snapshots and not past the ends", () => {
  const { made } = film(3);
  made.set(1.4);
  made.step(1);
  assert.equal(made.at, 2);
  made.set(1.4);
  made.step(-1);
  assert.equal(made.at, 1);
  made.step(-5);
  assert.equal(made.at, 0);
  made.set(3);
  made.step(1);
  assert.equal(made.at, 3);
});

test("the curve finds the moment of a step, however unevenly the snapshots lie", () => {
  const steps = [0, 10, 40, 1000];
  assert.deepEqual([-5, 0, 5, 10, 25, 40, 520, 2000].map((step) => placeOf(steps, step)), [0, 0, 0.5, 1, 1.5, 2, 2.5, 3]);
  assert.deepEqual(rounds(0, 1, 3), [0, 0.5, 1]);
  assert.deepEqual(rounds(0.9, 1, 3), [0.9, 0.95, 1]);
  assert.deepEqual(rounds(1000, 24000, 8), [5000, 10000, 15000, 20000]);
});
