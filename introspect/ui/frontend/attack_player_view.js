// The attack player: one step at a time, everything on the page follows it. Nothing here asks the server.

import { Clock, SPEEDS } from "./attack_player_clock.js";
import { stallText } from "./attack_player_data.js";
import { PathMap } from "./attack_player_map.js";
import { Bars, facts, Pictures, Sparkline, Units } from "./attack_player_panels.js";
import { hex, readTheme } from "./colour.js";
import { el } from "./element.js";

const SHAPES = {
  play: "M8 5.5v13l10.500-6.500z",
  pause: "M8 5.500v13M16 5.500v13",
  first: "M18 6l-8.500 6 8.500 6zM6 6v12",
  back: "M15.500 6 7 12l8.500 6",
  on: "M8.500 6l8.500 6-8.500 6",
  end: "M6 6l8.500 6L6 18zM18 6v12",
};

function glyph(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

function button(name, title, onclick) {
  return el("button", { type: "button", class: "player-button", "aria-label": title, title, onclick }, glyph(name));
}

const live = new Set(); // the players of a page move together

export class AttackPlayer {
  /**
   * @param parent where it is built
   * @param attack an Attack
   * @param kept {step, target, speed}: where it stood when it was last seen
   */
  constructor(parent, attack, kept = {}) {
    this.attack = attack;
    this.last = attack.steps - 1;
    const { success } = attack.manifest;
    const soonest = success.reduce((best, step, i) => (step > 0 && (best < 0 || step < success[best]) ? i : best), -1);
    this.target = kept.target ?? Math.max(0, soonest);
    this.clock = new Clock(this.last, () => this.redraw());
    this.clock.step = Math.min(this.last, kept.step ?? 0);
    this.clock.speed = kept.speed ?? 1;
    this.record = { ready: false, frames: 0, step: this.clock.step, target: this.target, playing: false };
    this.media = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.clock.calm = this.media.matches;
    this.build(parent);
    this.takeTheme();
    this.measure();
    this.choose(this.target);
    this.watch();
    this.record.ready = true;
    live.add(this);
  }

  build(parent) {
    const { attack, last } = this;
    this.map = new PathMap(this);
    this.pictures = new Pictures(attack);
    this.pictures.again = () => this.redraw();
    this.bars = new Bars(attack);
    this.spark = new Sparkline(this);
    this.units = attack.units ? new Units(attack) : null;
    this.range = el("input", { type: "range", min: 0, max: last, step: 1, value: this.clock.step, class: "player-range", "aria-label": "Step of the attack" });
    this.range.addEventListener("input", () => {
      this.pause();
      this.seek(Number(this.range.value));
    });
    this.play = button("play", "Play (space)", () => this.toggle());
    this.count = el("span", { class: "player-count" });
    this.speed = el(
      "select",
      { class: "player-speed", "aria-label": "Speed", onchange: () => this.clock.haste(Number(this.speed.value), performance.now()) },
      ...SPEEDS.map((speed) => el("option", { value: speed, selected: speed === this.clock.speed }, `× ${speed}`)),
    );
    this.facts = el("dl", { class: "player-facts" });
    this.values = facts(attack, 0, 0).map(([name, , help]) => {
      const value = el("dd", {});
      this.facts.append(el("div", { title: help }, el("dt", {}, name), value));
      return value;
    });
    this.notice = el("div", { class: "player-notice", role: "status" });
    this.told = el("div", { class: "player-told", "aria-live": "polite" });
    this.chips = attack.targets.map((code, target) => this.chip(code, target));
    const chips = el("div", { class: "player-chips", role: "radiogroup", "aria-label": "Target class" }, ...this.chips);
    this.buttons = el("span", { class: "player-buttons" }, button("first", "To the start (Home)", () => this.jump(0)), button("back", "One step back (left arrow)", () => this.jump(this.clock.step - 1)), this.play, button("on", "One step on (right arrow)", () => this.jump(this.clock.step + 1)), button("end", "To the end (End)", () => this.jump(last)));
    const bar = el("div", { class: "player-transport" }, this.buttons, this.count, this.speed, this.facts);
    this.node = el(
      "div",
      { class: "player", tabindex: 0, role: "group", "aria-label": "Attack player. Space plays, left and right arrows step, Home and End jump, up and down arrows choose the target." },
      el("div", { class: "player-head" }, el("span", { class: "player-title" }, "Target"), chips),
      this.told,
      el("div", { class: "player-body" }, this.map.node, el("div", { class: "player-side" }, this.pictures.node, this.bars.node), this.units?.node),
      el("div", { class: "player-time" }, this.spark.head, this.spark.node, this.range),
      bar,
      this.notice,
      el(
        "div",
        { class: "player-key" },
        ...[["✚", "start"], ["●", "target reached"], ["×", "not reached by the last step"], ["◆", "alarm"]].map(([sign, name]) => el("span", {}, el("b", {}, sign), ` ${name}`)),
        el("span", {}, el("i", { class: "solid" }), "ê(h), from all activations"),
        el("span", {}, el("i", {}), "ê(z), from the place on the map"),
      ),
      el("i", { class: "player-sentinel", "aria-hidden": "true" }),
    );
    this.node.addEventListener("keydown", (event) => this.key(event));
    parent.replaceChildren(this.node);
  }

  chip(code, target) {
    const { attack } = this;
    const { success, alarm } = attack.manifest;
    const fate = attack.fate(target);
    const goal = fate.own ? "own class" : success[target] < 0 ? "×" : `● ${success[target]}`;
    const swatch = el("i", { class: "player-swatch" });
    const node = el(
      "button",
      { type: "button", class: `player-chip${fate.reached ? "" : " missed"}`, role: "radio", "aria-checked": "false", title: fate.text, "aria-label": `${attack.classes[code]}: ${fate.text}`, onclick: () => this.choose(target) },
      swatch,
      el("b", {}, attack.classes[code]),
      el("span", {}, goal),
      alarm[target] < 0 ? null : el("span", { class: "alarm" }, `◆ ${alarm[target]}`),
    );
    node.swatch = swatch;
    return node;
  }

  watch() {
    this.sizes = new ResizeObserver(() => {
      this.measure();
      this.redraw(true);
    });
    this.sizes.observe(this.map.node);
    this.sizes.observe(this.spark.node);
    const follow = () => {
      this.takeTheme();
      this.choose(this.target);
    };
    // A colour transition on the sentinel tells that the page's theme has changed.
    this.node.querySelector(".player-sentinel").addEventListener("transitionend", () => JSON.stringify(readTheme(this.node)) !== this.seen && follow());
    this.calm = () => {
      this.clock.calm = this.media.matches;
      this.clock.restart(performance.now());
    };
    this.media.addEventListener("change", this.calm);
  }

  takeTheme() {
    const theme = readTheme(this.node);
    this.seen = JSON.stringify(theme);
    this.theme = theme;
    this.map.takeTheme(theme);
    this.pictures.takeTheme(theme);
    this.units?.takeTheme(theme, this.map.colours);
    this.attack.targets.forEach((code, target) => {
      this.chips[target].swatch.style.background = hex(this.map.colours[code]);
    });
  }

  measure() {
    const ratio = window.devicePixelRatio || 1;
    this.map.measure(ratio);
    this.spark.measure(ratio);
  }

  // ---- what a person does -------------------------------------------------------------------

  choose(target) {
    this.target = target;
    this.chips.forEach((chip, i) => {
      chip.setAttribute("aria-checked", String(i === target));
      chip.tabIndex = i === target ? 0 : -1;
    });
    const chip = this.chips[target];
    const list = chip.parentElement;
    if (list && list.scrollHeight > list.clientHeight) list.scrollTop = chip.offsetTop - list.offsetTop - list.clientHeight / 2;
    this.bars.choose(target, this.map.colours);
    this.told.replaceChildren(...this.story(target));
    this.redraw(true);
  }

  story(target) {
    const { attack } = this;
    const { success, alarm } = attack.manifest;
    const fate = attack.fate(target);
    const name = el("b", {}, attack.classes[attack.targets[target]]);
    if (fate.own) return ["Towards ", name, ", the sample's own class: the network is only made surer. ", `${fate.warned}.`.replace(/^./, (c) => c.toUpperCase())];
    const parts = ["Towards ", name, `: ${fate.goal}`];
    if (success[target] > 0) {
      const at = attack.at(target, success[target]);
      parts.push(` (L∞ ${attack.linf[at].toFixed(3)}, L2 ${attack.l2[at].toFixed(2)})`);
    }
    const gap = success[target] - alarm[target];
    const when = success[target] > 0 && alarm[target] >= 0 ? (gap > 0 ? `, ${gap} ${gap === 1 ? "step" : "steps"} before` : gap < 0 ? `, ${-gap} ${gap === -1 ? "step" : "steps"} too late` : ", at the same step") : "";
    parts.push(`; ${fate.warned}${when}.`);
    return parts;
  }

  seek(step) {
    if (Number.isFinite(step)) this.clock.set(step);
  }

  jump(step) {
    this.pause();
    this.seek(step);
  }

  toggle() {
    if (this.clock.playing) return this.pause();
    this.clock.play(performance.now());
    this.follow();
    this.run();
  }

  pause() {
    this.clock.pause();
    this.follow();
  }

  /** The play button says what a press would do. */
  follow() {
    const { playing } = this.clock;
    if (this.record.playing === playing) return;
    this.record.playing = playing;
    const title = playing ? "Pause (space)" : "Play (space)";
    this.play.replaceChildren(glyph(playing ? "pause" : "play"));
    this.play.setAttribute("aria-label", title);
    this.play.title = title;
  }

  run() {
    cancelAnimationFrame(this.running);
    this.running = requestAnimationFrame((now) => {
      if (this.clock.tick(now)) this.run();
      else this.follow();
    });
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { step } = this.clock;
    const inside = event.composedPath()[0];
    const tag = inside.tagName;
    if (tag === "SELECT" || (tag === "BUTTON" && (event.key === " " || event.key === "Enter"))) return;
    const far = event.shiftKey ? 10 : 1;
    const count = this.attack.targets.length;
    const turn = {
      ArrowRight: () => this.jump(step + far),
      ArrowLeft: () => this.jump(step - far),
      ArrowDown: () => this.choose((this.target + 1) % count),
      ArrowUp: () => this.choose((this.target + count - 1) % count),
      Home: () => this.jump(0),
      End: () => this.jump(this.last),
      " ": () => this.toggle(),
    }[event.key];
    if (!turn) return;
    event.preventDefault();
    event.stopPropagation();
    turn();
    if (this.chips.includes(inside)) this.chips[this.target].focus();
  }

  // ---- drawing ------------------------------------------------------------------------------

  redraw(all = false) {
    this.stale = this.stale || all;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const started = performance.now();
    const { target, attack } = this;
    const { step } = this.clock;
    if (!this.led) for (const other of live) if (other !== this) other.lead(step, attack.targets[target]);
    this.led = false;
    if (this.stale) {
      this.map.paintBase(target);
      this.spark.paint(target, this.theme, this.map.colours);
      this.stale = false;
    }
    this.map.paintOver(target, step);
    this.pictures.show(target, step);
    this.bars.show(target, step);
    this.units?.show(target, step);
    this.spark.show(target, step);
    if (Number(this.range.value) !== step) this.range.value = step;
    const at = attack.at(target, step);
    const says = attack.classes[attack.predicted[at]];
    this.range.setAttribute("aria-valuetext", `step ${step} of ${this.last}, the network says ${says}`);
    this.count.textContent = `step ${step} of ${this.last}`;
    facts(attack, target, step).forEach(([, value], i) => {
      this.values[i].textContent = value;
    });
    this.facts.classList.toggle("alarmed", attack.log_error[at] > attack.manifest.threshold);
    const stall = stallText(attack.stalled[at]);
    if (stall !== this.stall) {
      this.stall = stall;
      this.notice.textContent = stall;
      this.notice.hidden = !stall;
    }
    this.pictures.now.setAttribute("aria-label", `The sample at step ${step}; the network says ${says}`);
    Object.assign(this.record, { step, target, frames: this.record.frames + 1, drawMs: performance.now() - started });
  }

  /** Goes where another player of the page has gone, as far as this attack has such a step and such a target. */
  lead(step, code) {
    const target = this.attack.targets.indexOf(code);
    const elsewhere = target >= 0 && target !== this.target;
    if (Math.min(step, this.last) === this.clock.step && !elsewhere) return;
    this.led = true;
    this.pause();
    if (elsewhere) this.choose(target);
    this.seek(step);
  }

  get kept() {
    return { step: this.clock.step, target: this.target, speed: this.clock.speed };
  }

  dispose() {
    live.delete(this);
    this.pause();
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.running);
    this.sizes.disconnect();
    this.media.removeEventListener("change", this.calm);
    this.node.remove();
  }
}
