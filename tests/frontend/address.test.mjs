import assert from "node:assert/strict";
import test from "node:test";
import { LAYERS, read, readLayers, replace, write, writeLayers } from "./address.js";
import { EVERYTHING } from "./filter.js";
import { View } from "./view.js";

const table = {
  classes: ["cat", "dog, big", "2"],
  labelled: true,
  ids: Int32Array.of(100, 907, 5),
  slotById: new Map([[100, 0], [907, 1], [5, 2]]),
  manifest: {
    views: [{ name: "infovae" }, { name: "umap" }],
    splits: ["train", "validation", "test"],
    scores: [{ name: "log_error" }],
  },
  category: (by) => ({ names: { label: ["cat", "dog, big", "2", "no label"], correct: ["wrong", "right", "no label"] }[by] ?? table.manifest.splits }),
};
const view = () => {
  const made = new View();
  made.extent = [-3, 3, -3, 3];
  made.resize(600, 600);
  return made;
};
const plain = () => ({
  projection: "infovae",
  colour: "label",
  firstColour: "label",
  layers: structuredClone(LAYERS),
  filter: { ...EVERYTHING },
  size: 1,
  pinned: -1,
});
const query = (pairs) => new URLSearchParams(pairs).toString();

test("the first view needs no address", () => {
  assert.deepEqual(write(plain(), view(), table), []);
});

test("what is written is read back", () => {
  const state = plain();
  Object.assign(state, { projection: "umap", colour: "log_error", size: 1.5, pinned: 1 });
  Object.assign(state.layers.density, { on: true, opacity: 0.35 });
  state.layers.labels.on = false;
  Object.assign(state.filter, { label: 1, predicted: 0, split: 2, wrong: true, low: -4.25, only: { by: "label", codes: [1, 3] } });
  const window = view();
  window.set(0.5, -1.25, 8);
  const found = read(query(write(state, window, table)), table);
  assert.equal(found.projection, "umap");
  assert.equal(found.colour, "log_error");
  assert.deepEqual(found.layers, state.layers);
  assert.deepEqual(found.filter, { ...state.filter, high: null });
  assert.equal(found.pinned, 1);
  assert.equal(found.size, 1.5);
  assert.deepEqual(found.at, [0.5, -1.25, 8]);
});

test("what makes no sense is passed over", () => {
  const hostile = query([
    ["projection", "../../etc"],
    ["at", "1,2,NaN"],
    ["colour", "<script>"],
    ["layers", "points.900-nothing-labels"],
    ["size", "1e9"],
    ["label", "unicorn"],
    ["split", "7"],
    ["wrong", "yes"],
    ["error", "low,high"],
    ["only", "label:99,-1,x"],
    ["pin", "12345"],
  ]);
  const found = read(hostile, table);
  assert.deepEqual(found.filter, EVERYTHING);
  for (const name of ["projection", "at", "colour", "size", "pinned"]) assert.equal(found[name], undefined);
  assert.equal(found.layers.points.opacity, 1);
  assert.equal(found.layers.labels.on, true);
  assert.equal(found.layers.error.on, false);
});

test("layers survive their short form", () => {
  assert.deepEqual(readLayers(writeLayers(LAYERS)), LAYERS);
});

test("other pages' parts of the address stay", () => {
  const seen = [];
  globalThis.window = {
    location: { href: "http://x/map?atlas=my%20net&pin=3", pathname: "/map", search: "?atlas=my%20net&pin=3", hash: "" },
    history: { state: { a: 1 }, replaceState: (...args) => seen.push(args) },
  };
  replace([["at", "1,2,3"]]);
  assert.deepEqual(seen, [[{ a: 1 }, "", "/map?atlas=my+net&at=1,2,3"]]);
});
