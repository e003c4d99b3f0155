import assert from "node:assert/strict";
import test from "node:test";
import { badgesOf, nearestOf, tellApart } from "./sample_pair.js";
import { marksOf, shareOf, shownClasses } from "./sample_pair_bars.js";
import { broken } from "./sample_pair_export.js";
import { reaching } from "./sample_pair_map.js";

const card = (outputs, predicted, label = null) => ({ outputs, predicted, label });

test("few classes all get a line, of a hundred the strongest of either sample", () => {
  assert.deepEqual(shownClasses([card([0.1, 0.9, 0], 1)]), [0, 1, 2]);
  const [a, b] = [0, 1].map((shift) => Array.from({ length: 100 }, (_, code) => (code % 10 === shift ? 0.5 + code / 1000 : 0.001)));
  const codes = shownClasses([card(a, 90, 7), card(b, 91)]);
  assert.equal(codes.length, 12);
  assert.ok([90, 91, 7].every((code) => codes.includes(code)), "answers and labels are among them, however weak");
  assert.deepEqual(codes, [...codes].sort((x, y) => x - y));
});

test("a class is marked as answer, as label, as both or as neither", () => {
  const one = card([0.2, 0.8], 1, 0);
  assert.equal(marksOf(one, 1), "●");
  assert.equal(marksOf(one, 0), "✓");
  assert.equal(marksOf(card([1], 0, 0), 0), "●✓");
  assert.equal(marksOf(card([1, 0], 0), 1), "");
});

test("bars of outputs beyond 0 to 1 stay in their track", () => {
  assert.deepEqual([-3, 0.25, 7].map(shareOf), [0, 0.25, 1]);
});

test("badges tell right from wrong only where a label is known", () => {
  const texts = (one) => badgesOf(one).map(([text]) => text);
  assert.deepEqual(texts({ label: 3, predicted: 3 }), ["right"]);
  assert.deepEqual(texts({ label: 3, predicted: 4, alarm: true }), ["wrong", "alarm: unsure"]);
  assert.deepEqual(texts({ label: null, predicted: 4, stranger: true }), ["off the map"]);
});

test("distances are told beside that of the nearest sample", () => {
  const near = nearestOf([[5, 1005, 1, 1, "distance 2.5"]]);
  assert.equal(near, 2.5);
  assert.match(tellApart({ map: 0.5, units: 10 }, near), /0\.500 apart.*10\.00.*4\.0 times/);
  assert.doesNotMatch(tellApart({ map: 0.5, units: 10 }, nearestOf(null)), /times/);
  assert.doesNotMatch(tellApart({ map: 0.5, units: null }, near), /activation space/);
});

test("the map reaches as far as the crosses", () => {
  assert.deepEqual(reaching([-1, 1, -1, 1], [[0, 0.5]], 0), [-1, 1, -1, 1]);
  assert.deepEqual(reaching([-1, 1, -1, 1], [[3, 0], [0, -4]], 0.1), [-1, 3.2, -4.2, 1]);
});

test("long sentences are broken between words", () => {
  assert.deepEqual(broken("on the map it is", 6), ["on the", "map it", "is"]);
});
