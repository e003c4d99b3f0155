import assert from "node:assert/strict";
import test from "node:test";
import { Sheets } from "./sheets.js";

const ABOUT = { height: 10, width: 8, columns: 4, per_sheet: 12, sheets: ["one", "two", "three"] };
const fetched = [];
const drawn = [];
const context = () => ({ clearRect() {}, drawImage: (...args) => drawn.push(args) });
globalThis.window = { location: { href: "http://here/" } };
globalThis.document = { createElement: () => ({ getContext: context }) };
globalThis.createImageBitmap = async (name) => ({ name, width: 2000, height: 2000, close() { this.closed = true; } });
globalThis.fetch = async (url) => {
  fetched.push(url);
  return { ok: !url.endsWith("three"), blob: async () => url.split("/").pop() };
};
const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

test("a row's tile is found by counting along the lines of its sheet", () => {
  const sheets = new Sheets(ABOUT, "/blob");
  assert.deepEqual(sheets.tile(0), { sheet: 0, x: 0, y: 0 });
  assert.deepEqual(sheets.tile(5), { sheet: 0, x: 8, y: 10 });
  assert.deepEqual(sheets.tile(23), { sheet: 1, x: 24, y: 20 });
});

test("a picture that is not there yet is drawn when its sheet has come, fetched once for all", async () => {
  const sheets = new Sheets(ABOUT, "/blob");
  fetched.length = drawn.length = 0;
  const target = context();
  let told = 0;
  const later = () => told++;
  assert.equal(sheets.draw(target, 5, 1, 2, 16, 20, later), false);
  assert.equal(sheets.draw(target, 6, 1, 2, 16, 20, later), false);
  await soon();
  assert.deepEqual(fetched, ["http://here/blob/one"]);
  assert.equal(told, 1);
  drawn.length = 0;
  assert.equal(sheets.draw(target, 5, 1, 2, 16, 20), true);
  assert.deepEqual(drawn[0].slice(3), [8, 10, 1, 2, 16, 20]);
  assert.equal(sheets.draw(target, 11, 0, 0, 8, 10), true); // same sheet, not asked for before
});

test("a sheet that is gone leaves a gap and no error", async () => {
  const sheets = new Sheets(ABOUT, "/blob");
  assert.equal(sheets.draw(context(), 24, 0, 0, 8, 10), false);
  await soon();
  assert.equal(sheets.draw(context(), 24, 0, 0, 8, 10), false);
});

test("decoded sheets are let go when they take too much memory, single pictures stay", async () => {
  const sheets = new Sheets({ ...ABOUT, sheets: Array.from({ length: 20 }, (_, i) => `s${i}`) }, "/blob");
  const first = 0;
  for (let sheet = 0; sheet < 20; sheet++) {
    sheets.draw(context(), sheet * 12, 0, 0, 8, 10);
    await soon();
  }
  assert.ok(sheets.bitmaps.size * 4 * 2000 * 2000 <= 256 * 2 ** 20);
  assert.ok(!sheets.bitmaps.has(0));
  assert.equal(sheets.draw(context(), first, 0, 0, 8, 10), true);
});

test("all parts of a page share the sheets of an atlas", async () => {
  const about = { ...ABOUT, sheets: ["shared", "two"] };
  assert.equal(Sheets.of(about, "/blob"), Sheets.of({ ...about }, "/blob"));
  assert.notEqual(Sheets.of(about, "/blob"), Sheets.of({ ...about, sheets: ["other"] }, "/blob"));
  fetched.length = 0;
  for (let part = 0; part < 3; part++) Sheets.of(about, "/blob").draw(context(), part, 0, 0, 8, 10);
  await soon();
  assert.deepEqual(fetched, ["http://here/blob/shared"]);
});

test("sheets are brought in advance only as long as they are wanted", async () => {
  fetched.length = 0;
  await new Sheets(ABOUT, "/blob").prefetch(() => fetched.length < 2);
  assert.deepEqual(fetched, ["http://here/blob/one", "http://here/blob/two"]);
});

test("the tile canvas takes turns when it is full", async () => {
  const sheets = new Sheets({ ...ABOUT, per_sheet: 100 }, "/blob");
  sheets.capacity = 3;
  sheets.draw(context(), 0, 0, 0, 8, 10);
  await soon();
  for (const row of [1, 2, 3, 1, 4]) assert.equal(sheets.draw(context(), row, 0, 0, 8, 10), true);
  assert.deepEqual([...sheets.places.keys()], [3, 1, 4]);
  assert.equal(new Set(sheets.places.values()).size, 3);
});
