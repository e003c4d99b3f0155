import assert from "node:assert/strict";
import test from "node:test";
import { extentOf, View } from "./view.js";

function opened(width = 800, height = 500) {
  const view = new View();
  view.extent = [-3, 3, -2, 2];
  view.insets = { left: 60, right: 180, top: 10, bottom: 26 };
  view.resize(width, height);
  return view;
}
const near = (a, b, slack = 1e-6) => assert.ok(Math.abs(a - b) < slack, `${a} is not ${b}`);

test("home shows the whole extent beside the panels", () => {
  const view = opened();
  for (const [x, y] of [[-3, -2], [3, 2]]) {
    const [px, py] = view.toPixel(x, y);
    assert.ok(px >= 59.9 && px <= 620.1 && py >= 9.9 && py <= 474.1, `${px}, ${py}`);
  }
  assert.ok(view.isHome);
});

test("pixels and the plane are each other's inverse, y up", () => {
  const view = opened();
  view.set(0.3, -0.4, 5);
  const [x, y] = view.toPlane(...view.toPixel(0.7, -0.2));
  near(x, 0.7);
  near(y, -0.2);
  assert.ok(view.toPixel(0, 1)[1] < view.toPixel(0, 0)[1]);
});

test("zooming keeps what is under the pointer", () => {
  const view = opened();
  const before = view.toPlane(200, 120);
  view.zoomAt(200, 120, 3);
  near(view.zoom, 3, 1e-9);
  view.toPlane(200, 120).forEach((v, i) => near(v, before[i]));
});

test("panning by pixels moves the plane with the hand", () => {
  const view = opened();
  view.set(0, 0, 4);
  const under = view.toPlane(300, 200);
  view.pan(25, -40);
  view.toPlane(325, 160).forEach((v, i) => near(v, under[i]));
});

test("nobody gets lost: centre and zoom stay within bounds", () => {
  const view = opened();
  view.pan(1e9, -1e9);
  view.zoomAt(400, 250, 1e9);
  assert.ok(Math.abs(view.x) < 20 && Math.abs(view.y) < 20 && view.zoom <= 3000);
  view.zoomAt(400, 250, 1e-12);
  assert.ok(view.zoom >= 0.4 - 1e-9);
});

test("a resized home is home again, another view keeps centre and zoom", () => {
  const view = opened();
  view.resize(1200, 700);
  assert.ok(view.isHome);
  view.set(0.5, 0.5, 6);
  view.resize(640, 480);
  near(view.zoom, 6);
  near(view.x, 0.5);
});

test("ticks are round and inside", () => {
  const view = opened();
  const { values, digits } = view.ticks(-3, 3);
  assert.ok(values.length >= 3 && values.every((v) => v >= -3 && v <= 3));
  values.forEach((v) => near(Number(v.toFixed(digits)), v, 1e-9));
});

test("the extent leaves a few strangers out and has room when all points coincide", () => {
  const xs = Float32Array.from({ length: 10000 }, (_, i) => (i === 0 ? 1e6 : Math.sin(i)));
  assert.ok(extentOf(xs, xs)[1] < 2);
  const [x0, x1] = extentOf(Float32Array.of(2, 2), Float32Array.of(1, 1));
  assert.ok(x1 > x0);
  assert.deepEqual(extentOf(new Float32Array(0), new Float32Array(0)), [-1, 1, -1, 1]);
});
