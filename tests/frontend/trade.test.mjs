import assert from "node:assert/strict";
import test from "node:test";

import { nearest, outcome, share, ticks, under } from "./trade.js";

test("what is flagged and what is let through are all there is", () => {
  const data = { caught: [3, 2, 0], alarms: [7, 1, 0], wrongs: 3, rights: 7 };
  assert.deepEqual(outcome(data, 1), { caught: 2, missed: 1, alarms: 1, passed: 6 });
  assert.deepEqual(outcome(data, 2), { caught: 0, missed: 3, alarms: 0, passed: 7 });
});

test("a wish is met by the highest threshold that still meets it", () => {
  assert.equal(nearest([9, 9, 5, 5, 1, 0], 5), 3);
  assert.equal(nearest([9, 9, 5, 5, 1, 0], 4.2), 3);
  assert.equal(nearest([9, 9], 100), 0);
});

test("a price is kept to by the lowest threshold that does not exceed it", () => {
  assert.equal(under([9, 9, 5, 5, 1, 0], 5), 2);
  assert.equal(under([9, 9, 5, 5, 1, 0], 0.5), 5);
  assert.equal(under([9, 9], 3), 1);
});

test("a share is never rounded up to all of it, and nothing of nothing is said so", () => {
  assert.equal(share(9999, 10000), "99.9 %");
  assert.equal(share(1, 1), "100 %");
  assert.equal(share(0, 5), "0 %");
  assert.equal(share(3, 1000), "0.30 %");
  assert.equal(share(0, 0), "none");
});

test("ticks are round and inside", () => {
  assert.deepEqual(ticks(-4.3, 0.2), [-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0]);
  assert.deepEqual(ticks(-8.1, 0.4), [-8, -7, -6, -5, -4, -3, -2, -1, 0]);
  assert.ok(ticks(-290, -0.01).length < 10);
});
