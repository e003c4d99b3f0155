import assert from "node:assert/strict";
import test from "node:test";
import { remover } from "./mounting.js";

test("only the latest call for a place takes its part away", () => {
  const [parts, parent, gone] = [new WeakMap(), {}, []];
  const overtaken = remover(parts, parent, () => gone.push("overtaken"));
  const latest = remover(parts, parent, () => gone.push("latest"));
  overtaken();
  assert.deepEqual(gone, []);
  latest();
  assert.deepEqual(gone, ["latest"]);
});

test("parts of other kinds and in other places do not overtake one another", () => {
  const [parts, parent, gone] = [new WeakMap(), {}, []];
  const first = remover(parts, parent, () => gone.push("first"));
  remover(new WeakMap(), parent, () => gone.push("other kind"));
  remover(parts, {}, () => gone.push("other place"));
  first();
  assert.deepEqual(gone, ["first"]);
});
