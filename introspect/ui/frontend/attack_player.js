// The door to the page: one attack player per place; where it stood is kept while other pages are open.

import { Attack } from "./attack_player_data.js";
import { AttackPlayer } from "./attack_player_view.js";
import { adopt, el } from "./element.js";

const places = new WeakMap();
// On the window, so that it outlives an update of our code while the page is open.
const stood = (window.__stood ??= new Map());

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    if (data.manifest === this.manifest) return;
    this.dispose();
    this.manifest = data.manifest;
    await adopt(this.host, new URL("attack_player.css", import.meta.url).href);
    this.host.replaceChildren(el("div", { class: "player-wait", role: "status" }, "Fetching the attack…"));
    try {
      const attack = await Attack.load(data.blobs, data.manifest);
      if (data.manifest !== this.manifest) return;
      this.player = new AttackPlayer(this.host, attack, stood.get(data.manifest));
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
export default async function mount(component) {
  const { parentElement: parent } = component;
  if (!places.has(parent)) places.set(parent, new Place(parent));
  await places.get(parent).update(component);
  return () => {
    places.get(parent)?.dispose();
    places.delete(parent);
  };
}
