// Playing through snapshots: where between them the film is at a moment. Time is handed in, so that it can be tested.

export const RATE = 2; // snapshots a second at speed 1
export const HOLD = 1.2; // seconds that a loop rests on the last snapshot
export const SPEEDS = [0.25, 0.5, 1, 2, 4];

export class Film {
  /**
   * @param last index of the last snapshot
   * @param show called when the place has changed
   */
  constructor(last, show) {
    Object.assign(this, { last, show, at: 0, speed: 1, loop: false, playing: false });
    this.calm = false; // for those who asked their system for less motion: from snapshot to snapshot
  }

  get rate() {
    return this.speed * RATE;
  }

  /** Starts; at the end it starts over. */
  play(now) {
    if (this.at >= this.last) this.set(0);
    this.playing = this.last > 0;
    this.restart(now);
  }

  pause() {
    this.playing = false;
  }

  restart(now) {
    this.from = { at: this.at, now };
  }

  /** Changes the speed without a jump. */
  haste(speed, now) {
    this.speed = speed;
    this.restart(now);
  }

  set(at) {
    const next = Math.min(this.last, Math.max(0, at));
    if (next === this.at) return;
    this.at = next;
    this.show(next);
  }

  /** To the snapshot before (-1) or after (+1) this place. */
  step(by) {
    const near = Math.round(this.at);
    const on = Math.abs(near - this.at) < 1e-6;
    this.set(on ? near + by : by > 0 ? Math.floor(this.at) + by : Math.ceil(this.at) + by);
  }

  /** To be called on every frame while playing; answers whether to go on. */
  tick(now) {
    if (!this.playing) return false;
    let at = this.from.at + ((now - this.from.now) / 1000) * this.rate;
    if (this.loop) at %= this.last + HOLD * this.rate;
    this.set(this.calm ? Math.floor(at) : at);
    if (!this.loop && this.at >= this.last) this.pause();
    return this.playing;
  }
}
