"""A look at a model and its data before the long work: do they fit, which layers are there?

The files are a visitor's, so they are read in a process of their own, which ends after the look.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import streamlit as st

from introspect.errors import BadInput
from introspect.ui.wording import plain, size

PATIENCE = 300.0
BYTES_PER_UNIT = 2


def draw(weights: str, layers: str, data: str) -> list[str] | None:
    """Checks one model and its data and draws the outcome.

    Returns:
        The names of the layers to record as ticked in the table; None where the files do not fit.
    """
    st.subheader("3 · Check", anchor=False)
    key = f"checked-{weights}-{layers}-{data}"
    if key not in st.session_state:
        with st.spinner("Reading the files and trying the model on some of the data …"):
            try:
                st.session_state[key] = examine(weights, layers, data)
            except BadInput as problem:
                st.session_state[key] = {"ok": False, "reason": str(problem)}
    found = st.session_state[key]
    if found["ok"]:
        _draw_verdict(found)
        return _draw_layers(found["layers"], Path(weights).parent.name + Path(layers).parent.name)
    st.error(plain(found["reason"]))
    st.button(
        "Check again", icon=":material/refresh:", on_click=st.session_state.pop, args=(key, None)
    )
    return None


def examine(weights: str, layers: str, data: str) -> dict[str, Any]:
    """What `introspect doctor` says of a model, its layer list and data.

    Raises:
        BadInput: the look itself did not end well; says so in one sentence.
    """
    command = [sys.executable, "-P", "-m", "introspect.cli", "doctor", weights]
    try:
        ended = subprocess.run(
            [*command, "--layers", layers, "--data", data, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise BadInput("Reading the files took more than five minutes: try smaller ones.") from None
    lines = ended.stdout.splitlines()
    if lines and lines[-1].startswith("{"):
        return json.loads(lines[-1])
    said = ended.stderr.strip().splitlines()
    if ended.returncode == 2 and said:
        raise BadInput(said[-1].removeprefix("introspect: "))
    raise BadInput("Reading the files ended unexpectedly: they may be damaged, or the memory full.")


def _draw_verdict(found: dict[str, Any]) -> None:
    shape = " × ".join(str(side) for side in found["input_shape"])
    told = [f"one input is {shape}", f"{len(found['classes'])} classes"]
    # The first way of preparing the inputs is the one the layer list asks for.
    told += [f"{share:.1%} right" for share in list((found["accuracy"] or {}).values())[:1]]
    st.success(f"Model and data fit: {', '.join(told)}.", icon=":material/check_circle:")
    if found["reason"]:
        st.warning(plain(found["reason"]), icon=":material/lightbulb:")


def _draw_layers(layers: list[dict[str, Any]], key: str) -> list[str]:
    import pandas

    table = pandas.DataFrame(
        {
            "Record": [layer["hidden"] for layer in layers],
            "Layer": [layer["name"] for layer in layers],
            "Kind": [layer["op"] for layer in layers],
            "Shape": [" × ".join(map(str, layer["shape"])) for layer in layers],
            "Units": [layer["units"] for layer in layers],
            "Per sample": [size(BYTES_PER_UNIT * layer["units"]) for layer in layers],
        }
    )
    st.markdown("**Layers to record.** The map shows what the ticked layers do with each sample.")
    ticked = st.data_editor(
        table,
        key=f"layers-{key}",
        hide_index=True,
        disabled=["Layer", "Kind", "Shape", "Units", "Per sample"],
        alt="Layers of the model; tick those to record",
    )
    chosen = [layer for layer, tick in zip(layers, ticked["Record"], strict=True) if tick]
    units = sum(layer["units"] for layer in chosen)
    st.caption(
        f"{len(chosen)} of {len(layers)} layers, {units:,} units, "
        f"{size(BYTES_PER_UNIT * units)} for each sample."
    )
    return [layer["name"] for layer in chosen]
