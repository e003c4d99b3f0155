import assert from "node:assert/strict";
import test from "node:test";
import { Grid, inside, thin } from "./grid.js";

const random = (n, seed) => Float32Array.from({ length: n }, (_, i) => (Math.sin((i + 1) * seed) * 43758.5453) % 1);

test("the nearest point is the one an honest search finds", () => {
  const [x, y] = [random(3000, 12.9898), random(3000, 78.233)];
  const grid = new Grid(x, y, 32);
  for (let k = 0; k < 200; k++) {
    const [px, py] = [1.2 * Math.sin(k * 7.1), 1.2 * Math.cos(k * 3.3)];
    let best = -1;
    let least = 0.1 ** 2;
    for (let i = 0; i < x.length; i++) {
      const square = (x[i] - px) ** 2 + (y[i] - py) ** 2;
      if (square <= least) [best, least] = [i, square];
    }
    assert.equal(grid.nearest(px, py, 0.1), best);
  }
});

test("points that are not accepted are passed over", () => {
  const grid = new Grid(Float32Array.of(0, 1), Float32Array.of(0, 0));
  assert.equal(grid.nearest(0.1, 0, 2, (i) => i === 1), 1);
  assert.equal(grid.nearest(0.1, 0, 0.01), -1);
});

test("a grid of points that all coincide still finds them", () => {
  const grid = new Grid(new Float32Array(5).fill(2), new Float32Array(5).fill(3));
  assert.ok(grid.nearest(2, 3, 0.5) >= 0);
});

test("a visit of a rectangle meets every point in it", () => {
  const [x, y] = [random(500, 3.7), random(500, 9.1)];
  const met = new Set();
  new Grid(x, y, 16).visit(-0.2, -0.3, 0.4, 0.5, (i) => met.add(i));
  for (let i = 0; i < 500; i++) if (x[i] >= -0.2 && x[i] <= 0.4 && y[i] >= -0.3 && y[i] <= 0.5) assert.ok(met.has(i));
});

test("inside a square, outside it, and in the hole of a star", () => {
  const square = [[0, 0], [2, 0], [2, 2], [0, 2]];
  assert.deepEqual([...inside(square, Float32Array.of(1, 3, -1), Float32Array.of(1, 1, 1))], [1, 0, 0]);
  const star = [0, 2, 4, 1, 3].map((k) => [Math.sin((k * 2 * Math.PI) / 5), Math.cos((k * 2 * Math.PI) / 5)]);
  assert.deepEqual([...inside(star, Float32Array.of(0, 0), Float32Array.of(0, 0.8))], [0, 1]); // even-odd: the middle is out
});

test("corners closer than asked are dropped", () => {
  assert.deepEqual(thin([[0, 0], [1, 0], [5, 0], [6, 0], [9, 0]], 4), [[0, 0], [5, 0], [9, 0]]);
});
