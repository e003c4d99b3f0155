import assert from "node:assert/strict";
import test from "node:test";
import { digits, luminance, mix, plainError, rgb } from "./colour.js";
import { bounds, centred, shrink, toBase64 } from "./strokes.js";

const blank = (side) => new Float32Array(side * side);
function block(side, x0, y0, x1, y1) {
  const values = blank(side);
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) values[y * side + x] = 1;
  return values;
}
const sum = (values) => values.reduce((a, b) => a + b, 0);
function middle(values, side) {
  let [mass, x, y] = [0, 0, 0];
  values.forEach((v, i) => {
    mass += v;
    x += v * ((i % side) + 0.5);
    y += v * (Math.floor(i / side) + 0.5);
  });
  return [x / mass, y / mass];
}

test("shrinking keeps the mean", () => {
  const values = block(280, 31, 77, 190, 203);
  const small = shrink(values, 280, 280, [0, 0, 280, 280], 28, 28);
  assert.ok(Math.abs(sum(small) * 100 - sum(values)) < 1e-1);
});

test("shrinking a whole number of pixels is their mean", () => {
  assert.deepEqual([...shrink(Float32Array.of(0, 1, 1, 1, 0, 0, 0.5, 0.5, 0), 3, 3, [0, 0, 3, 3], 1, 1)].map((v) => v.toFixed(4)), ["0.4444"]);
});

test("a box may reach outside, where there is nothing", () => {
  const out = shrink(new Float32Array(4).fill(1), 2, 2, [-2, -2, 2, 2], 2, 2);
  assert.deepEqual([...out], [0, 0, 0, 1]);
});

test("a drawing is placed as MNIST places it, wherever and however large it was drawn", () => {
  for (const [x0, y0, x1, y1] of [[10, 20, 60, 140], [100, 40, 260, 250], [5, 5, 25, 25]]) {
    const placed = centred(block(280, x0, y0, x1, y1), 280, 280, 28, 28);
    const [x, y] = middle(placed, 28);
    assert.ok(Math.hypot(x - 14, y - 14) < 0.05, `${x}, ${y}`);
    const [left, top, right, bottom] = bounds(placed, 28, 28, 0.5);
    assert.equal(Math.max(right - left, bottom - top), 20);
  }
});

test("an empty drawing stays empty", () => {
  assert.equal(sum(centred(blank(40), 40, 40, 28, 28)), 0);
  assert.equal(bounds(blank(40), 40, 40), null);
});

test("bytes are rounded and clipped", () => {
  assert.deepEqual([...Buffer.from(toBase64([0, 0.5, 1, 2, -1]), "base64")], [0, 128, 255, 255, 0]);
});

test("colours are read in the forms a style sheet gives", () => {
  assert.deepEqual(rgb("#0f8"), [0, 255, 136]);
  assert.deepEqual(rgb("#12161c"), [18, 22, 28]);
  assert.deepEqual(rgb("rgba(1, 2, 3, 0.5)"), [1, 2, 3]);
  assert.deepEqual(rgb("nonsense"), [128, 128, 128]);
  assert.deepEqual(mix([0, 0, 0], [10, 20, 30], 0.5), [5, 10, 15]);
  assert.ok(Math.abs(luminance([255, 255, 255]) - 1) < 1e-9);
});

test("an estimated error is written as a person would", () => {
  assert.equal(plainError(-0.3), "0.50");
  assert.equal(plainError(-4.2), "6.3 × 10⁻⁵");
  assert.equal(plainError(NaN), "unknown");
});

test("numbers have a true minus and no negative zero", () => {
  assert.equal(digits(-3.14159, 2), "−3.14");
  assert.equal(digits(-0.04, 1), "0.0");
});
