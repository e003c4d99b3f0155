// Hands on the map: drag, wheel, pinch, lasso, box, keys, and files let go over it.

const CLICK = 4; // pixels a press may wander and still count as a click

const MOST_FILES = 8;
const MOST_BYTES = 8 * 2 ** 20;

function toDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

export class Pointer {
  constructor(map, stage) {
    this.map = map;
    this.stage = stage;
    this.fingers = new Map();
    this.drawing = null; // corners of a lasso or box, in pixels
    const on = (name, act, options) => stage.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.cancel);
    on("pointerleave", this.leave);
    on("wheel", this.wheel, { passive: false });
    on("dblclick", (event) => this.overStage(event) && map.zoomAt(...this.place(event), 2));
    on("keydown", this.key);
    on("dragover", this.dragOver);
    on("dragleave", () => stage.classList.remove("dropping"));
    on("drop", this.drop);
  }

  dragOver(event) {
    if (!this.map.send.drops || ![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    this.stage.classList.add("dropping");
  }

  /** Picture files let go over the map are sent to land on it. */
  async drop(event) {
    if (!this.map.send.drops) return;
    event.preventDefault();
    this.stage.classList.remove("dropping");
    const files = [...event.dataTransfer.files].slice(0, MOST_FILES);
    const small = files.filter((file) => file.size <= MOST_BYTES);
    if (small.length < files.length) this.map.stage.notice.say("Pictures of more than 8 MB are not taken; save a smaller one.");
    const sent = await Promise.all(small.map(async (file) => ({ name: file.name, data: await toDataUrl(file) })));
    if (sent.length) this.map.send.trigger("dropped", sent);
  }

  place(event) {
    const box = this.map.stage.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Panels lie on the stage; what happens on them is theirs. */
  overStage(event) {
    return event.composedPath()[0]?.tagName === "CANVAS" && event.composedPath()[0].parentNode === this.stage;
  }

  down(event) {
    if (!this.overStage(event) || event.button > 0) return;
    const at = this.place(event);
    this.stage.setPointerCapture(event.pointerId);
    this.stage.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, at);
    this.start = at;
    this.last = at;
    this.wandered = false;
    if (this.fingers.size > 1) this.drawing = null;
    else if (event.shiftKey || this.map.state.tool === "lasso") this.drawing = { kind: "lasso", corners: [at] };
    else if (this.map.state.tool === "box") this.drawing = { kind: "box", corners: [at, at, at, at] };
    this.map.halt();
  }

  move(event) {
    const at = this.place(event);
    if (!this.fingers.has(event.pointerId)) {
      if (this.overStage(event) && event.pointerType !== "touch") this.map.pointAt(...at, event.timeStamp);
      else this.map.pointAway();
      return;
    }
    if (this.fingers.size === 2) return this.pinch(event.pointerId, at);
    this.fingers.set(event.pointerId, at);
    if (Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) > CLICK) this.wandered = true;
    if (this.drawing) this.extend(at);
    else if (this.wandered) {
      this.map.pointAway();
      this.stage.classList.add("dragging");
      this.map.pan(at[0] - this.last[0], at[1] - this.last[1]);
    }
    this.last = at;
  }

  extend(at) {
    const { kind, corners } = this.drawing;
    if (kind === "lasso") corners.push(at);
    else {
      const [x, y] = corners[0];
      this.drawing.corners = [[x, y], [at[0], y], at, [x, at[1]]];
    }
    this.map.sketch(this.drawing.corners);
  }

  pinch(id, at) {
    const other = [...this.fingers].find(([key]) => key !== id)[1];
    const before = this.fingers.get(id);
    const spread = (a, b) => Math.max(10, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const middle = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    this.wandered = true;
    this.map.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.map.zoomAt(...middle, spread(at, other) / spread(before, other), true);
    this.fingers.set(id, at);
  }

  up(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    this.stage.classList.remove("dragging");
    if (this.fingers.size) {
      [this.last] = this.fingers.values();
      this.wandered = true;
      return;
    }
    const drawn = this.drawing;
    this.drawing = null;
    this.map.sketch(null);
    if (drawn && this.wandered) this.map.enclose(drawn.corners);
    else if (!this.wandered) this.map.press(...this.place(event));
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.drawing = null;
    this.map.sketch(null);
  }

  leave() {
    if (!this.fingers.size) this.map.pointAway();
  }

  wheel(event) {
    if (!this.overStage(event)) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 18 : 1;
    const step = Math.max(-120, Math.min(120, event.deltaY * lines));
    this.map.zoomAt(...this.place(event), Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0022)), true);
  }

  key(event) {
    if (event.target !== this.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const { map } = this;
    const step = event.shiftKey ? 160 : 50;
    const acts = {
      ArrowLeft: () => map.pan(step, 0),
      ArrowRight: () => map.pan(-step, 0),
      ArrowUp: () => map.pan(0, step),
      ArrowDown: () => map.pan(0, -step),
      "+": () => map.zoomBy(1.4),
      "=": () => map.zoomBy(1.4),
      "-": () => map.zoomBy(1 / 1.4),
      _: () => map.zoomBy(1 / 1.4),
      0: () => map.home(),
      Enter: () => map.pinNearest(),
      Escape: () => map.escape(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}
