"""The same attack on two models: which second model fits, and what the two have to say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from introspect.errors import BadInput
from introspect.ui import session, shelf
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.trajectory import Trajectory

ALONE = "no other"
EXPLAINED = (
    " Both models were attacked from the same sample with the same settings, each along its own "
    "gradient; one slider moves both. Their maps were learnt apart, so directions cannot be "
    "compared, but steps, alarms and answers can."
)


def choose(atlas: Atlas, name: str) -> Atlas | None:
    """Draws the choice of a second model and answers its atlas, None for one model alone."""
    others = twins(atlas)
    other = st.selectbox(
        "Beside it",
        [ALONE, *others],
        key=f"attack-beside-{name}",
        persist_state="session",
        disabled=not others,
        width=320,
        help="A second model with the same classes and inputs of the same shape: the same sample "
        "is attacked on each, and one slider moves both."
        if others
        else "There is no other atlas whose model has these classes and this shape of inputs.",
    )
    if other not in others:
        return None
    entry = shelf.books()[other]
    try:
        found = session.load(entry.path, entry.modified)
        if not found.complete:
            raise BadInput(f"{other} came without its network, so it cannot be attacked.")
    except BadInput as problem:
        st.error(plain(problem))
        return None
    return found


def twins(atlas: Atlas) -> list[str]:
    """Names of the other atlases whose model has these classes and this shape of inputs."""
    wanted = (list(atlas.classifier.input_shape), list(atlas.classes))
    found = []
    for name, entry in shelf.books().items():
        model = entry.summary.get("model") or {}
        fits = (model.get("input_shape"), model.get("classes")) == wanted
        if fits and not entry.problem and entry.summary.get("fingerprint") != atlas.fingerprint:
            found.append(name)
    return found


def compare(walks: list[Trajectory], names: list[str], classes: tuple[str, ...]) -> str:
    """Which model gives way sooner, in one plain paragraph of figures."""
    told = []
    for walk, name in zip(walks, names, strict=True):
        others = walk.target != walk.source
        steps = walk.success_step[others]
        reached = steps[steps >= 0]
        when = f", in the median at step {np.median(reached):g}" if len(reached) else ""
        told.append(
            f"{name} says {classes[walk.source]} at first and gives way to {len(reached)} of "
            f"{int(others.sum())} other classes{when}"
        )
    return "; ".join(told) + "."


def table(walks: list[Trajectory], names: list[str], classes: tuple[str, ...]) -> list[dict]:
    """One row per target: steps of success and alarm of each model, and how far it moved."""
    rows = []
    for place, code in enumerate(walks[0].target):
        row: dict[str, Any] = {"target": classes[code]}
        for walk, name in zip(walks, names, strict=True):
            success, alarm = int(walk.success_step[place]), int(walk.alarm_step[place])
            step = success if success >= 0 else walk.z.shape[1] - 1
            row[f"{name}: reached at step"] = success if success >= 0 else None
            row[f"{name}: alarm at step"] = alarm if alarm >= 0 else None
            row[f"{name}: L2"] = float(walk.l2[place, step])
        rows.append(row)
    return rows
