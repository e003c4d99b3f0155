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

/**
 * The `mount` that a module gives Streamlit, which calls it at first and after every change of the data.
 *
 * @param Place a class made with the place on the page: {host, async update(component), dispose()}
 */
export function mounted(Place) {
  const places = new WeakMap();
  return async function mount(component) {
    const { parentElement: parent } = component;
    const leave = remover(places, parent, () => {
      places.get(parent)?.dispose();
      places.get(parent)?.host.remove();
      places.delete(parent);
    });
    if (!places.has(parent)) places.set(parent, new Place(parent));
    await places.get(parent).update(component);
    return leave;
  };
}
