import assert from "node:assert/strict";
import test from "node:test";
import { conditions, EVERYTHING, isEverything, passing } from "./filter.js";
import { addressOf, shuffled, Table, unpackScore } from "./table.js";

globalThis.window = { location: { href: "http://here/page?x=1" } };
const MANIFEST = {
  n: 5,
  classes: ["a", "b"],
  splits: ["train", "validation", "test"],
  views: [{ name: "infovae", key: "z" }],
  codes: { key: "codes", kind: "u1" },
  ids: { key: "ids", kind: "i4" },
  chart: null,
  scores: [{ name: "log_error", key: "score", low: -4, high: 0 }],
};
const FILES = {
  m: new TextEncoder().encode(JSON.stringify(MANIFEST)),
  codes: Uint8Array.of(0, 1, 0, 2, 1, 0, 1, 1, 0, 1, 0, 0, 1, 2, 2),
  ids: Int32Array.of(10, 11, 12, 13, 14),
  z: Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 4, 4),
  score: Uint16Array.of(0, 65534, 32767, 65535, 16384),
};
globalThis.fetch = async (url) => {
  const found = FILES[url.split("/").pop()];
  return { ok: Boolean(found), status: found ? 200 : 404, arrayBuffer: async () => found.buffer.slice(found.byteOffset, found.byteOffset + found.byteLength) };
};

test("rows and slots are each other's inverse and every column follows", async () => {
  const table = await Table.load("/base", "m");
  const { x } = table.views.get("infovae");
  const score = await table.score("log_error");
  for (let row = 0; row < 5; row++) {
    const slot = table.slots[row];
    assert.equal(table.rows[slot], row);
    assert.equal(x[slot], row);
    assert.equal(table.ids[slot], 10 + row);
    assert.equal(table.slotById.get(10 + row), slot);
    assert.equal(table.label[slot], FILES.codes[row]);
    assert.equal(table.split[slot], FILES.codes[10 + row]);
  }
  assert.equal(score[table.slots[0]], -4);
  assert.equal(score[table.slots[1]], 0);
  assert.ok(Number.isNaN(score[table.slots[3]]));
});

test("right, wrong and unlabelled are told apart", async () => {
  const table = await Table.load("/base", "m");
  assert.deepEqual([0, 1, 2, 3, 4].map((row) => table.correct[table.slots[row]]), [1, 1, 0, 2, 1]);
  assert.deepEqual([...table.wrong].map((slot) => table.rows[slot]), [2]);
});

test("class centres are medians of their own members", async () => {
  const table = await Table.load("/base", "m");
  const byCode = new Map(table.centres("infovae", "label").map((entry) => [entry.code, entry.x]));
  assert.equal(byCode.get(2), 3);
  assert.ok([0, 2].includes(byCode.get(0)));
});

test("filters join by and", async () => {
  const table = await Table.load("/base", "m");
  const score = await table.score("log_error");
  const rows = (filter) => [0, 1, 2, 3, 4].filter((row) => passing(table, { ...EVERYTHING, ...filter }, score)[table.slots[row]]);
  assert.deepEqual(rows({}), [0, 1, 2, 3, 4]);
  assert.deepEqual(rows({ label: 1 }), [1, 4]);
  assert.deepEqual(rows({ label: 1, split: 2 }), [4]);
  assert.deepEqual(rows({ wrong: true }), [2]);
  assert.deepEqual(rows({ low: -2.5 }), [1, 2]); // the sample without a value has no place in a range
  assert.deepEqual(rows({ only: { by: "correct", codes: [0, 2] } }), [2, 3]);
});

test("a filter counts its conditions", () => {
  assert.ok(isEverything({ ...EVERYTHING }));
  assert.equal(conditions({ ...EVERYTHING, label: 0, wrong: true, low: -3, high: -1 }), 3);
});

test("shuffling is a permutation and the same every time", () => {
  const order = shuffled(1000);
  assert.deepEqual([...order].sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
  assert.deepEqual(order, shuffled(1000));
  assert.notDeepEqual(order, shuffled(1000, 2));
});

test("addresses are resolved against the page, scores against their range", () => {
  assert.equal(addressOf("/introspect/blob", "abc"), "http://here/introspect/blob/abc");
  assert.deepEqual([...unpackScore(Uint16Array.of(0, 65534), -3, 5)], [-3, 5]);
});

test("a part that is gone is told in a sentence", async () => {
  await assert.rejects(Table.load("/base", "nothing"), /404.*Reload the page/);
});
