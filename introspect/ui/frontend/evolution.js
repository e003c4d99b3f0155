// The door to the page of the training evolution: fetches one training and plays it.

import { adopt, el } from "./element.js";
import { Run } from "./evolution_data.js";
import { Evolution } from "./evolution_player.js";
import { mounted } from "./mounting.js";
import { Sheets } from "./sheets.js";
import { Table, addressOf } from "./table.js";

// On the window, so that it outlives an update of our code while the page is open.
const stood = (window.__evolved ??= new Map());

class Place {
  constructor(parent) {
    this.host = el("div", {});
    parent.append(this.host);
  }

  async update({ data }) {
    if (data.manifest === this.manifest) return;
    this.dispose();
    this.manifest = data.manifest;
    for (const sheet of ["map.css", "evolution.css"]) await adopt(this.host, new URL(sheet, import.meta.url).href);
    this.host.replaceChildren(el("div", { class: "map-wait", role: "status" }, "Fetching the training…"));
    try {
      const answer = await fetch(addressOf(data.blobs, data.manifest));
      if (!answer.ok) throw new Error("A part of the training is gone. Reload the page.");
      const manifest = await answer.json();
      const table = await Table.load(data.blobs, manifest.map);
      const run = await Run.load(data.blobs, manifest, table);
      if (data.manifest !== this.manifest) return;
      const { thumbs } = table.manifest;
      this.evolution = new Evolution(this.host, run, thumbs && Sheets.of(thumbs, data.blobs), stood.get(data.manifest));
      window.__evolution = this.evolution.record; // what tests and benchmarks wait for
    } catch (error) {
      this.manifest = null;
      this.host.replaceChildren(el("div", { class: "map-wait", role: "alert" }, error.message));
    }
  }

  dispose() {
    if (this.evolution) {
      stood.set(this.manifest, this.evolution.kept);
      this.evolution.dispose();
    }
    this.evolution = null;
  }
}

/** Called by Streamlit at first and after every change of the data; answers how to take the player away. */
export default mounted(Place);
