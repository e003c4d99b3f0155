"""The brainbow page: all units by the class they answer most, one sample, and silenced units."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import streamlit as st
import torch
from streamlit.components.v2 import component

from introspect.brainbow import Groups, activate
from introspect.errors import Cancelled, IntrospectError
from introspect.ui import brainbow_trial, chooser, components, session
from introspect.ui.brainbow_payload import (
    find_ways,
    pack_activations,
    pack_brainbow,
    pack_pictures,
    pack_strongest,
    to_csv,
)
from introspect.ui.brainbow_work import Work
from introspect.ui.explore import WIDE
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain
from introspect.units import read_strongest, strongest

if TYPE_CHECKING:
    from introspect.atlas import Atlas

_figure = component("introspect_brainbow", js=components.LOADER)
_ordered = component("introspect_ordered", js=components.LOADER)


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title."""
    st.html(WIDE)
    packed = session.cached(pack_brainbow, atlas)
    BLOBS.publish(packed.parts, packed.kinds)
    _draw_figure(atlas, packed.manifest)
    st.subheader("One sample in the sorted network", divider="gray")
    sample = st.container()
    st.subheader("Silence units", divider="gray")
    brainbow_trial.draw(atlas, packed.manifest)
    # Last: where no sample can be chosen, the chooser ends the run here.
    with sample:
        _draw_sample(atlas, packed.manifest)


@st.fragment
def _draw_figure(atlas: Atlas, manifest: str) -> None:
    found = read_strongest(atlas)
    key = None
    if found is not None:
        packed = session.cached(pack_strongest, atlas, found)
        for one in (packed, pack_pictures(atlas)):
            if one is not None:
                BLOBS.publish(one.parts, one.kinds)
        key = packed.manifest
    _figure(
        key=f"brainbow-{atlas.fingerprint[:12]}",
        data=components.data_for("brainbow", manifest=manifest, strongest=key),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Table of all units (CSV)",
            data=lambda: to_csv(find_ways(atlas)[0]),
            file_name=f"brainbow-{atlas.name}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key=f"brainbow-csv-{atlas.fingerprint[:8]}",
            help="Every unit with its layer, preferred class, place after sorting, and expected "
            "activation for every class.",
        )
        if found is None:
            _offer_strongest(atlas)
    problem = session.cached(find_ways, atlas)[1]
    if problem:
        st.info(plain(problem))
    st.caption(caption(atlas))


def _offer_strongest(atlas: Atlas) -> None:
    """The button that finds each unit's strongest samples, and how far that is."""
    name = f"strongest-{atlas.fingerprint[:12]}"
    work: Work | None = st.session_state.get(name)
    if work is not None and not work.future.done():
        work.draw()
        return
    if work is not None:
        del st.session_state[name]
        try:
            work.future.result()
        except (Cancelled, CancelledError):
            st.caption("Stopped; what was recorded is kept, so the next try goes on from there.")
        except IntrospectError as problem:
            st.warning(plain(problem))
    st.button(
        "Find the strongest samples",
        icon=":material/image_search:",
        key=f"find-{name}",
        disabled=not atlas.complete,
        on_click=_begin,
        args=(atlas, name),
        help="The network looks at every stored sample once more, which takes a while; then every "
        "unit shows the nine samples that move it most. The result is kept.",
    )


def _begin(atlas: Atlas, name: str) -> None:
    st.session_state[name] = Work.start("Looking at every stored sample", strongest, atlas)


@st.fragment
def _draw_sample(atlas: Atlas, manifest: str) -> None:
    if not atlas.complete:
        st.info("This atlas came without its network, so no sample can be run through it.")
        return
    first = chooser.choose(atlas, "brainbow")
    shown = [_activations(atlas, first, "A")]
    compare = st.toggle(
        "Compare with a second sample",
        key=f"brainbow-compare-{atlas.fingerprint[:8]}",
        help="Draws both in the same colours, and their difference.",
    )
    if compare:
        second = chooser.choose(atlas, "brainbow-b")
        shown.append(_activations(atlas, second, "B"))
        if shown[0]["key"] == shown[1]["key"]:
            st.info("Both are the same sample: choose another one for B.")
    _ordered(
        key=f"ordered-{atlas.fingerprint[:12]}",
        data=components.data_for("brainbow_sample", manifest=manifest, samples=shown),
    )
    st.caption(
        "The activations of one sample, drawn in the sorted order of the figure above (figure 4 of "
        "the paper). A sure answer is a bright path along the band of its class; a doubtful or "
        "wrong one is pale, or lights up several paths at once. The colours mean the same for "
        "every sample."
    )


def _activations(atlas: Atlas, chosen: chooser.Chosen, letter: str) -> dict[str, Any]:
    h = activate(atlas, torch.from_numpy(chosen.x)[None])[0]
    packed = pack_activations(h)
    BLOBS.publish(packed.parts, packed.kinds)
    said = "" if chosen.label < 0 else f", {atlas.classes[chosen.label]}"
    return {"title": f"{letter}: {chosen.title}{said}", "key": packed.manifest}


def caption(atlas: Atlas) -> str:
    """The figure explained to a newcomer, in Markdown."""
    spans = atlas.engine.tap.spans
    by = "samples of that class" if Groups.of(atlas).by == "label" else "samples predicted as such"
    return (
        "**How to read this figure.** Every column is a layer of the network, the input on the "
        f"left; every line in a column is one of its {atlas.engine.tap.p:,} units "
        f"in {len(spans)} layer{'s' if len(spans) != 1 else ''}. For every class we ask what the "
        f"unit answers on average to {by}. A trained network has its units in no order (left); "
        "sorted by the class that each answers most, every layer falls into bands (right), and the "
        "bands of one class, joined from layer to layer, are its path through the network. "
        "**Decoder** asks the map: what activations does the mean place of the class stand for "
        "(the paper's way, through two numbers only)? **Sample mean** is the plain average over "
        "the training samples. Where both differ, trust the sample mean."
    )
