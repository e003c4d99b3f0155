// The exact view in the page's address: written without adding history, and checked when read.

import { EVERYTHING } from "./filter.js";

const NAMES = ["projection", "at", "colour", "layers", "size", "label", "predicted", "split", "wrong", "error", "only", "pin"];
const SWITCHES = ["points", "error", "density", "labels", "mistakes", "pictures"];
const FADED = ["points", "error", "density"];

export const LAYERS = Object.freeze({
  points: { on: true, opacity: 1 },
  error: { on: true, opacity: 0.8 },
  density: { on: false, opacity: 0.8 },
  labels: { on: true },
  mistakes: { on: true },
  pictures: { on: false },
});

const tidy = (value, digits) => String(Number(value.toFixed(digits)));

/** "error.8-labels": what is on, with its opacity in percent where there is one. */
export function writeLayers(layers) {
  return SWITCHES.filter((name) => layers[name].on)
    .map((name) => (FADED.includes(name) ? `${name}.${Math.round(layers[name].opacity * 100)}` : name))
    .join("-");
}

export function readLayers(text) {
  const layers = Object.fromEntries(SWITCHES.map((name) => [name, { ...LAYERS[name], on: false }]));
  for (const part of text.split("-")) {
    const [name, percent] = part.split(".");
    if (!SWITCHES.includes(name)) continue;
    layers[name].on = true;
    const opacity = Number(percent) / 100;
    if (FADED.includes(name) && percent && opacity >= 0 && opacity <= 1) layers[name].opacity = opacity;
  }
  return layers;
}

/** Everything worth a link, as [name, value] pairs; defaults are left out. */
export function write(state, view, table) {
  const { filter } = state;
  const first = table.manifest.views[0].name;
  const pairs = [];
  if (state.projection !== first) pairs.push(["projection", state.projection]);
  if (!view.isHome) {
    const digits = Math.max(2, Math.ceil(Math.log10(view.scale)) + 1);
    pairs.push(["at", [tidy(view.x, digits), tidy(view.y, digits), tidy(view.zoom, 3)].join(",")]);
  }
  if (state.colour !== state.firstColour) pairs.push(["colour", state.colour]);
  if (writeLayers(state.layers) !== writeLayers(LAYERS)) pairs.push(["layers", writeLayers(state.layers) || "none"]);
  if (state.size !== 1) pairs.push(["size", tidy(state.size, 2)]);
  for (const name of ["label", "predicted"]) {
    if (filter[name] !== null) pairs.push([name, table.classes[filter[name]] ?? "none"]);
  }
  if (filter.split !== null) pairs.push(["split", table.manifest.splits[filter.split]]);
  if (filter.wrong) pairs.push(["wrong", "1"]);
  if (filter.low !== null || filter.high !== null) {
    pairs.push(["error", [filter.low, filter.high].map((v) => (v === null ? "" : tidy(v, 2))).join(",")]);
  }
  if (filter.only) pairs.push(["only", `${filter.only.by}:${filter.only.codes.join(",")}`]);
  if (state.pinned >= 0) pairs.push(["pin", String(table.ids[state.pinned])]);
  return pairs;
}

const real = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);

/** The parts of an address that make sense for this table; anything else is passed over. */
export function read(search, table) {
  const query = new URLSearchParams(search);
  const { manifest, classes } = table;
  const found = { filter: { ...EVERYTHING } };
  const ask = (name) => query.get(name);
  if (manifest.views.some((view) => view.name === ask("projection"))) found.projection = ask("projection");
  const at = (ask("at") || "").split(",").map(real);
  if (at.length === 3 && at.every((v) => v !== null && Math.abs(v) < 1e6) && at[2] > 0) found.at = at;
  if (colourNames(table).includes(ask("colour"))) found.colour = ask("colour");
  if (ask("layers")) found.layers = readLayers(ask("layers"));
  const size = real(ask("size") || "");
  if (size >= 0.5 && size <= 3) found.size = size;
  for (const name of ["label", "predicted"]) {
    const code = classes.indexOf(ask(name));
    if (code >= 0) found.filter[name] = code;
    else if (name === "label" && ask(name) === "none") found.filter.label = classes.length;
  }
  const split = manifest.splits.indexOf(ask("split"));
  if (split >= 0) found.filter.split = split;
  if (ask("wrong") === "1") found.filter.wrong = true;
  const bounds = (ask("error") || "").split(",").map(real);
  if (bounds.length === 2) [found.filter.low, found.filter.high] = bounds;
  const [by, list] = (ask("only") || "").split(":");
  if (["label", "predicted", "correct", "split"].includes(by) && list) {
    const names = table.category(by).names;
    const codes = list.split(",").map(real).filter((code) => Number.isInteger(code) && code >= 0 && code < names.length);
    if (codes.length) found.filter.only = { by, codes };
  }
  const pin = real(ask("pin") || "");
  if (pin !== null && table.slotById.has(pin)) found.pinned = table.slotById.get(pin);
  return found;
}

/** Everything the points can be coloured by. */
export function colourNames(table) {
  const categories = table.labelled ? ["label", "predicted", "correct", "split"] : ["predicted", "split"];
  return [...categories, ...table.manifest.scores.map((score) => score.name)];
}

/** Replaces our own part of the address and leaves what belongs to others. */
export function replace(pairs) {
  const url = new URL(window.location.href);
  for (const name of NAMES) url.searchParams.delete(name);
  for (const [name, value] of pairs) url.searchParams.set(name, value);
  const next = url.pathname + url.search.replaceAll("%2C", ",").replaceAll("%3A", ":") + url.hash;
  if (next !== window.location.pathname + window.location.search + window.location.hash) {
    window.history.replaceState(window.history.state, "", next);
  }
}
