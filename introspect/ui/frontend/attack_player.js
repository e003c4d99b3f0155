// The door to the page: one attack player per place, or two models' side by side; where it stood is kept while other pages are open.

import { Attack } from "./attack_player_data.js";
import { playerOf } from "./attack_player_pair.js";
import { adopt, el } from "./element.js";
import { mounted } from "./mounting.js";

// On the window, so that it outlives an update of our code while the page is open.
const stood = (window.__stood ??= new Map());

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    const keys = [data.manifest, ...(data.beside ? [data.beside] : [])];
    const name = keys.join(" ");
    if (name === this.manifest) return;
    this.dispose();
    this.manifest = name;
    await adopt(this.host, new URL("attack_player.css", import.meta.url).href);
    this.host.replaceChildren(el("div", { class: "player-wait", role: "status" }, "Fetching the attack…"));
    try {
      const attacks = await Promise.all(keys.map((key) => Attack.load(data.blobs, key)));
      if (name !== this.manifest) return;
      this.player = playerOf(this.host, attacks, stood.get(name));
      window.__player = this.player.record; // what tests and benchmarks wait for
    } catch (error) {
      this.manifest = null;
      this.host.replaceChildren(el("div", { class: "player-wait", role: "alert" }, error.message));
    }
  }

  dispose() {
    if (this.player) {
      stood.set(this.manifest, this.player.kept);
      this.player.dispose();
    }
    this.player = null;
  }
}

/** Called by Streamlit at first and after every change of the data; answers how to take the player away. */
export default mounted(Place);
