"""What the check of a model found: the file, the network that fits it, how often it is right."""

from __future__ import annotations

from typing import Any

import streamlit as st

from introspect.ui.wording import plain, size

REDUCTIONS = {
    "mean": "the mean of each channel",
    "grid2": "the means of four quarters of each channel",
    "none": "every value",
}
BYTES_PER_UNIT = 2
ARCH = "build_arch"
BY_SHAPES = "found by the shapes of the weights"


def draw_facts(found: dict[str, Any]) -> None:
    """What the file is, in plain words."""
    shape = " × ".join(str(side) for side in found["input_shape"])
    hidden = sum(layer["hidden"] for layer in found["layers"])
    told = [
        f"one input is {shape}",
        f"{len(found['classes'])} classes",
        f"{len(found['layers'])} layers, {hidden} of them hidden",
    ]
    kind = plain(found["format"][:1].upper() + found["format"][1:])
    st.markdown(f":material/description: **{kind}**: {', '.join(told)}.")
    for note in found["notes"]:
        st.caption(plain(note))
    if found["samples"] is None and found["accuracy"] is None and not found["reason"]:
        st.info(
            "Still missing: data with labels, to see how often the model is right and to map it.",
            icon=":material/dataset:",
        )


def draw_architectures(found: dict[str, Any], chosen: str | None) -> None:
    """The networks the weights were compared with, best first, and the choice of another."""
    import pandas

    from introspect import architecture

    known = found["architectures"]
    best = known[0]
    st.markdown("**Which network?** The file holds weights only; these were compared by shapes.")
    st.dataframe(
        pandas.DataFrame(
            {
                "Network": [one["name"] for one in known],
                "Fit": [100 * one["share"] for one in known],
                "What does not fit": [one["misfit"] or "everything fits" for one in known],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            "Fit": st.column_config.ProgressColumn(
                help="Share of all weights that have a place", format="%d %%", max_value=100
            )
        },
    )
    names = [one["name"] for one in known]
    names += [name for name in architecture.names() if name not in names]
    st.selectbox(
        "Take the weights as",
        [BY_SHAPES, *names],
        key=ARCH,
        persist_state="session",
        accept_new_options=True,
        help="Or type timm:NAME or hf:KIND for a network of those libraries; or give a layer list.",
    )
    if chosen is None and best["fits"] and found["ok"]:
        st.caption(f"Taken as {plain(best['name'])}.")


def chosen_architecture() -> str | None:
    """The name chosen instead of what the shapes say; None where nothing was."""
    name = st.session_state.get(ARCH)
    return None if name in (None, "", BY_SHAPES) else str(name)


def draw_accuracy(found: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, bool]:
    """How often the model is right under each way of preparing inputs, the best one taken.

    Returns:
        The chosen way, and whether it may be gone on with: the accuracy is plausible, or the
        person says so.
    """
    import pandas

    shares = found["accuracy"]
    if not shares:
        if found["ok"] and found["reason"]:
            st.warning(plain(found["reason"]), icon=":material/lightbulb:")
        return None, False
    best = found["preprocessing"]["name"]
    box, icon = (st.success, ":material/check_circle:") if found["plausible"] else (
        st.warning, ":material/warning:")  # fmt: skip
    box(plain(found["verdict"]), icon=icon)
    if found["reason"] and found["reason"] != found["verdict"]:
        st.warning(plain(found["reason"]), icon=":material/lightbulb:")
    ordered = sorted(shares, key=lambda name: (name != best, -shares[name]))
    left, right = st.columns([3, 2])
    taken = right.selectbox(
        "Prepare the inputs as",
        ordered,
        key=f"way-{key}",
        help="What is done to values from 0 to 1 before the network sees them. It becomes part of "
        "the classifier, so that noise and attacks always mean the same.",
    )
    way = found["ways"][taken]
    right.caption(_tell_way(way))
    left.dataframe(
        pandas.DataFrame(
            {
                "Right": [100 * shares[name] for name in ordered],
                "Inputs prepared as": [
                    f"{name} (taken)" if name == taken else name for name in ordered
                ],
            }
        ),
        hide_index=True,
        height="content",
        column_config={"Right": st.column_config.ProgressColumn(format="%.1f %%", max_value=100)},
    )
    if found["plausible"]:
        return way, True
    return way, st.checkbox(
        "Go on anyway: map this model although it is hardly ever right", key=f"anyway-{key}"
    )


def _tell_way(way: dict[str, Any]) -> str:
    def few(values: list[float]) -> str:
        shown = ", ".join(f"{value:.4g}" for value in values[:3])
        return f"{shown}, …" if len(values) > 3 else shown

    turned = [word for word in ("inverted", "swapped") if way.get(word)]
    words = {"inverted": "black and white exchanged", "swapped": "channels in reverse order"}
    told = [f"mean {few(way['mean'])}, deviation {few(way['std'])}", *(words[w] for w in turned)]
    return plain("; ".join(told))


def draw_layers(found: dict[str, Any], key: str) -> tuple[list[str], int, str]:
    """The layers to record, and what to keep of a map of features.

    Returns:
        Names of the ticked layers, how many units they have, and the reduction.
    """
    import pandas

    layers = found["layers"]
    st.markdown("**Layers to record.** The map shows what the ticked layers do with each sample.")
    maps = any(len(layer["shape"]) > 1 for layer in layers)
    reduction = "mean"
    if maps:
        reduction = st.radio(
            "Of layers that make maps, keep",
            list(REDUCTIONS),
            format_func=REDUCTIONS.__getitem__,
            key="build_reduction",
            persist_state="session",
            horizontal=True,
            help="A convolution answers with a picture for each channel. Its mean says how "
            "strongly the channel answers anywhere; quarters also say roughly where.",
        )
    units = [layer["reduced"][reduction] for layer in layers]
    table = pandas.DataFrame(
        {
            "Record": [layer["hidden"] for layer in layers],
            "Layer": [layer["name"] for layer in layers],
            "Operation": [layer["op"] for layer in layers],
            "Shape": [" × ".join(map(str, layer["shape"])) for layer in layers],
            "Units": units,
            "Per sample": [size(BYTES_PER_UNIT * count) for count in units],
        }
    )
    ticked = st.data_editor(
        table,
        key=f"layers-{key}",
        hide_index=True,
        height="auto" if len(layers) > 10 else "content",
        disabled=["Layer", "Operation", "Shape", "Units", "Per sample"],
        alt="Layers of the model; tick those to record",
    )
    rows = [row for row, tick in enumerate(ticked["Record"]) if tick]
    total = sum(units[row] for row in rows)
    st.caption(
        f"{len(rows)} of {len(layers)} layers, {total:,} units, "
        f"{size(BYTES_PER_UNIT * total)} for each sample."
    )
    return [layers[row]["name"] for row in rows], total, reduction
