import assert from "node:assert/strict";
import test from "node:test";
import { mounted, remover } from "./mounting.js";

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

test("a part is made once for its place, brought up to date by every call, and made anew when it has left", async () => {
  const told = [];
  class Place {
    constructor(parent) {
      told.push(["made", parent.name]);
      this.host = { remove: () => told.push(["removed", parent.name]) };
    }

    async update({ data }) {
      told.push(["update", data]);
    }

    dispose() {
      told.push(["disposed"]);
    }
  }
  const mount = mounted(Place);
  const parentElement = { name: "a" };
  const overtaken = await mount({ parentElement, data: 1 });
  const latest = await mount({ parentElement, data: 2 });
  overtaken();
  assert.deepEqual(told.splice(0), [["made", "a"], ["update", 1], ["update", 2]]);
  latest();
  await mount({ parentElement, data: 3 });
  assert.deepEqual(told, [["disposed"], ["removed", "a"], ["made", "a"], ["update", 3]]);
});
