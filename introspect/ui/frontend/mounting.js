// One part of ours per place on the page, however often Streamlit calls for it.

const turns = new WeakMap(); // the parts of one kind -> parent -> number of the latest call

/**
 * Called first thing in `mount`: what that call answers, the function that takes the part away.
 *
 * Streamlit runs it when the part leaves the page, but also for a call that a later one has overtaken while it was
 * under way. The part then belongs to the later call and stays.
 *
 * @param parts what tells parts of this kind from others; parent: where the part stands
 */
export function remover(parts, parent, remove) {
  if (!turns.has(parts)) turns.set(parts, new WeakMap());
  const latest = turns.get(parts);
  const turn = (latest.get(parent) ?? 0) + 1;
  latest.set(parent, turn);
  return () => {
    if (latest.get(parent) === turn) remove();
  };
}
