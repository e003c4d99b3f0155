import assert from "node:assert/strict";
import test from "node:test";
import { chosenClasses } from "./brainbow_card.js";
import { Layers, Strongest } from "./brainbow_data.js";
import { columnsIn, differenceReach, diverging, rowColours, unitAt, unitColours } from "./brainbow_paint.js";
import { ribbonsOf, skip, ticksOf } from "./brainbow_panel.js";
import { readTrial } from "./brainbow_trial.js";

const THEME = { dark: false, background: [255, 255, 255], ghost: [200, 200, 200], text: [0, 0, 0] };

/** Two layers of three and two units, three classes, both ways. */
function made() {
  const manifest = {
    classes: ["a", "b", "c"],
    p: 5,
    palette: { light: ["#ff0000", "#00ff00", "#0000ff"], dark: ["#ff0000", "#00ff00", "#0000ff"] },
    ramp: ["#000000", "#ffffff"],
    layers: [
      { name: "x", op: "elu", start: 0, stop: 3 },
      { name: "y", op: "elu", start: 3, stop: 5 },
    ],
  };
  const way = (name, shift) => ({
    name,
    title: name,
    expected: Float32Array.from([1, 2, 3, 8, 0, 2, 1, 0, 1, 4, 0, 0, 4, -2, 0], (v) => v + shift),
    preferred: Uint8Array.from([1, 0, 2, 0, 1]),
    order: Int32Array.from([1, 0, 2, 3, 4]),
    light: new Uint8Array(15).fill(100),
    dark: new Uint8Array(15).fill(50),
  });
  return new Layers(manifest, [way("decoder", 0), way("mean", -0.5)]);
}

test("places undo the order, and layers are found by unit", () => {
  const data = made();
  assert.deepEqual([...data.first.place], [1, 0, 2, 3, 4]);
  assert.deepEqual([0, 2, 3, 4].map((unit) => data.layerOf(unit)), [0, 0, 1, 1]);
});

test("values, their difference, and the scale of each layer", () => {
  const data = made();
  assert.equal(data.value("decoder", 1, 4), 4);
  assert.equal(data.value("difference", 1, 4), 0.5);
  assert.deepEqual(data.scales("decoder"), [4, 8]);
  assert.equal(data.depth("decoder"), 0.25);
  assert.equal(data.highest("decoder", 2), 4);
  assert.equal(data.agreement(), 1);
  assert.ok(data.gaps().every((gap) => Math.abs(gap - 0.5) < 1e-6));
  assert.ok(Math.abs(differenceReach(data, 1) - 0.5) < 1e-6);
});

test("runs of one class are found in every layer and joined by bands", () => {
  const data = made();
  const blocks = data.blocks("decoder");
  assert.deepEqual(blocks[0], [
    { code: 0, start: 0, stop: 1 },
    { code: 1, start: 1, stop: 2 },
    { code: 2, start: 2, stop: 3 },
  ]);
  const columns = columnsIn(220, 120, 2, { left: 20, right: 0, top: 10, bottom: 10 });
  const bands = ribbonsOf(data.layers, blocks, columns);
  assert.deepEqual(bands.map(({ code }) => code), [0, 1], "class c has no unit in the second layer");
  assert.equal(bands[0].corners[0][1], 10);
  assert.equal(bands[0].corners[2][1], 60, "half of the second layer");
});

test("a point of the picture is the unit drawn there, nothing beside it", () => {
  const data = made();
  const columns = columnsIn(220, 120, 2, { left: 20, right: 0, top: 10, bottom: 10 });
  assert.equal(unitAt(data, data.first.order, columns, 30, 11), 1);
  assert.equal(unitAt(data, data.plain, columns, 30, 11), 0);
  assert.equal(unitAt(data, data.plain, columns, 30, 109), 2);
  assert.equal(unitAt(data, data.plain, columns, 150, 100), 4);
  assert.equal(unitAt(data, data.plain, columns, 10, 50), null);
  assert.equal(unitAt(data, data.plain, columns, 50, 115), null);
});

