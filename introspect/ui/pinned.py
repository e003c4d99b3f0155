"""The panel of the pinned sample: its picture, the network's outputs, its nearest relatives."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from introspect.errors import IntrospectError
from introspect.ui import components
from introspect.ui.landing import nearest_rows, to_bars, to_facts, warn
from introspect.ui.later import LATER
from introspect.ui.payload import SPLITS, picture_url
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.plugin import Progress

COUNT = 10
SOON = 0.1
"""Seconds; the search is quick once the activations are there."""


def draw(
    atlas: Atlas, manifest: str, row: int | None, name: str, pin: Callable[[int | None], None]
) -> list[int]:
    """Draws the panel and answers the rows of the true neighbours, when they are known."""
    if row is None:
        st.info(
            "Click a dot to pin it here: its picture, what the network says of it, and the "
            "samples whose activations are most like its own.",
            icon=":material/push_pin:",
        )
        return []
    points, classes = atlas.points, atlas.classifier.classes
    label = int(points.label[row])
    badges = [(SPLITS[points.split[row]], "quiet")]
    if label >= 0:
        badges.append(("right", "right") if points.correct[row] else ("wrong", "wrong"))
    names = [("prediction", classes[points.predicted[row]], "The class of the highest output")]
    if label >= 0:
        names.insert(0, ("label", classes[label], "What the data say it is"))
    components.sample_card(
        key=f"card-{name}",
        title=f"#{points.id[row]:,}",
        picture=None if atlas.thumbs is None else picture_url(atlas.picture(row)),
        badges=badges,
        names=names,
        facts=to_facts(
            points.z[row],
            float(points.log_error[row]),
            float(points.log_error_map[row]),
            float(points.off_map[row]),
        ),
        bars=to_bars(points.outputs[row], classes, label),
        warning=warn(float(points.off_map[row])),
    )
    st.button("Unpin", icon=":material/close:", on_click=pin, args=(None,), key=f"unpin-{name}")
    return _draw_relatives(atlas, manifest, row, name, pin)


def _draw_relatives(
    atlas: Atlas, manifest: str, row: int, name: str, pin: Callable[[int | None], None]
) -> list[int]:
    st.markdown(
        "**Nearest in activation space**",
        help="The samples whose hidden units answer most alike, measured over all of them. "
        "The lines on the map lead there.",
    )
    future = LATER.ask(f"{atlas.fingerprint}/relatives/{row}", relatives, atlas, row)
    if not _soon(future):
        _wait(future)
        st.markdown("**Nearest on the map**", help="Until then: the dots next to this one.")
        around = nearest_rows(atlas.points.z, atlas.points.z[row], COUNT + 1)
        show(atlas, manifest, around[around != row][:COUNT], f"around-{name}", pin)
        return []
    try:
        rows, distances = future.result()
    except IntrospectError as problem:
        st.warning(plain(problem))
        return []
    notes = [f"distance {distance:.3g}" for distance in distances]
    show(atlas, manifest, rows, f"relatives-{name}", pin, notes)
    return [int(other) for other in rows]


def _soon(future: Future) -> bool:
    """Whether the result is there within the time that nobody notices."""
    return bool(wait([future], timeout=SOON).done)


def relatives(atlas: Atlas, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows most like a stored sample in activation space, without itself, and distances."""
    return alike(atlas, atlas.inputs([row]), row)


def alike(
    atlas: Atlas, x: Any, row: int | None, on_batch: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows most like one input in activation space, nearest first, and their distances in h.

    Args:
        x: float32 `1 *input`.
        row: the input's own row, left out; None for an input that is not recorded.
        on_batch: told (done, total) while the activations are recorded, once.

    Raises:
        BadInput: the atlas came without its inputs or its network.
        Cancelled: `on_batch` answered False.
    """
    rows, distances = atlas.neighbours(x, COUNT + 1, on_batch)
    rows, distances = np.ravel(rows), np.ravel(distances)
    others = rows != (-1 if row is None else row)
    return rows[others][:COUNT], distances[others][:COUNT]


@st.fragment(run_every=0.5)
def _wait(future: Future) -> None:
    if future.done():
        st.rerun()
    st.caption(
        ":material/hourglass_top: Computing: the network looks at every stored sample once "
        "more; the map stays free meanwhile."
    )


def show(
    atlas: Atlas,
    manifest: str,
    rows: np.ndarray,
    key: str,
    pin: Callable[[int | None], None],
    notes: list[str] | None = None,
    size: int = 44,
) -> None:
    """Stored samples as pictures; a press on one pins it."""
    points = atlas.points

    def on_pick() -> None:
        picked = (st.session_state.get(key) or {}).get("pick")
        if type(picked) is int and 0 <= picked < len(points.id):
            pin(picked)

    items = [
        (
            int(row),
            int(points.id[row]),
            int(points.label[row]),
            int(points.predicted[row]),
            notes[place] if notes else "",
        )
        for place, row in enumerate(rows)
    ]
    components.gallery(manifest, items, key=key, size=size, on_pick=on_pick)
