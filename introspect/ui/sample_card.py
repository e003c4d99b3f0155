"""The sample card page: one sample or two, and all that the network does with them."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
import torch
from streamlit.components.v2 import component

from introspect.errors import Cancelled, IntrospectError
from introspect.ui import chooser, components, session
from introspect.ui.brainbow_payload import pack_brainbow
from introspect.ui.brainbow_work import Work
from introspect.ui.explore import WIDE
from introspect.ui.payload import pack_map
from introspect.ui.pinned import alike
from introspect.ui.routes import BLOBS
from introspect.ui.sample_card_payload import Seen, measure, pack_card, see, to_items
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.plugin import Progress

_pair = component("introspect_sample_pair", js=components.LOADER)

KEPT = 24
"""Samples whose neighbours are remembered for one visitor."""


@dataclass
class Pair:
    """Which two choosers stand for A and B, and whether B is shown; kept while pages change."""

    choosers: tuple[str, str] = ("card-1", "card-2")
    compared: bool = False
    searches: dict[str, Work] = field(default_factory=dict)
    """The searches for neighbours by sample, the oldest first."""

    def swap(self) -> None:
        """A becomes B and B becomes A."""
        self.choosers = (self.choosers[1], self.choosers[0])


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title; clicks on it rerun this part only."""
    st.html(WIDE)
    _draw(atlas)


