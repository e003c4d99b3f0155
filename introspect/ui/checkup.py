"""A look at a model before the long work: what it is, what is missing, does it fit the data?

The files are a visitor's: what reads or runs them does so in quarantine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from introspect.errors import BadInput
from introspect.telling import find_command
from introspect.ui import verdict
from introspect.ui.wording import plain


@dataclass(frozen=True)
class Order:
    """What is to be built, as far as it is given: absolute paths, or a data set's name."""

    model: str
    title: str
    layers: str | None = None
    data: str | None = None
    arch: str | None = None


@dataclass(frozen=True)
class Chosen:
    """What the check leaves to choose, as chosen; only where an atlas may be built of it."""

    found: dict[str, Any]
    layers: list[str]
    units: int
    reduction: str
    preprocessing: dict[str, Any] | None
    anyway: bool


def draw(order: Order) -> Chosen | None:
    """Checks a model, with its data as soon as they are there, and draws the outcome.

    Returns:
        The choices made; None where nothing can be built of these files yet.
    """
    st.subheader("3 · Check", anchor=False)
    key = f"checked-{order}"
    if key not in st.session_state:
        st.session_state[key] = _look(order)
    found = st.session_state[key]
    if found["architectures"]:
        verdict.draw_architectures(found, order.arch)
    if not found["layers"]:
        tell_refusal(found["reason"])
        again(key)
        return None
    verdict.draw_facts(found)
    if not found["ok"]:
        tell_refusal(found["reason"])
        again(key)
    preprocessing, allowed = verdict.draw_accuracy(found, key)
    layers, units, reduction = verdict.draw_layers(
        found, f"{order.model}{order.layers}{order.arch}"
    )
    if order.data is None or not (found["ok"] and found["accuracy"]):
        return None
    anyway = not found["plausible"]
    return Chosen(found, layers, units, reduction, preprocessing, anyway) if allowed else None


def again(key: str) -> None:
    """A button that has the check done once more, for example after memory was freed."""
    st.button(
        "Check again", icon=":material/refresh:", on_click=st.session_state.pop, args=(key, None)
    )


def tell_refusal(sentence: str) -> None:
    """Why a file is not read, and the command that converts it, ready to be copied."""
    st.error(plain(sentence))
    command = find_command(sentence)
    if command:
        st.code(command, language="bash", wrap_lines=True)
        st.caption("To be run on your own machine, where the model comes from.")


def _look(order: Order) -> dict[str, Any]:
    what = "the model" if order.data is None else "the model and trying it on some of the data"
    start, told = time.monotonic(), 0.0
    with st.spinner(f"Reading {what} …"):
        place = st.empty()

        def wait() -> None:
            # Whatever the visitor does meanwhile ends the script here, and the reading with it.
            nonlocal told
            spent = time.monotonic() - start
            if spent - told >= 0.5:
                told = spent
                place.caption(f"{spent:.0f} s" if spent >= 2 else " ")

        try:
            found = examine(order, wait)
        except BadInput as problem:
            found = {"ok": False, "reason": str(problem), "layers": [], "architectures": []}
        place.empty()
    return found


def examine(order: Order, on_wait: Any = None) -> dict[str, Any]:
    """What the doctor says of the model, and of the data where they are given.

    Raises:
        BadInput: the look itself did not end well; says so in one sentence.
    """
    from introspect.doctor import examine_upload

    layers = None if order.layers is None else Path(order.layers)
    return examine_upload(Path(order.model), layers, order.data, order.arch, on_wait)
