// One part of ours per place on the page, however often Streamlit calls for it.

const turns = new WeakMap();

/**
 * Called first thing in `mount`: what that call answers, the function that takes the part away.
 *
 * Streamlit runs it when the part leaves the page, but also for a call that a later one has overtaken while it was
 * under way. The part then belongs to the later call and stays.
 */
export function remover(parent, remove) {
  const turn = (turns.get(parent) ?? 0) + 1;
  turns.set(parent, turn);
  return () => {
    if (turns.get(parent) === turn) remove();
  };
}
