// Which samples are shown. introspect.ui.selection.passing is the same rule in Python, and a test compares them.

export const EVERYTHING = Object.freeze({
  label: null, // class code
  predicted: null, // class code
  split: null, // index
  wrong: false, // mistakes only
  low: null, // bounds on the error estimate, log10
  high: null,
  only: null, // {by: "label" | "predicted" | "correct" | "split", codes: [...]}: the legend's choice
});

export function isEverything(filter) {
  return Object.keys(EVERYTHING).every((name) => filter[name] === EVERYTHING[name]);
}

/** How many of the conditions are set (the number on the filter button). */
export function conditions(filter) {
  const ranged = filter.low !== null || filter.high !== null ? 1 : 0;
  return ["label", "predicted", "split"].filter((name) => filter[name] !== null).length + (filter.wrong ? 1 : 0) + ranged;
}

/** 1 for every slot that passes. `estimate` may be missing while its scores are still on their way. */
export function passing(table, filter, estimate) {
  const mask = new Uint8Array(table.n).fill(1);
  const keep = (codes, code) => {
    for (let i = 0; i < mask.length; i++) if (codes[i] !== code) mask[i] = 0;
  };
  if (filter.label !== null) keep(table.label, filter.label);
  if (filter.predicted !== null) keep(table.predicted, filter.predicted);
  if (filter.split !== null) keep(table.split, filter.split);
  if (filter.wrong) keep(table.correct, 0);
  if (filter.only) {
    const wanted = new Set(filter.only.codes);
    const { codes } = table.category(filter.only.by);
    for (let i = 0; i < mask.length; i++) if (!wanted.has(codes[i])) mask[i] = 0;
  }
  if (estimate && (filter.low !== null || filter.high !== null)) {
    const low = filter.low ?? -Infinity;
    const high = filter.high ?? Infinity;
    for (let i = 0; i < mask.length; i++) if (!(estimate[i] >= low && estimate[i] <= high)) mask[i] = 0;
  }
  return mask;
}
