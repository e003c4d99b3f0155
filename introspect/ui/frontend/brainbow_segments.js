// A choice of one among a few, side by side; arrow keys move it.

import { el } from "./element.js";

/** @param options [[name, text, help], …]; pick(name) is told what was pressed; `choose(name)` shows it. */
export function segments(label, options, chosen, pick) {
  const buttons = options.map(([name, text, help]) =>
    el("button", { type: "button", role: "radio", title: help, "data-name": name, "aria-checked": String(name === chosen), onclick: () => pick(name) }, text),
  );
  const step = (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (!move || at < 0) return;
    event.preventDefault();
    const next = buttons[(at + move + buttons.length) % buttons.length];
    next.focus();
    pick(next.dataset.name);
  };
  const group = el("div", { class: "segments", role: "radiogroup", "aria-label": label, onkeydown: step }, ...buttons);
  group.choose = (name) => {
    for (const button of buttons) {
      button.setAttribute("aria-checked", String(button.dataset.name === name));
      button.tabIndex = button.dataset.name === name ? 0 : -1;
    }
  };
  group.choose(chosen);
  return group;
}
