"""Silencing units: which accuracy falls and how the map moves when a class's units say nothing."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from introspect.brainbow import Brainbow, sort_units
from introspect.errors import Cancelled, IntrospectError
from introspect.ui import components, session
from introspect.ui.brainbow_work import Work
from introspect.ui.payload import Packed, content_key
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain
from introspect.units import Ablation, choose_rows, silence, spread

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.plugin import Progress

ALL = "all layers"
_trial = component("introspect_trial", js=components.LOADER)


@dataclass
class Bench:
    """What one visitor has silenced: groups (class, layer or None for all), in that order."""

    groups: list[tuple[int, str | None]] = field(default_factory=list)
    work: Work | None = None
    before: Ablation | None = None
    after: Ablation | None = None
    control: Ablation | None = None
    problem: str = ""


def silenced_units(found: Brainbow, groups: list[tuple[int, str | None]]) -> np.ndarray:
    """The columns of h of all groups together."""
    parts = [found.units_of(number, layer) for number, layer in groups]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def random_units(found: Brainbow, units: np.ndarray, seed: int = 0) -> np.ndarray:
    """As many units of every layer as `units` has there, drawn at random: what to compare with."""
    random = np.random.default_rng(seed)
    counts = [int(((units >= s.start) & (units < s.stop)).sum()) for s in found.spans.values()]
    drawn = [
        random.choice(np.arange(span.start, span.stop), count, replace=False)
        for span, count in zip(found.spans.values(), counts, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def run_trial(
    atlas: Atlas, groups: tuple[tuple[int, str | None], ...], on_batch: Progress | None = None
) -> tuple[Ablation, Ablation, Ablation]:
    """The same test samples through the whole network, the silenced one, and the control.

    The control silences as many units of the same layers, drawn at random with seed 0.
    """
    rows, found = choose_rows(atlas), sort_units(atlas)
    units = silenced_units(found, list(groups))
    trials = (units[:0], units, random_units(found, units))
    before, after, control = (
        silence(atlas, silent, rows, _part(on_batch, number * len(rows), 3 * len(rows)))
        for number, silent in enumerate(trials)
    )
    return before, after, control


def _part(on_batch: Progress | None, start: int, total: int) -> Progress | None:
    return None if on_batch is None else lambda done, _: on_batch(start + done, total)


@st.fragment
def draw(atlas: Atlas, manifest: str) -> None:
    """Controls, what is lost, and the map before and after."""
    if not atlas.complete or not _can_run(atlas):
        st.info("This atlas came without its network or inputs, so no unit can be silenced.")
        return
    name = f"bench-{atlas.fingerprint[:12]}"
    bench: Bench = st.session_state.setdefault(name, Bench())
    found: Brainbow = session.cached(sort_units, atlas)
    work = bench.work
    if work is not None and (work.future.done() or work.soon()):
        take(bench, work)
    _draw_controls(atlas, bench, found, name)
    if bench.problem:
        st.warning(plain(bench.problem))
        bench.problem = ""
    if bench.work is not None:
        bench.work.draw()
    if not bench.groups:
        st.caption(
            "Choose a class, and perhaps a layer, and silence the units that prefer it: they "
            "answer 0 from then on. If a class's path carries the class, its accuracy should "
            "fall most. Every step can be undone; the network itself is never changed."
        )
        return
    if bench.after is None or bench.before is None:
        return
    _draw_outcome(atlas, bench, found, manifest)


def _can_run(atlas: Atlas) -> bool:
    from introspect.ui.explore import can_check

    return can_check(atlas)


def _draw_controls(atlas: Atlas, bench: Bench, found: Brainbow, name: str) -> None:
    layers = list(found.spans)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox(
            "Class",
            range(len(atlas.classes)),
            format_func=lambda code: atlas.classes[code],
            key=f"class-{name}",
            width=170,
        )
        place = st.selectbox(
            "Layer",
            range(-1, len(layers)),
            format_func=lambda one: ALL if one < 0 else f"layer {one + 1} ({layers[one]})",
            key=f"layer-{name}",
            width=190,
        )
        group = (int(number), None if place < 0 else layers[place])
        count = len(found.units_of(*group))
        st.button(
            f"Silence {count:,} unit{'s' if count != 1 else ''}",
            icon=":material/volume_off:",
            type="primary",
            key=f"silence-{name}",
            disabled=not count or group in bench.groups,
            on_click=_change,
            args=(atlas, bench, [*bench.groups, group]),
        )
        st.button(
            "Undo",
            icon=":material/undo:",
            key=f"undo-{name}",
            disabled=not bench.groups,
            on_click=_change,
            args=(atlas, bench, bench.groups[:-1]),
        )
        st.button(
            "Bring all back",
            icon=":material/restart_alt:",
            key=f"restore-{name}",
            disabled=not bench.groups,
            on_click=_change,
            args=(atlas, bench, []),
        )


def _change(atlas: Atlas, bench: Bench, groups: list[tuple[int, str | None]]) -> None:
    if bench.work is not None:
        bench.work.stop()
    bench.groups, bench.work = groups, None
    bench.before = bench.after = bench.control = None
    if groups:
        bench.work = Work.start("Trying the silenced network", run_trial, atlas, tuple(groups))


def take(bench: Bench, work: Work) -> None:
    """Keeps what a trial that has ended found; one that failed or was stopped silences nobody."""
    bench.work = None
    try:
        bench.before, bench.after, bench.control = work.future.result()
        return
    except (Cancelled, CancelledError):
        bench.problem = "The trial was stopped: no unit is silenced."
    except IntrospectError as problem:
        bench.problem = str(problem)
    # What was not tried is not shown as if it were.
    bench.groups = []


def _draw_outcome(atlas: Atlas, bench: Bench, found: Brainbow, manifest: str) -> None:
    before, after, control = bench.before, bench.after, bench.control
    assert before is not None and after is not None and control is not None
    label = atlas.points.label[before.rows]
    units = silenced_units(found, bench.groups)
    was, now, chance = (float((one.predicted == label).mean()) for one in (before, after, control))
    st.markdown(
        f"**{len(units):,} of {found.expected.shape[1]:,} units are silent** "
        f"({tell_groups(atlas, found, bench.groups)}). Accuracy on the {len(label):,} samples "
        f"tried: {was:.1%} → **{now:.1%}**; their places on the map move by "
        f"{spread(before, after):.2f} on average. With as many units of the same layers drawn at "
        f"random instead: {chance:.1%} and {spread(before, control):.2f}."
    )
    k = len(atlas.classes)
    packed = pack_trial(before, after, label)
    BLOBS.publish(packed.parts, packed.kinds)
    _trial(
        key=f"trial-{atlas.fingerprint[:12]}",
        data=components.data_for(
            "brainbow_trial",
            manifest=manifest,
            trial=packed.manifest,
            count=len(label),
            was=_shares(before.accuracy(label, k)),
            now=_shares(after.accuracy(label, k)),
        ),
    )
    st.caption(
        f"{len(label):,} labelled test samples, drawn at random with seed 0, run through the whole "
        "network and through the one with silent units. Left: every sample walks from its "
        "place in the whole network to that in the silenced one. Right: the share of right "
        "answers by class, grey before, coloured after. Units are those that prefer the class "
        "by the decoder (eq. 10)."
    )


def tell_groups(atlas: Atlas, found: Brainbow, groups: list[tuple[int, str | None]]) -> str:
    """The silenced groups in words, in Markdown."""
    layers = list(found.spans)
    return ", ".join(
        f"those that prefer {plain(atlas.classes[number])} in "
        + (ALL if layer is None else f"layer {layers.index(layer) + 1}")
        for number, layer in groups
    )


def _shares(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]


def pack_trial(before: Ablation, after: Ablation, label: np.ndarray) -> Packed:
    """Places before and after (float32), then labels and both predictions (uint16)."""
    places = (before.z, after.z)
    codes = (label, before.predicted, after.predicted)
    body = b"".join(np.ascontiguousarray(z, "<f4").tobytes() for z in places)
    body += b"".join(np.ascontiguousarray(code, "<u2").tobytes() for code in codes)
    key = content_key(body)
    parts: dict[str, Any] = {key: body}
    return Packed(key, parts, {})
