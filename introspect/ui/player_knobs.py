"""What to compute: the attacks there are with their knobs, the targets, when the alarm sounds."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from introspect.attacks.base import LOSSES, AbstractAttack, attacks
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from introspect.atlas import Atlas

FIRST = "fgsm"
"""The attack of the paper is offered first."""

FALSE_ALARMS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Percent of right answers that would raise the alarm."""


def configure(atlas: Atlas, name: str) -> tuple[AbstractAttack, list[int], float, DeltaGenerator]:
    """Draws attack, knobs, targets (none means all), false alarms; and room for a button."""
    found, classes = attacks(), atlas.classifier.classes
    first, second, third, fourth = st.columns([1, 1.9, 1.2, 1], vertical_alignment="bottom")
    kind = first.selectbox(
        "Attack",
        sorted(found, key=lambda kind: kind != FIRST),
        format_func=str.upper,
        key=f"attack-{name}",
        persist_state="session",
        help="How the picture is changed from step to step.",
    )
    targets = second.multiselect(
        "Targets",
        range(len(classes)),
        format_func=lambda code: classes[code],
        placeholder=f"all {len(classes)} classes at once",
        key=f"targets-{name}",
        persist_state="session",
        help="The classes the network shall take the sample for. All are computed as one batch.",
    )
    alarm = third.selectbox(
        "Alarm",
        FALSE_ALARMS,
        index=FALSE_ALARMS.index(1.0),
        format_func=lambda share: f"{share:g} % false alarms",
        key=f"alarm-{name}",
        persist_state="session",
        help="The alarm sounds where the estimated error ê(h) is higher than for all but this "
        "share of the validation samples that the network gets right.",
    )
    method = found[kind]
    knobs = dataclasses.fields(method)  # type: ignore[arg-type]
    with st.expander(f"{kind.upper()}: settings and what it does"):
        columns = st.columns(min(4, len(knobs)))
        values = {
            knob.name: _draw_knob(columns[place % len(columns)], knob, f"{kind}-{knob.name}-{name}")
            for place, knob in enumerate(knobs)
        }
        st.markdown(describe(method))
    return method(**values), [int(code) for code in targets], float(alarm), fourth


def _draw_knob(where: Any, knob: dataclasses.Field, key: str) -> Any:
    label = knob.name.replace("_", " ").capitalize()
    low, high = knob.metadata.get("low"), knob.metadata.get("high")
    common = {"key": key, "persist_state": "session", "help": knob.metadata.get("help")}
    if isinstance(knob.default, bool):
        return where.toggle(label, value=knob.default, **common)
    if isinstance(knob.default, str):
        return where.selectbox(label, LOSSES, index=LOSSES.index(knob.default), **common)
    whole = isinstance(knob.default, int)
    value = where.number_input(
        label,
        min_value=low,
        max_value=high,
        value=knob.default,
        step=1 if whole else 0.005,
        format="%d" if whole else "%.4g",
        **common,
    )
    return knob.default if value is None else value


def describe(method: type) -> str:
    """The docstring of an attack as Markdown: its formulas stand indented, as code."""
    told = []
    for block in (inspect.getdoc(method) or "").split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        code = block.startswith("    ")
        told.append("`" + " ".join(lines) + "`" if code else plain(" ".join(lines)))
    return "\n\n".join(told)


def threshold_of(atlas: Atlas, percent: float) -> float:
    """The log_error above which about this share of right answers would raise the alarm.

    One percent is the threshold the atlas was built with, from estimates of an estimator that had
    not seen the sample. Only their threshold was kept, so that for other shares it is moved by as
    much as the quantiles of the stored validation estimates lie apart.
    """
    points, known = atlas.points, float(atlas.thresholds["log_error"])
    calm = (points.split == 1) & (points.label >= 0) & (points.label == points.predicted)
    if not calm.any():
        return known
    values = points.log_error[calm].astype(np.float64)
    wanted, built = np.nanquantile(values, [1 - percent / 100, 0.99])
    return known + float(wanted - built)
