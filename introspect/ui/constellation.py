"""The constellation page: spoilt copies of one sample on the map, of one model or of two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.components.v2 import component

from introspect.constellation import COPIES, Constellation, families
from introspect.errors import IntrospectError
from introspect.ui import chooser, components, session, shelf
from introspect.ui.constellation_payload import pack_constellation, to_csv, to_npz
from introspect.ui.constellation_run import Order, Run
from introspect.ui.payload import pack_map
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain

if TYPE_CHECKING:
    import numpy as np

    from introspect.atlas import Atlas
    from introspect.corruptions.base import AbstractCorruption

WIDE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: 2.2rem; padding-right: 2.2rem; }
@media (max-width: 1100px) {
  .st-key-constellation > [data-testid="stHorizontalBlock"],
  .st-key-constellation > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-direction: column;
  }
  .st-key-constellation > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"],
  .st-key-constellation > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
    width: 100%; flex: 1 1 auto; max-width: none;
  }
}
</style>"""
MOST = 2000
ALONE = "no other"
SOON = 0.7
"""Seconds that a page may take before it must show how far it is."""

_cloud = component("introspect_constellation", js=components.LOADER)


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title."""
    st.html(WIDE)
    if not atlas.complete:
        st.info(
            "This atlas came without its network, so no copy can be placed on it. Open it from "
            "Python with the network: `introspect.load(path, model=…)`.",
            icon=":material/info:",
        )
        return
    with st.container(key="constellation"):
        left, right = st.columns([1, 2.9], gap="medium")
    with left:
        chosen = chooser.choose(atlas, "constellation")
        order = _order(atlas, chosen.x)
    with right:
        if order is not None:
            _show(order, chosen.title)
            st.caption(caption(families()[order.corruption], order))


def _order(atlas: Atlas, x: np.ndarray) -> Order | None:
    """The settings, as widgets; None where one of them cannot be used, which the page says."""
    offered = {
        name: kind for name, kind in families().items() if fits(kind, atlas.classifier.input_shape)
    }
    name = st.selectbox(
        "What is done to it",
        list(offered),
        format_func=lambda name: offered[name].title,
        key="constellation-corruption",
        persist_state="session",
        help="Noise is the paper's experiment; the others are for pictures.",
    )
    kind = offered[name]
    st.caption((type(kind).__doc__ or "").split("\n")[0])
    others = others_like(atlas)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        top = st.number_input(
            "Up to",
            min_value=0.0,
            value=float(kind.top),
            step=float(kind.top) / 10,
            format="%.4g",
            key=f"constellation-top-{name}",
            persist_state="session",
            help=f"The highest level of the slider: {kind.quantity}.",
            width=102,
        )
        copies = st.number_input(
            "Copies",
            min_value=1,
            max_value=MOST,
            value=COPIES,
            step=50,
            key="constellation-copies",
            persist_state="session",
            disabled=not kind.random,
            help="The paper scatters 200."
            if kind.random
            else "Nothing is drawn at random here, so all copies would be equal: one is shown.",
            width=102,
        )
    other = st.selectbox(
        "Beside it",
        [ALONE, *others],
        key=f"constellation-other-{atlas.fingerprint[:8]}",
        persist_state="session",
        disabled=not others,
        help="A second model that takes inputs of the same shape: it is shown the very same copies."
        if others
        else "There is no other atlas whose model takes inputs of this shape.",
    )
    with st.expander("More settings"):
        seed = st.number_input(
            "Seed",
            min_value=0,
            max_value=2**31 - 1,
            key="constellation-seed",
            persist_state="session",
            help="Where the random numbers start: the same seed draws the same copies.",
        )
        clip = st.checkbox(
            "Cut values to the allowed range",
            key="constellation-clip",
            persist_state="session",
            help="Noise leads out of [0, 1]. The paper does not say if it cut; off here.",
        )
    try:
        atlases = (atlas, *([_load(other)] if other in others else []))
        levels = kind.grid(float(top))
        kind.check(levels, atlas.classifier.input_shape)
    except IntrospectError as problem:
        st.error(plain(problem))
        return None
    return Order(atlases, x, name, levels, int(copies), int(seed), bool(clip))


def fits(kind: AbstractCorruption, shape: tuple[int, ...]) -> bool:
    """Whether a corruption means anything for inputs of this shape."""
    try:
        kind.check([0.0], shape)
    except IntrospectError:
        return False
    return True


def others_like(atlas: Atlas) -> list[str]:
    """Names of the other atlases on the shelf whose model takes inputs of the same shape."""
    shape = list(atlas.classifier.input_shape)
    return [
        name
        for name, entry in shelf.books().items()
        if not entry.problem
        and entry.summary.get("fingerprint") != atlas.fingerprint
        and (entry.summary.get("model") or {}).get("input_shape") == shape
    ]


def _load(name: str) -> Atlas:
    entry = shelf.books()[name]
    return session.load(entry.path, entry.modified)


def _show(order: Order, sample: str) -> None:
    """The constellation when it is there, how far it is until then."""
    key = " | ".join(order.keys())
    held: tuple[str, Run] | None = st.session_state.get("constellation-run")
    if held is None or held[0] != key:
        if held is not None:
            held[1].stop()
        held = st.session_state["constellation-run"] = (key, Run.start(order))
    run = held[1]
    if not run.wait(SOON):
        _wait(run)
    elif run.found is not None:
        _draw_found(order, run.found, sample)
    elif run.problem:
        st.error(plain(run.problem))
    else:
        st.info(
            "The constellation was stopped before it was whole.", icon=":material/pause_circle:"
        )
        st.button("Compute it", icon=":material/play_arrow:", on_click=_forget)


def _forget() -> None:
    st.session_state.pop("constellation-run", None)


@st.fragment(run_every=0.4)
def _wait(run: Run) -> None:
    if run.wait(0):
        st.rerun()
    share = min(1.0, run.done / max(1, run.total))
    st.progress(share, text=f"Placing the copies: {run.done:,} of {run.total:,}")
    st.button(
        "Cancel",
        icon=":material/close:",
        key="constellation-cancel",
        on_click=run.stop,
        disabled=run.stopped,
    )


def _draw_found(order: Order, found: tuple[Constellation, ...], sample: str) -> None:
    maps = [session.cached(pack_map, atlas) for atlas in order.atlases]
    names = [atlas.name for atlas in order.atlases]
    kind = families()[order.corruption]
    packed = pack_constellation(found, names, [one.manifest for one in maps], kind, sample)
    for parts in (*maps, packed):
        BLOBS.publish(parts.parts, parts.kinds)
    _cloud(
        key="constellation-cloud",
        data=components.data_for("constellation", manifest=packed.manifest),
    )
    with st.container(horizontal=True):
        st.download_button(
            "All arrays (npz)",
            lambda: to_npz(found, order.atlases),
            "constellation.npz",
            icon=":material/download:",
            on_click="ignore",
            help="Places, outputs, classes, shares and examples at every level.",
        )
        st.download_button(
            "Copies as a table (CSV)",
            lambda: to_csv(found, order.atlases),
            "constellation.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def caption(kind: AbstractCorruption, order: Order) -> str:
    """The figure explained to a newcomer, in Markdown."""
    if kind.random:
        copies = f"Each dot is one of {order.copies:,} copies of the sample"
        arrows = "an arrow leads there from the sample as it is, the cross"
        share = "how many of the copies still get the class that the sample as it is gets"
    else:
        copies = "The large dot is the sample"
        arrows = "the line is the way it came from the sample as it is, the cross"
        share = "whether it still gets the class that the sample as it is gets"
    two = (
        " Both models are shown the very same copies; their maps were learnt apart, so directions "
        "cannot be compared, but shares and whether a cloud stays together can."
        if len(order.atlases) > 1
        else ""
    )
    return (
        f"**How to read this constellation.** {copies}, spoilt by as much as the slider says "
        f"({kind.quantity}), at the place where the network's activations put it; {arrows}. "
        "Its colour is the class that the network now gives it. A network that is not disturbed "
        "keeps the cloud small and of one colour; one that is, sends copies across the map, often "
        f"into one favourite class. The curves tell, for every level, {share}, and how far they go "
        "on average; press them to go to a level. Small marks below an axis are severities 1 to 5 "
        "of Hendrycks & Dietterich (2019), where they have this corruption. The tint of the ground "
        f"is the error to expect at each place.{two} After fig. 5 of Pardo et al. (2020)."
    )
