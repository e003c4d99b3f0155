import assert from "node:assert/strict";
import test from "node:test";
import { CALM, Clock, RATE } from "./attack_player_clock.js";
import { Attack, halves, stallText } from "./attack_player_data.js";
import { divergingPixels, facts, pictureBytes, strongest } from "./attack_player_panels.js";

/** Two targets, four points each, three classes, one 2 × 2 picture. */
function small(change = {}) {
  const manifest = {
    classes: ["a", "<b>b</b>", "c"], targets: [1, 2], steps: 4, shape: [1, 2, 2], frames: [0, 1, 2, 3], largest: [0.5, 0.25],
    source: 0, success: [2, -1], alarm: [1, -1], threshold: -1, wide: false, pictures: true, ...change,
  };
  const half = new Map([[0, 0], [1, 0x3c00], [0.5, 0x3800], [0.25, 0x3400]]);
  const answers = [[1, 0, 0], [0.5, 0.25, 0], [0.25, 0.5, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0.25], [1, 0, 0.25]];
  const z = [0, 0, 1, 0, 2, 0, 3, 0, 0, 0, 0, 1, 0, 2, 0, 3];
  const series = [...z, ...[-3, 0, 0, 0, -3, -3, -3, -3], ...Array(8).fill(-4), ...[0, 0.1, 0.2, 0.5, 0, 0.1, 0.2, 0.25], ...Array(8).fill(1), ...Array(8).fill(0)];
  const delta = new Int8Array(2 * manifest.frames.length * 4);
  delta[4] = 127;
  delta[5] = -127;
  return new Attack(manifest, {
    clean: Float32Array.of(0, 0.25, 0.5, 1).buffer,
    delta: delta.buffer,
    outputs: Uint16Array.from(answers.flat(), (v) => half.get(v)).buffer,
    predicted: Uint16Array.of(0, 0, 1, 1, 0, 0, 0, 0).buffer,
    series: Float32Array.from(series).buffer,
    places: Float32Array.of(0, 1, 2, 0, 1, 2).buffer,
    codes: Uint8Array.of(0, 1, 2).buffer,
    chart: null,
  });
}

test("half floats are read as IEEE 754 has them", () => {
  const bits = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x7c00, 0x8000);
  const wanted = [0, 1, -2, 0.333251953125, 2 ** -24, 65504, Infinity, -0];
  assert.deepEqual([...halves(bits)], wanted);
  assert.ok(Number.isNaN(halves(Uint16Array.of(0x7e00))[0]));
});

test("every step has its place, its answer and its class", () => {
  const attack = small();
  assert.deepEqual(attack.place(0, 3), [3, 0]);
  assert.deepEqual(attack.place(1, 2), [0, 2]);
  assert.equal(attack.output(0, 2, 1), 0.5);
  assert.deepEqual([...attack.predicted], [0, 0, 1, 1, 0, 0, 0, 0]);
});

test("what was added is read back in its own unit", () => {
  const { levels, unit } = small().perturbation(0, 1);
  assert.deepEqual([...levels].map((level) => level * unit), [0.5, -0.5, 0, 0]);
});

test("a step whose picture did not travel shows the last one that did", () => {
  const attack = small({ frames: [0, 2] });
  assert.deepEqual([...attack.frameOf], [0, 0, 1, 1]);
  assert.equal(attack.perturbation(1, 3).levels.byteOffset, 3 * 4);
});

test("the picture is the clean one and what was added, never outside 0 to 255", () => {
  const clean = Float32Array.of(0, 0.25, 0.5, 1);
  const bytes = pictureBytes(clean, Int8Array.of(127, -127, 0, 127), 0.5 / 127, 1, 0, 1, new Uint8ClampedArray(16));
  assert.deepEqual([0, 1, 2, 3].map((i) => bytes[4 * i]), [128, 0, 128, 255]);
  assert.deepEqual([bytes[0], bytes[1], bytes[2], bytes[3]], [128, 128, 128, 255]);
});

