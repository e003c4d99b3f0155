// Hands on the moving map: point, press, drag, wheel, pinch and keys.

const CLICK = 4; // pixels a press may wander and still count as one

export class Hands {
  /** @param evolution an Evolution */
  constructor(evolution) {
    Object.assign(this, { evolution, fingers: new Map(), wandered: 0 });
    const { stage, node } = evolution;
    const on = (name, act, options) => stage.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.drop);
    on("pointerleave", () => evolution.hover(-1));
    on("wheel", this.wheel, { passive: false });
    on("dblclick", (event) => this.mine(event) && evolution.zoom(2, ...this.spot(event)));
    node.addEventListener("keydown", (event) => this.key(event));
  }

  /** Panels lie on the stage; what happens on them is theirs. */
  mine(event) {
    return event.composedPath()[0]?.tagName === "CANVAS";
  }

  spot(event) {
    const box = this.evolution.stage.getBoundingClientRect();
    return [event.clientX - box.left - 1, event.clientY - box.top - 1]; // without the border
  }

  down(event) {
    if (!this.mine(event) || event.button > 0) return;
    this.evolution.stage.setPointerCapture(event.pointerId);
    this.evolution.stage.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, this.spot(event));
    if (this.fingers.size === 1) this.wandered = 0;
  }

  move(event) {
    const { evolution, fingers } = this;
    const now = this.spot(event);
    const last = fingers.get(event.pointerId);
    if (!last) return evolution.hover(this.mine(event) ? evolution.nearest(...now) : -1);
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()];
      const gap = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (this.gap) evolution.zoom(gap / this.gap, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      this.gap = gap;
      this.wandered = Infinity;
      return;
    }
    this.wandered += Math.hypot(now[0] - last[0], now[1] - last[1]);
    if (this.wandered <= CLICK) return;
    evolution.stage.classList.add("dragging");
    evolution.pan(now[0] - last[0], now[1] - last[1]);
  }

  up(event) {
    const held = this.fingers.has(event.pointerId);
    this.drop(event);
    if (held && this.wandered <= CLICK) this.evolution.pin(this.evolution.nearest(...this.spot(event), 14));
  }

  drop(event) {
    this.fingers.delete(event.pointerId);
    this.gap = null;
    this.evolution.stage.classList.remove("dragging");
  }

  wheel(event) {
    const { evolution } = this;
    // The page scrolls past the map; who has pressed it, or holds Ctrl, means the map.
    if (!this.mine(event) || (!event.ctrlKey && !event.metaKey && !evolution.stage.matches(":focus"))) return;
    event.preventDefault();
    evolution.zoom(Math.exp(-event.deltaY / 300), ...this.spot(event));
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { evolution } = this;
    const { run, view } = evolution;
    const { tagName, type } = event.composedPath()[0];
    const pressed = tagName === "BUTTON" || type === "checkbox";
    if (tagName === "SELECT" || (pressed && (event.key === " " || event.key === "Enter"))) return;
    const far = event.shiftKey ? 5 : 1;
    const turn = {
      " ": () => evolution.toggle(),
      ArrowRight: () => evolution.step(far),
      ArrowLeft: () => evolution.step(-far),
      Home: () => evolution.jump(0),
      End: () => evolution.jump(run.last),
      Enter: () => evolution.pin(evolution.hovered >= 0 ? evolution.hovered : evolution.nearest(view.width / 2, view.height / 2, 400)),
      Escape: () => (evolution.pinned >= 0 ? evolution.pin(-1) : evolution.isolate(null)),
      "+": () => evolution.zoom(1.4),
      "=": () => evolution.zoom(1.4),
      "-": () => evolution.zoom(1 / 1.4),
      0: () => evolution.home(),
    }[event.key];
    if (!turn) return;
    event.preventDefault();
    event.stopPropagation();
    turn();
  }
}