test("colours follow the choice, and other classes fade when one is followed", () => {
  const data = made();
  const at = (bytes, unit) => [...bytes.subarray(3 * unit, 3 * unit + 3)];
  const preferred = unitColours(data, { colour: "preferred", way: "decoder", only: -1 }, THEME);
  assert.deepEqual(at(preferred, 0), [0, 255, 0]);
  const alone = unitColours(data, { colour: "preferred", way: "decoder", only: 1 }, THEME);
  assert.deepEqual(at(alone, 0), [0, 255, 0]);
  assert.ok(at(alone, 1).every((byte) => byte > 215));
  const mixture = unitColours(data, { colour: "mixture", way: "decoder", only: -1 }, THEME);
  assert.deepEqual(at(mixture, 2), [100, 100, 100]);
  const active = unitColours(data, { colour: "activation", way: "decoder", only: 0 }, THEME);
  assert.deepEqual(at(active, 3), [255, 255, 255], "the strongest of its layer");
  assert.ok(at(active, 0)[0] < at(active, 1)[0] && at(active, 1)[0] < at(active, 2)[0]);
});

test("differences are blue below zero, orange above, and the ground at none", () => {
  assert.deepEqual(diverging(0, [10, 20, 30]), [10, 20, 30]);
  assert.ok(diverging(1, [0, 0, 0])[0] > 200 && diverging(-1, [0, 0, 0])[2] > 200);
});

test("many units in one row are averaged as light, one unit may fill many rows", () => {
  const order = Int32Array.from([0, 1, 2, 3]);
  const bytes = Uint8ClampedArray.from([255, 0, 0, 0, 0, 0, 10, 20, 30, 10, 20, 30]);
  const few = rowColours(order, 0, 4, bytes, 2);
  assert.deepEqual([...few], [180, 0, 0, 10, 20, 30]);
  const many = rowColours(order, 0, 4, bytes, 8);
  assert.deepEqual([...many.subarray(3, 6)], [255, 0, 0]);
  assert.equal(rowColours(order, 0, 4, bytes, 0).length, 0);
});

test("thousands of units are painted in milliseconds", () => {
  const p = 40_000;
  const order = Int32Array.from({ length: p }, (_, i) => i);
  const bytes = new Uint8ClampedArray(3 * p).fill(90);
  const started = performance.now();
  for (let l = 0; l < 8; l++) rowColours(order, l * 5000, (l + 1) * 5000, bytes, 800);
  assert.ok(performance.now() - started < 500);
});

test("the axis counts units where layers are alike, else tells shares", () => {
  const alike = [{ start: 0, stop: 200 }, { start: 200, stop: 400 }];
  assert.deepEqual(ticksOf(alike).map(({ text }) => text), ["0", "50", "100", "150", "200"]);
  assert.equal(ticksOf([{ start: 0, stop: 200 }, { start: 200, stop: 300 }])[1].text, "25 %");
  assert.equal(skip(25), 1);
  assert.equal(skip(5), 4);
});

test("of many classes the extreme ones get a bar", () => {
  const values = Array.from({ length: 100 }, (_, code) => (code * 37) % 100);
  const codes = chosenClasses(values);
  assert.equal(codes.length, 12);
  assert.equal(values[codes[0]], 99);
  assert.equal(values[codes[11]], 0);
  assert.deepEqual(chosenClasses([3, NaN, 1]), [0, 2]);
});

test("strongest samples and trials are read as they were packed", () => {
  const buffer = new ArrayBuffer(24 * 4);
  new Float64Array(buffer, 0, 4).set([5, 6, 7, 8]);
  new Int32Array(buffer, 32, 12).set([1, 2, 3, 4, 0, 1, 0, 1, 1, 1, 0, 0]);
  new Float32Array(buffer, 80, 4).set([9, 8, 7, 6]);
  const found = new Strongest(buffer, 2, 2);
  assert.deepEqual(found.of(1)[0], { row: 3, id: 7, label: 0, predicted: 0, value: 7 });
  const trial = new ArrayBuffer(22 * 2);
  new Float32Array(trial, 0, 8).set([1, 2, 3, 4, 5, 6, 7, 8]);
  new Uint16Array(trial, 32, 6).set([1, 2, 3, 4, 5, 6]);
  const read = readTrial(trial, 2);
  assert.deepEqual([...read.after], [5, 6, 7, 8]);
  assert.deepEqual([read.label[1], read.was[0], read.now[1]], [2, 3, 6]);
});