test("of three colours the one that moves most is shown", () => {
  assert.deepEqual([...strongest(Int8Array.of(1, 5, -3, 2, 2, -9), 3, 2, new Int8Array(2))], [-3, -9]);
});

test("less and more have different colours, nothing is the ground, strength grows both ways", () => {
  const ramp = divergingPixels({ background: [255, 255, 255], text: [20, 20, 20], dark: false });
  const channels = (i) => [ramp[i] & 255, (ramp[i] >>> 8) & 255, (ramp[i] >>> 16) & 255];
  assert.ok(channels(127).every((v) => v > 240));
  assert.ok(channels(0)[2] > channels(0)[0] && channels(254)[0] > channels(254)[2]);
  for (let i = 128; i < 254; i++) assert.ok(channels(i + 1)[2] <= channels(i)[2]);
});

test("the path that passes nearest is found, none out of reach", () => {
  const attack = small();
  const toPixel = (x, y) => [10 * x, 10 * y];
  assert.equal(attack.nearest(28, 1, toPixel, 5), 0);
  assert.equal(attack.nearest(1, 28, toPixel, 5), 1);
  assert.equal(attack.nearest(99, 99, toPixel, 5), -1);
});

test("the window of the paths holds every step", () => {
  const [x0, x1, y0, y1] = small().extent();
  assert.ok(x0 < 0 && x1 > 3 && y0 < 0 && y1 > 3);
});

test("few classes have a bar each, of many the source, the target and the highest", () => {
  assert.deepEqual(small().worth(0), [0, 1, 2]);
  const codes = small().worth(1, 2);
  assert.deepEqual(codes, [0, 2]);
});

test("what became of a target is told in words", () => {
  const attack = small();
  assert.equal(attack.fate(0).text, "reached at step 2, alarm at step 1");
  assert.equal(attack.fate(1).text, "not reached in 3 steps, no alarm");
  assert.ok(small({ source: 1, success: [0, -1] }).fate(0).own);
});

test("a stalled gradient is said, a lively or unknown one is not", () => {
  assert.match(stallText(1), /all of the inputs .* stands still/);
  assert.match(stallText(0.75), /75 % of the inputs/);
  assert.equal(stallText(0.2), "");
  assert.equal(stallText(NaN), "");
});

test("the figures of a step have units", () => {
  const told = Object.fromEntries(facts(small(), 0, 3).map(([name, value]) => [name, value]));
  assert.equal(told["L∞"], "0.500 (128 of 255 grey levels)");
  assert.equal(told["ê(z)"], "1.0 × 10⁻⁴ (−4.00)");
});

test("playing shows every step in time and stops at the end", () => {
  const seen = [];
  const clock = new Clock(10, (step) => seen.push(step));
  clock.play(0);
  for (let now = 0; clock.tick(now); now += 1000 / 60) assert.ok(now < 5000);
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.equal(clock.playing, false);
  clock.play(9000);
  assert.equal(clock.step, 0);
});

test("a slow machine drops steps, not time", () => {
  const seen = [];
  const clock = new Clock(100, (step) => seen.push(step));
  clock.play(0);
  clock.tick(1000);
  assert.deepEqual(seen, [RATE]);
});

test("another speed goes on from where it is", () => {
  const clock = new Clock(100, () => {});
  clock.play(0);
  clock.tick(1000);
  clock.haste(2, 1000);
  clock.tick(1500);
  assert.equal(clock.step, 2 * RATE);
});

test("less motion means fewer steps a second", () => {
  const clock = new Clock(100, () => {});
  clock.calm = true;
  clock.play(0);
  clock.tick(1000);
  assert.equal(clock.step, CALM);
  assert.ok(CALM <= 3);
});

test("no step lies before the first or behind the last", () => {
  const clock = new Clock(5, () => {});
  clock.set(99);
  assert.equal(clock.step, 5);
  clock.set(-3);
  assert.equal(clock.step, 0);
});
