// What the colours mean at the moment: one code per dot and one colour per code.

import { along, mix, rgb } from "./colour.js";
import { rampCodes } from "./layers.js";

/** The class colours of a manifest in the theme at hand, as [r, g, b]. */
export function classColours(manifest, theme) {
  return manifest.palette[theme.dark ? "dark" : "light"].map(rgb);
}

function categoryColours(by, table, theme) {
  const classes = classColours(table.manifest, theme);
  const { right, wrong, splits } = table.manifest.palette[theme.dark ? "marks_dark" : "marks_light"];
  if (by === "label") return [...classes, theme.muted];
  if (by === "predicted") return classes;
  if (by === "correct") return [wrong, right].map(rgb).concat([theme.muted]);
  return table.manifest.splits.map((_, i) => rgb(splits[i % splits.length]));
}

/** A colouring by classes of things. */
export function byCategory(table, by, theme) {
  const { codes, names } = table.category(by);
  const colours = categoryColours(by, table, theme);
  const optionalFrom = by === "label" ? table.classes.length : by === "predicted" ? Infinity : by === "correct" ? 2 : 0;
  return { by, codes, names, colours, optionalFrom, colourOf: (slot) => colours[codes[slot]] };
}

/** A colouring along a score. */
export function byScore(table, score, values, theme) {
  const stops = table.manifest.ramp.map(rgb);
  // On white the bright end of the ramp would vanish, on black the dark end.
  const ramp = Array.from({ length: 17 }, (_, i) => along(stops, theme.dark ? 0.12 + (0.88 * i) / 16 : (0.9 * i) / 16));
  const codes = rampCodes(values, ...score.shown);
  return {
    by: score.name,
    score,
    values,
    ramp,
    codes,
    colourOf: (slot) => (codes[slot] > 255 ? mix(theme.muted, theme.background, 0.3) : along(ramp, codes[slot] / 255)),
  };
}

/** How many of the shown samples have each code. */
export function tally(codes, size, mask) {
  const counts = new Array(size).fill(0);
  for (let i = 0; i < codes.length; i++) if (mask[i]) counts[codes[i]]++;
  return counts;
}
