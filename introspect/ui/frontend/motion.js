// Movement with a beginning and an end: flights of the window, and dots walking to another projection.

const ease = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);

export class Motion {
  constructor(redraw) {
    this.redraw = redraw;
    this.morphing = false;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  }

  /** Calls step(share) on every frame until share is 1. */
  run(milliseconds, step, done = () => {}) {
    this.stop();
    if (this.calm.matches) {
      step(1);
      done();
      this.redraw();
      return;
    }
    const started = performance.now();
    this.finish = () => {
      step(1);
      done();
    };
    const frame = (now) => {
      const share = Math.min(1, Math.max(0, (now - started) / milliseconds));
      if (share === 1) return this.stop();
      step(ease(share));
      this.redraw();
      this.frame = requestAnimationFrame(frame);
    };
    this.frame = requestAnimationFrame(frame);
  }

  /** Ends what moves, at its end. */
  stop() {
    cancelAnimationFrame(this.frame);
    const { finish } = this;
    this.finish = null;
    if (finish) {
      finish();
      this.redraw();
    }
  }

  fly(view, target, milliseconds = 550) {
    this.stop();
    const start = { x: view.x, y: view.y, zoom: view.zoom };
    this.run(milliseconds, (share) => {
      const zoom = start.zoom * (target.zoom / start.zoom) ** share;
      view.set(start.x + (target.x - start.x) * share, start.y + (target.y - start.y) * share, zoom);
    });
  }

  zoom(view, px, py, factor) {
    this.stop();
    let done = 1;
    this.run(180, (share) => {
      view.zoomAt(px, py, factor ** share / done);
      done = factor ** share;
    });
  }

  /** Every dot goes from its old place to its new one while the window goes to the new home. */
  morph(map, from, to, extent) {
    this.stop();
    const { view, points } = map;
    const before = { ...view.home(), extent: view.extent };
    const start = { x: view.x, y: view.y, scale: view.scale };
    const x = new Float32Array(from.x.length);
    const y = new Float32Array(from.y.length);
    view.extent = extent;
    const end = view.home();
    this.morphing = true;
    Object.assign(points, { x, y });
    const step = (share) => {
      for (let i = 0; i < x.length; i++) {
        x[i] = from.x[i] + (to.x[i] - from.x[i]) * share;
        y[i] = from.y[i] + (to.y[i] - from.y[i]) * share;
      }
      view.x = start.x + (end.x - start.x) * share;
      view.y = start.y + (end.y - start.y) * share;
      view.scale = start.scale * (end.scale / start.scale) ** share;
      map.faded = share ** 2;
    };
    this.run(Math.min(1200, 900 * Math.max(1, before.scale / start.scale)), step, () => {
      this.morphing = false;
      map.faded = 1;
      Object.assign(points, { x: to.x, y: to.y });
    });
  }
}
