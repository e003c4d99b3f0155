import assert from "node:assert/strict";
import { test } from "node:test";

import { levelText } from "./constellation.js";
import { nearestLevel, roundSteps } from "./constellation_chart.js";
import { countClasses, namedClasses } from "./constellation_panel.js";

test("copies of one level are counted by class", () => {
  const codes = Uint8Array.from([0, 0, 0, 2, 2, 1]);
  assert.deepEqual(countClasses(codes, 0, 3, 3), [3, 0, 0]);
  assert.deepEqual(countClasses(codes, 1, 3, 3), [0, 1, 2]);
});

test("of a hundred classes the frequent ones are named, the sample's own always", () => {
  const codes = new Uint8Array(2000).map((_, i) => i % 100);
  codes.fill(7, 0, 500);
  const { named, rest } = namedClasses(codes, 100, 99, 12);
  assert.equal(named.length, 12);
  assert.ok(named.includes(7) && named.includes(99));
  assert.deepEqual(named, [...named].sort((a, b) => a - b));
  assert.deepEqual([...named, ...rest].sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
});

test("two classes are both named and nothing is left over", () => {
  const { named, rest } = namedClasses(Uint8Array.from([1, 1, 1]), 2, 0);
  assert.deepEqual([named, rest], [[0, 1], []]);
});

test("a pressed place leads to the nearest level that was computed", () => {
  const levels = [0, 0.04, 0.1, 0.5];
  assert.deepEqual([-1, 0.03, 0.069, 0.071, 0.31, 9].map((v) => nearestLevel(levels, v)), [0, 1, 1, 2, 3, 3]);
});

test("axes have round steps written with as many digits as they need", () => {
  assert.deepEqual(roundSteps(100, 4), { step: 25, places: 0 });
  assert.deepEqual(roundSteps(1, 5), { step: 0.2, places: 1 });
  assert.deepEqual(roundSteps(1, 4), { step: 0.25, places: 2 });
  for (const most of [0.003, 0.7, 1, 3, 99, 12345]) {
    const { step, places } = roundSteps(most, 5);
    assert.ok(most / step <= 5.01 && most / step > 1.9, `${most}`);
    assert.ok(Math.abs(Number(step.toFixed(places)) - step) < 1e-9 * step, `${most}`);
  }
});

test("levels are written short", () => {
  assert.deepEqual([0, 0.1, 0.0447214, 1, 89.1].map(levelText), ["0", "0.1", "0.04472", "1", "89.1"]);
});
