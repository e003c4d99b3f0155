// The door to the page: mounts one map per place, hands it what Python says, and sends back what the visitor does.

import { el, adopt } from "./element.js";
import { ActivationMap } from "./map.js";
import { mounted } from "./mounting.js";
import { Sheets } from "./sheets.js";
import { Table } from "./table.js";


class Place {
  constructor(parent) {
    this.parent = parent;
    this.asked = 0;
    this.checked = 0;
    this.sent = {};
    this.host = el("div", {});
    parent.append(this.host);
  }

  wait(text) {
    this.host.replaceChildren(el("div", { class: "map-wait", role: "status" }, text));
  }

  async update(component) {
    this.component = component;
    const { data } = component;
    await adopt(this.host, new URL("map.css", import.meta.url).href);
    if (data.manifest !== this.manifest) {
      this.manifest = data.manifest;
      await this.load(data);
    }
    if (this.map && data.manifest === this.manifest) this.follow(this.component.data);
  }

  async load(data) {
    this.dispose();
    this.wait("Fetching the map…");
    try {
      const table = await Table.load(data.blobs, data.manifest);
      if (data.manifest !== this.manifest) return;
      const sheets = table.manifest.thumbs ? Sheets.of(table.manifest.thumbs, data.blobs) : null;
      const map = new ActivationMap(table, sheets, {
        checks: data.checks,
        drops: data.drops,
        state: (name, value) => this.say(name, value),
        trigger: (name, value) => this.component.setTriggerValue(name, value),
      });
      await map.mount(this.host, window.location.search);
      this.map = map;
      this.asked = data.ask?.turn ?? 0;
      this.checked = data.check?.turn ?? 0;
      window.__map = map.record; // what tests and benchmarks wait for
      window.__map.mounts = (window.__map.mounts ?? 0) + 1;
      if (sheets) setTimeout(() => sheets.prefetch(() => this.map === map), 1500);
    } catch (error) {
      this.manifest = null;
      this.host.replaceChildren(el("div", { class: "map-wait", role: "alert" }, error.message));
    }
  }

  /** Tells Python only what it does not know yet. */
  say(name, value) {
    const text = JSON.stringify(value);
    if (this.sent[name] === text || (value === null && !(name in this.sent))) return;
    this.sent[name] = text;
    this.component.setStateValue(name, value);
  }

  follow(data) {
    const { map } = this;
    map.refreshTheme();
    map.neighbours = (data.neighbours ?? []).map((row) => map.table.slots[row]);
    const moved = map.probes.sync(data.probes ?? [], map.state.projection);
    if (moved) map.reveal(...moved.at);
    if (data.ask && data.ask.turn > this.asked) {
      this.asked = data.ask.turn;
      this.obey(data.ask);
    }
    if (data.check && data.check.turn > this.checked) {
      this.checked = data.check.turn;
      map.stage.notice.say(data.check.text, data.check.ok ? "good" : "bad", 14);
      this.obey({ pin: data.check.row });
    }
    map.report({ probes: data.probes?.length ?? 0, said: data.turn ?? 0 });
    map.redraw(false);
  }

  /** A wish from Python: pin this row and bring it into sight, or let go of everything. */
  obey({ pin, choose }) {
    const { map } = this;
    if (choose === null) map.choose(null);
    if (pin === undefined) return;
    const slot = pin === null ? -1 : map.table.slots[pin];
    map.pin(slot);
    if (slot >= 0) map.reveal(map.points.x[slot], map.points.y[slot]);
  }

  dispose() {
    if (this.map) {
      this.map.halt();
      this.map.stage.dispose();
    }
    this.map = null;
  }
}

/** Called by Streamlit at first and after every change of the data; answers how to take the map away. */
export default mounted(Place);
