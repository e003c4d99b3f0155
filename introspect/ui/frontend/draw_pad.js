// A pad to draw a picture on: every stroke is sent while it is drawn, at most one message in 150 ms.

import { adopt, el, tool } from "./element.js";
import { remover } from "./mounting.js";
import { centred, shrink, toBase64 } from "./strokes.js";

const SIDE = 280;
const PAUSE = 150;
const KEPT = 30; // strokes that can be undone

const pads = new WeakMap();

class Pad {
  constructor(parent, data) {
    this.shape = data; // {channels, height, width, centre, paper, ink}
    this.strokes = [];
    this.canvas = el("canvas", { class: "pad-canvas", width: SIDE, height: SIDE, role: "img", "aria-label": "Drawing area" });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.preview = el("canvas", { class: "pad-preview", width: data.width, height: data.height, role: "img", "aria-label": "What the network reads" });
    this.hint = el("div", { class: "pad-hint" }, data.hint);
    this.brush = el("input", { type: "range", min: 6, max: 48, value: data.brush ?? 22, "aria-label": "Width of the pen" });
    this.colour = el("input", { type: "color", value: data.ink, "aria-label": "Colour of the pen", hidden: data.channels === 1 });
    this.undoButton = tool("undo", "Undo the last stroke", () => this.undo());
    this.clearButton = tool("trash", "Clear the pad", () => this.clear());
    this.root = el(
      "div",
      { class: "pad" },
      el("div", { class: "pad-area" }, this.canvas, this.hint),
      el(
        "div",
        { class: "pad-side" },
        el("figure", {}, this.preview, el("figcaption", {}, "read as")),
        this.colour,
        this.brush,
        el("div", { class: "pad-tools" }, this.undoButton, this.clearButton),
      ),
    );
    parent.replaceChildren(this.root);
    this.paint();
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => this.up());
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  down(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = { width: Number(this.brush.value), colour: this.colour.value, corners: [this.place(event)] };
    this.strokes.push(this.stroke);
    if (this.strokes.length > KEPT * 4) this.strokes.shift();
    this.paint();
    this.later();
  }

  move(event) {
    if (!this.stroke) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) this.stroke.corners.push(this.place(part));
    this.paint();
    this.later();
  }

  up() {
    if (!this.stroke) return;
    this.stroke = null;
    this.later(true);
  }

  undo() {
    this.strokes.pop();
    this.paint();
    this.later(true);
  }

  clear() {
    this.strokes = [];
    this.paint();
    this.later(true);
  }

  paint() {
    const { context } = this;
    context.fillStyle = this.shape.paper;
    context.fillRect(0, 0, SIDE, SIDE);
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const { width, colour, corners } of this.strokes) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      context.moveTo(...corners[0]);
      for (const corner of corners) context.lineTo(...corner);
      if (corners.length === 1) context.lineTo(corners[0][0] + 0.01, corners[0][1]);
      context.stroke();
    }
    this.hint.hidden = this.strokes.length > 0;
    this.undoButton.disabled = this.clearButton.disabled = !this.strokes.length;
  }

  /** One array of 0..1 per channel, at the size the network reads. */
  read() {
    const { channels, height, width, centre, paper } = this.shape;
    const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
    const bright = paper !== "#000000";
    return Array.from({ length: channels }, (_, channel) => {
      const values = Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + channel] / 255);
      if (!centre) return shrink(values, SIDE, SIDE, [0, 0, SIDE, SIDE], width, height);
      const inked = bright ? values.map((v) => 1 - v) : values;
      const placed = centred(inked, SIDE, SIDE, width, height);
      return bright ? placed.map((v) => 1 - v) : placed;
    });
  }

  show(planes) {
    const { height, width } = this.shape;
    const context = this.preview.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * planes[Math.min(c, planes.length - 1)][i];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /** Sends soon: at once when the pause since the last message is over, or when a stroke ends. */
  later(now = false) {
    const wait = now ? 0 : Math.max(0, PAUSE - (performance.now() - (this.last ?? -PAUSE)));
    if (this.timer && !now) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), wait);
  }

  tell() {
    this.timer = 0;
    this.last = performance.now();
    const planes = this.read();
    this.show(planes);
    const blank = !this.strokes.length;
    const flat = blank ? null : toBase64(planes.flatMap((plane) => [...plane]));
    if (flat === this.sent || (blank && this.sent === undefined)) return;
    this.sent = flat;
    this.turn = (this.turn ?? 0) + 1;
    this.component.setStateValue("drawing", blank ? null : { pixels: flat, turn: this.turn });
  }
}

async function open(parent, data) {
  const host = el("div", {});
  parent.replaceChildren(host);
  await adopt(host, new URL("map.css", import.meta.url).href);
  await adopt(host, new URL("panel.css", import.meta.url).href);
  return new Pad(host, data);
}

export default async function mount(component) {
  const { data, parentElement: parent } = component;
  const leave = remover(pads, parent, () => {
    pads.get(parent)?.pad.then((pad) => clearTimeout(pad.timer));
    pads.delete(parent);
  });
  const key = JSON.stringify([data.channels, data.height, data.width, data.centre, data.paper]);
  if (pads.get(parent)?.key !== key) pads.set(parent, { key, pad: open(parent, data) });
  const pad = await pads.get(parent).pad;
  pad.component = component;
  if (pad.wiped !== undefined && pad.wiped !== data.clear) pad.clear();
  pad.wiped = data.clear;
  return leave;
}
