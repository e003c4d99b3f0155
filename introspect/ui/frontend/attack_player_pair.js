// One sample attacked on two models: two players side by side, one scrubber for both.

import { AttackPlayer } from "./attack_player_view.js";
import { el } from "./element.js";

export class Pair {
  /**
   * @param parent where it is built
   * @param attacks two Attacks on the same sample, the first leads
   * @param kept where it stood when it was last seen, as an AttackPlayer has it
   */
  constructor(parent, attacks, kept = {}) {
    const hosts = attacks.map(() => el("div", {}));
    const sides = attacks.map(({ manifest }, i) => el("section", { class: "player-side-by-side", "aria-label": manifest.atlas }, el("div", { class: "player-model" }, manifest.atlas), hosts[i]));
    this.shared = el("div", { class: "player player-shared", role: "group", "aria-label": "Moves both players. Space plays, left and right arrows step, Home and End jump." });
    this.node = el("div", { class: "player-pair" }, el("div", { class: "player-two" }, ...sides), this.shared);
    parent.replaceChildren(this.node);
    this.players = attacks.map((attack, i) => new AttackPlayer(hosts[i], attack, kept));
    const [first, ...others] = this.players;
    this.shared.append(first.range, el("div", { class: "player-transport" }, first.buttons, first.count, first.speed));
    for (const { node } of others) node.classList.add("follows");
    this.shared.addEventListener("keydown", (event) => first.key(event));
    // A shorter attack stays at its end while the longer one goes on.
    const longest = Math.max(...this.players.map(({ last }) => last));
    if (longest > first.last) others[0].node.classList.remove("follows");
  }

  get record() {
    return this.players[0].record;
  }

  get kept() {
    return this.players[0].kept;
  }

  dispose() {
    for (const player of this.players) player.dispose();
    this.node.remove();
  }
}

/** The player of one attack, or of two. */
export function playerOf(parent, attacks, kept) {
  return attacks.length > 1 ? new Pair(parent, attacks, kept) : new AttackPlayer(parent, attacks[0], kept);
}
