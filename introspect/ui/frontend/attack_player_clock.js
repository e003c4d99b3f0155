// Playing: which step is due at which moment. Time is handed in, so that it can be tested without waiting.

export const RATE = 20; // steps a second at speed 1
export const CALM = 3; // the same for those who asked their system for less motion
export const SPEEDS = [0.25, 0.5, 1, 2, 4];

export class Clock {
  /**
   * @param last the last step
   * @param show called with the step that is due, only when it has changed
   */
  constructor(last, show) {
    this.last = last;
    this.show = show;
    this.step = 0;
    this.speed = 1;
    this.calm = false;
    this.playing = false;
  }

  get rate() {
    return this.speed * (this.calm ? CALM : RATE);
  }

  /** Starts; at the end it starts over. */
  play(now) {
    if (this.step >= this.last) this.set(0);
    this.playing = this.last > 0;
    this.restart(now);
  }

  restart(now) {
    this.from = { step: this.step, now };
  }

  pause() {
    this.playing = false;
  }

  /** Changes the speed without a jump. */
  haste(speed, now) {
    this.speed = speed;
    this.restart(now);
  }

  set(step) {
    const next = Math.min(this.last, Math.max(0, Math.round(step)));
    if (next === this.step) return;
    this.step = next;
    this.show(next);
  }

  /** To be called on every frame while playing; answers whether to go on. */
  tick(now) {
    if (!this.playing) return false;
    this.set(Math.floor(this.from.step + ((now - this.from.now) / 1000) * this.rate));
    if (this.step >= this.last) this.pause();
    return this.playing;
  }
}
