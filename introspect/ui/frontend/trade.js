// What a threshold catches and costs: the arithmetic, apart from the page.

/** The four numbers at a step: flagged and let through, wrong and right. */
export function outcome({ caught, alarms, wrongs, rights }, step) {
  return { caught: caught[step], missed: wrongs - caught[step], alarms: alarms[step], passed: rights - alarms[step] };
}

/** The last step with at least so many; numbers fall as the threshold rises. */
export function nearest(falling, wanted) {
  let step = 0;
  for (let i = 0; i < falling.length; i++) if (falling[i] >= wanted) step = i;
  return step;
}

/** The first step with at most so many; the last one where there is none. */
export function under(falling, wanted) {
  const step = falling.findIndex((number) => number <= wanted);
  return step < 0 ? falling.length - 1 : step;
}

/** A part of a whole in percent, with more digits where it is small; "none" of nothing. */
export function share(part, whole) {
  if (!whole) return "none";
  const percent = (100 * part) / whole;
  const places = percent === 0 || percent === 100 || percent >= 99.95 ? 0 : percent < 1 ? 2 : 1;
  const text = percent < 100 && percent >= 99.95 ? "99.9" : percent.toFixed(places);
  return `${text} %`;
}

/** Round values between two ends, about six of them. */
export function ticks(low, high) {
  const span = high - low;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((candidate) => span / candidate <= 9) ?? span;
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toFixed(6)));
  return found;
}
