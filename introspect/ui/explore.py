"""The activation map page: the map, the sample one points at, new pictures, and what was chosen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect.errors import IntrospectError
from introspect.ui import arrivals, components, pinned, selected, session
from introspect.ui.desk import Desk
from introspect.ui.landing import to_probe
from introspect.ui.payload import pack_map
from introspect.ui.recheck import recheck, tell
from introspect.ui.routes import BLOBS

if TYPE_CHECKING:
    from introspect.atlas import Atlas

WIDE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: 2.2rem; padding-right: 2.2rem; }
@media (max-width: 1100px) {
  .st-key-explore [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"]) {
    flex-direction: column;
  }
  .st-key-explore [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; max-width: 30rem; }
  .st-key-explore [data-testid="stColumn"]:has(.st-key-explore-map) { max-width: none; }
}
</style>"""
"""A map wants room: narrower margins than a page of text has, and all the width there is."""

NEW, SAMPLE = "New picture", "Pinned sample"


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title; clicks on it rerun this part only."""
    st.html(WIDE)
    _draw(atlas)


@st.fragment
def _draw(atlas: Atlas) -> None:
    desk = _desk(atlas)
    packed = session.cached(pack_map, atlas)
    BLOBS.publish(packed.parts, packed.kinds)
    with st.container(key="explore"):
        left, right = st.columns([2.5, 1], gap="medium")
    row = _state(desk, "pinned")
    row = row if type(row) is int and 0 <= row < len(atlas.points.id) else None
    desk.pinned = row
    with right:
        panel = _choose_panel(desk)
        relatives: list[int] = []
        if panel == SAMPLE:
            relatives = pinned.draw(atlas, packed.manifest, row, desk.name, desk.pin)
            landings = list(desk.landings.values())
        else:
            landings = arrivals.draw(atlas, desk)
    desk.landings = {landing.key: landing for landing in landings}
    with left, st.container(key="explore-map"):
        components.activation_map(
            packed.manifest,
            key=desk.map,
            probes=[to_probe(atlas, landing) for landing in landings],
            neighbours=relatives,
            ask=desk.ask,
            check=desk.check,
            checks=can_check(atlas),
            turn=desk.next(),
            on_pin=lambda: _on_pin(desk),
            on_check=lambda: _on_check(atlas, desk),
            drops=arrivals.takes_pictures(atlas),
            on_drop=lambda: _on_drop(atlas, desk),
        )
        st.caption(caption(atlas))
    selected.draw(atlas, packed.manifest, _state(desk, "selection"), desk.name, desk.pin)


def _desk(atlas: Atlas) -> Desk:
    name = atlas.fingerprint[:12]
    return st.session_state.setdefault(f"desk-{name}", Desk(name))


def _state(desk: Desk, name: str) -> Any:
    held = st.session_state.get(desk.map)
    return held.get(name) if held else None


def _choose_panel(desk: Desk) -> str:
    if st.session_state.get(desk.panel) is None:
        st.session_state[desk.panel] = NEW
    chosen = st.segmented_control(
        "Beside the map",
        [NEW, SAMPLE],
        key=desk.panel,
        label_visibility="collapsed",
        width="stretch",
        required=True,
    )
    return chosen or NEW


def _on_pin(desk: Desk) -> None:
    if _state(desk, "pinned") is not None:
        st.session_state[desk.panel] = SAMPLE


def _on_check(atlas: Atlas, desk: Desk) -> None:
    turn = desk.next()
    try:
        found = recheck(atlas, seed=time.time_ns() % 2**32)
    except IntrospectError as problem:
        desk.check = {"turn": turn, "row": None, "text": str(problem), "ok": False}
        return
    desk.check = {"turn": turn, "row": found.row, "text": tell(atlas, found), "ok": found.ok}


def _on_drop(atlas: Atlas, desk: Desk) -> None:
    st.session_state[desk.panel] = NEW
    arrivals.take_dropped(atlas, desk, _state(desk, "dropped"))


def can_check(atlas: Atlas) -> bool:
    """Whether stored samples can be located again, told without reading them."""
    if atlas.made_of is not None:
        return atlas.complete
    return (
        atlas.complete
        and atlas.folder is not None
        and (
            (atlas.thumbs is not None and atlas.thumbs.lossless)
            or (atlas.folder / "samples" / "x.npy").exists()
        )
    )


def caption(atlas: Atlas) -> str:
    """The figure explained to a newcomer, in Markdown."""
    units = sum(layer.units for layer in atlas.classifier.layers if layer.hidden)
    what = "samples" if atlas.thumbs is None else "pictures"
    one = what[:-1]
    return (
        f"**How to read this map.** Each dot is one {one}. For every {one} the network's "
        f"{units:,} hidden units answer more or less strongly; an encoder, trained once and then "
        f"frozen, turns those answers into two numbers, and there the dot lies. So {what} the "
        f"network treats alike lie together, and the same {one} always lands at the same place. "
        "Colours are classes; a ring marks a mistake. The tint of the ground is the error to "
        "expect at each place: the stronger the tint, the less the network should be trusted "
        "there. "
        f"Point at a dot to see its {one}, click to pin it, draw round some (Shift-drag) to look "
        "at them together."
    )