@st.fragment
def _draw(atlas: Atlas) -> None:
    name = atlas.fingerprint[:12]
    pair: Pair = st.session_state.setdefault(f"pair-{name}", Pair(compared="b" in st.query_params))
    left, right = st.columns(2, gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Sample A**", width="content")
            if pair.compared:
                st.button(
                    "Swap",
                    icon=":material/swap_horiz:",
                    key=f"swap-{name}",
                    on_click=pair.swap,
                    help="A becomes B and B becomes A.",
                )
        first = chooser.offer(atlas, pair.choosers[0], "a")
    with right:
        second = _choose_second(atlas, pair, first, name)
    _write_address(atlas, a=first, b=second if pair.compared else None)
    if first is None:
        return
    try:
        shown = [see(atlas, one) for one in (first, second) if one is not None]
    except IntrospectError as problem:
        st.error(plain(problem))
        return
    works = [_search(atlas, pair, one) for one in shown]
    near = [_found(atlas, work) for work in works]
    _show(atlas, pair, shown, near, name)
    for letter, one, work, found in zip("AB", shown, works, near, strict=False):
        if found is None:
            _tell_search(pair, letter, one, work)
    st.caption(caption(atlas, len(shown)))


# ---------------------------------------------------------------- choosing
def _choose_second(
    atlas: Atlas, pair: Pair, first: chooser.Chosen | None, name: str
) -> chooser.Chosen | None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Sample B**", width="content")
        if pair.compared:
            st.button(
                "Clear B",
                icon=":material/close:",
                key=f"clear-{name}",
                on_click=_clear,
                args=(pair,),
            )
    if pair.compared:
        return chooser.offer(atlas, pair.choosers[1], "b")
    with st.container(border=True):
        st.markdown(
            "Put a second sample beside the first: press a dot on the map or one of the nearest "
            "samples below, or begin with the one next to it on the map that gets another answer."
        )
        st.button(
            "Compare with a second sample",
            icon=":material/compare:",
            key=f"compare-{name}",
            disabled=first is None or len(atlas.points) < 2,
            on_click=_begin,
            args=(atlas, pair, first),
        )
    return None


def _clear(pair: Pair) -> None:
    pair.compared = False


def _begin(atlas: Atlas, pair: Pair, first: chooser.Chosen) -> None:
    _pin(atlas, pair, contrast(atlas, see(atlas, first)))


def contrast(atlas: Atlas, one: Seen) -> int:
    """The stored row nearest on the map that gets another answer; any other where none does.

    Only rows whose inputs are at hand are looked at, where some are.
    """
    points = atlas.points
    others = np.arange(len(points)) != (-1 if one.chosen.row is None else one.chosen.row)
    if atlas.kept is not None and (others & atlas.kept.mask(len(points))).any():
        others &= atlas.kept.mask(len(points))
    unlike = others & (points.predicted != one.predicted)
    rows = np.flatnonzero(unlike if unlike.any() else others)
    return int(rows[((points.z[rows] - one.z) ** 2).sum(1).argmin()])


def _pin(atlas: Atlas, pair: Pair, row: int) -> None:
    """Makes a stored row sample B."""
    pair.compared = True
    chooser.put(atlas, pair.choosers[1], row, "b")


def _write_address(atlas: Atlas, **chosen: chooser.Chosen | None) -> None:
    """Keeps stored samples in the page's address; drawings and files cannot be linked to."""
    for param, one in chosen.items():
        wanted = None if one is None or one.row is None else str(atlas.points.id[one.row])
        if wanted is None:
            st.query_params.pop(param, None)
        elif st.query_params.get(param) != wanted:
            st.query_params[param] = wanted


# ---------------------------------------------------------------- neighbours
def _search(atlas: Atlas, pair: Pair, one: Seen) -> Work:
    """The search for a sample's neighbours, begun when nobody has asked for them yet."""
    key = _name(one)
    if key not in pair.searches:
        pair.searches[key] = Work.start("Looking at every stored sample", _look, atlas, one)
        pair.searches[key].soon()
        while len(pair.searches) > KEPT:
            pair.searches.pop(next(iter(pair.searches))).stop()
    return pair.searches[key]


def _name(one: Seen) -> str:
    return session.key(one.chosen.x if one.chosen.row is None else one.chosen.row)


def _look(atlas: Atlas, one: Seen, tell: Progress) -> tuple[np.ndarray, np.ndarray]:
    return alike(atlas, torch.from_numpy(np.array(one.chosen.x))[None], one.chosen.row, tell)


def _found(atlas: Atlas, work: Work) -> list[list[Any]] | None:
    """The neighbours, when the search has ended well."""
    if not work.future.done() or work.future.cancelled() or work.future.exception() is not None:
        return None
    return to_items(atlas, *work.future.result())


def _tell_search(pair: Pair, letter: str, one: Seen, work: Work) -> None:
    """How far a search is that has found nothing yet, or why it has ended without a result."""
    if not work.future.done():
        work.draw()
        return
    try:
        work.future.result()
        st.rerun()  # it has ended since the page was drawn
    except (Cancelled, CancelledError):
        st.button(
            f"Find the samples nearest to {letter}",
            icon=":material/search:",
            key=f"again-{letter}-{_name(one)[:40]}",
            on_click=_forget,
            args=(pair, _name(one)),
            help="The search was stopped; what was recorded is kept, so it goes on from there.",
        )
    except IntrospectError as problem:
        st.warning(plain(problem))


def _forget(pair: Pair, key: str) -> None:
    pair.searches.pop(key, None)


# ---------------------------------------------------------------- showing
def _show(
    atlas: Atlas, pair: Pair, shown: list[Seen], near: list[list[list[Any]] | None], name: str
) -> None:
    brainbow, ground = session.cached(pack_brainbow, atlas), session.cached(pack_map, atlas)
    cards = [pack_card(atlas, one) for one in shown]
    for packed in (brainbow, ground, *cards):
        BLOBS.publish(packed.parts, packed.kinds)
    key = f"pair-view-{name}"

    def on_pick() -> None:
        picked = (st.session_state.get(key) or {}).get("pick")
        if type(picked) is int and 0 <= picked < len(atlas.points):
            _pin(atlas, pair, picked)

    _pair(
        key=key,
        data=components.data_for(
            "sample_pair",
            manifest=brainbow.manifest,
            map=ground.manifest,
            cards=[packed.manifest for packed in cards],
            near=near,
            apart=measure(*shown) if len(shown) > 1 else None,
        ),
        on_pick_change=on_pick,
    )


def caption(atlas: Atlas, count: int) -> str:
    """The card explained to a newcomer, in Markdown."""
    p, layers = atlas.engine.tap.p, len(atlas.engine.tap.spans)
    here = len(atlas.points) if atlas.kept is None else len(atlas.kept)
    some = here < len(atlas.points)
    others = f"the {here:,} whose inputs are at hand" if some else "every recorded one"
    two = (
        " The difference, A minus B, is orange where A is stronger and blue where B is: the units "
        "and the classes in which the network tells the two apart."
        if count > 1
        else ""
    )
    return (
        "**How to read this card.** The cross on the map is where the sample's activations put it; "
        "the tint of the ground is the error to expect there. The picture of its units (figure 4 "
        f"of the paper) has one column for each recorded layer ({layers:,} here), the input on the "
        f"left, and one line for each of the {p:,} units, sorted by the class that each answers "
        "most, as on the Brainbow page; the colours mean the same for every sample. A sure answer "
        "is one bright path along the band "
        "of its class; a doubtful one is pale, or lights several. ê(h) estimates the error from "
        f"all activations, ê(z) from the place on the map alone.{two} The nearest samples are "
        f"exact: compared with {others} over all activations, not on the map."
    )
