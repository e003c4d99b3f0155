"""The form that builds an atlas: a model, its data, a look at both, a few settings, start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from introspect import jobs, library
from introspect.datasets import DATASETS
from introspect.errors import BadInput
from introspect.formats.sniff import EXPORT, look
from introspect.store import cache_dir
from introspect.ui import checkup, gather, upload, verdict
from introspect.ui.checkup import Chosen, Order
from introspect.ui.wording import duration, plain, size

BUILD = "introspect.building:build_folder"
EXAMPLE = """\
introspect: layers/1
input_shape: [1, 28, 28]
classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
link: softmax          # sigmoid, softmax, probabilities or auto
layers:
  - Flatten
  - Linear: [784, 200]
  - ReLU
  - Linear: [200, 10]
"""
PRESETS = {
    "standard": "Standard: a faithful map in a minute or two",
    "fast": "Fast: a first look",
    "careful": "Careful: longer, for the last bit of faithfulness",
    "paper": "Paper: the published training schedule, slow",
}
DEVICES = {"auto": "the fastest there is", "cpu": "processor", "cuda": "NVIDIA GPU"}
OWN, KNOWN = "My own files", "A known data set"


def draw() -> None:
    """Draws the form; every problem is said in place and nothing typed or given is lost."""
    left, right = st.columns(2, gap="large")
    with left:
        model, title, layers = _model()
    with right:
        data = _data()
    order, chosen = None, None
    if model is None:
        st.caption("Once a model is here, it is looked into at once.")
    else:
        order = Order(
            str(model),
            title,
            None if layers is None else str(layers),
            None if data is None else str(data),
            verdict.chosen_architecture() if layers is None else None,
        )
        chosen = checkup.draw(order)
    _settings(order, chosen)


def _model() -> tuple[Path | None, str, Path | None]:
    """The model file and its layer list; no path where the file is none that can be read."""
    st.subheader("1 · Model", anchor=False)
    model = _give(
        "weights",
        "Model file (.pt2, .onnx, .safetensors, .pt, .pth, .ckpt)",
        "Any model file: it is looked into without running anything in it.",
        upload.MODEL_MB,
    )
    if model is None:
        with st.expander("Which file is best?"):
            st.write(
                "A file that says its network: .pt2 from torch.export, or .onnx. Weights alone "
                "(.safetensors, .pt) need a known network or a layer list beside them. On your "
                "own machine, this makes a .pt2 of any PyTorch model:"
            )
            st.code(EXPORT, language="bash")
        return None, "", None
    found = look(model)
    if found.refused:
        checkup.tell_refusal(found.refused)
        return None, "", None
    st.caption(f":material/description: {plain(model.name)} is {plain(found.name)}.")
    if found.kind not in ("safetensors", "checkpoint"):
        return model, model.stem, None
    layers = _give(
        "layers",
        "Layer list (.yaml or .json), where the network is none of the known",
        "A short text (.yaml or .json) naming the layers the weights belong to.",
        upload.LAYERS_MB,
        upload.check_layers,
    )
    with st.expander("What is a layer list?"):
        st.write(
            "The network written down layer by layer, in the order of torch.nn.Sequential, with "
            "the shape of one input and the names of the classes:"
        )
        st.code(EXAMPLE, language="yaml")
        st.download_button(
            "Take this as a start",
            EXAMPLE,
            file_name="layers.yaml",
            mime="text/yaml",
            icon=":material/download:",
            on_click="ignore",
        )
    return model, model.stem, layers


def _data() -> Path | str | None:
    st.subheader("2 · Data", anchor=False)
    source = st.radio(
        "Where the samples come from",
        (OWN, KNOWN),
        key="build_source",
        persist_state="session",
        horizontal=True,
    )
    if source == KNOWN:
        return st.selectbox(
            "Data set",
            list(DATASETS),
            key="build_known",
            persist_state="session",
            help="Read from this machine where it is; otherwise fetched once and checked.",
        )
    kept = _give(
        "data",
        gather.LABEL,
        gather.HELP,
        upload.DATA_MB,
        several=True,
    )
    if kept is None:
        st.caption(gather.limits())
        return None
    return gather.draw(kept)


def _give(
    slot: str,
    label: str,
    help: str,
    limit_mb: int,
    check: Callable[[str], None] | None = None,
    several: bool = False,
) -> Path | None:
    """One field for files; what was given stays given while the visitor looks at other pages."""
    memory = f"given_{slot}"
    found = st.file_uploader(
        label,
        key=f"build_{slot}",
        accept_multiple_files=several,
        max_upload_size=limit_mb,
        help=help,
        on_change=st.session_state.pop,
        args=(memory, None),
    )
    files = found if isinstance(found, list) else [found] if found else []
    if not files and memory in st.session_state:
        names, path = st.session_state[memory]
        st.caption(f":material/attach_file: {plain(names)}, as given before")
        return path
    if files and memory not in st.session_state:
        try:
            for file in files:
                if check is not None:
                    check(file.name)
            names = ", ".join(file.name for file in files)
            st.session_state[memory] = (names, upload.keep(files, limit_mb))
        except BadInput as problem:
            st.error(plain(problem))
    return st.session_state[memory][1] if memory in st.session_state else None


def _settings(order: Order | None, chosen: Chosen | None) -> None:
    st.subheader("4 · Settings", anchor=False)
    if order is not None and not st.session_state.get("build_name"):
        st.session_state.build_name = library.free_name(order.title)
    first, second = st.columns(2, gap="large")
    name = first.text_input(
        "Name of the atlas",
        key="build_name",
        persist_state="session",
        max_chars=80,
        help="How it is called on this page.",
    )
    preset = second.selectbox(
        "Care taken",
        list(PRESETS),
        key="build_preset",
        persist_state="session",
        format_func=PRESETS.__getitem__,
        help="How long the map is trained. The standard preset is the one the figures hold for.",
    )
    with st.expander("More settings"):
        first, second, third = st.columns(3)
        epochs = first.number_input(
            "Passes over the data",
            min_value=1,
            max_value=1000,
            value=None,
            placeholder="as the preset says",
            key="build_epochs",
            persist_state="session",
            help="More passes take longer and can make the map more faithful.",
        )
        seed = second.number_input(
            "Seed",
            min_value=0,
            max_value=2**31 - 1,
            key="build_seed",
            persist_state="session",
            help="Where the random numbers start: the same seed gives the same map again.",
        )
        device = third.selectbox(
            "Compute on",
            list(DEVICES),
            key="build_device",
            persist_state="session",
            format_func=DEVICES.__getitem__,
        )
    if chosen is not None and chosen.layers:
        _tell_forecast(chosen, preset, epochs)
    pressed = st.button(
        "Build the atlas",
        icon=":material/play_arrow:",
        type="primary",
        disabled=chosen is None,
        help=None if chosen else "A model, labelled data, and a plausible accuracy are needed.",
    )
    if pressed and order is not None and chosen is not None:
        try:
            _start(order, name, chosen, preset=preset, epochs=epochs, seed=seed, device=device)
        except BadInput as problem:
            st.error(plain(problem))
        else:
            st.rerun()


def _tell_forecast(chosen: Chosen, preset: str, epochs: float | None) -> None:
    """Disk and time the build will take, and whether there is so much room."""
    from introspect.forecast import forecast

    found = chosen.found
    told = forecast(
        found["samples"],
        chosen.units,
        len(found["classes"]),
        found["input_shape"],
        found["seconds"],
        preset,
        epochs,
    )
    free = shutil.disk_usage(cache_dir()).free
    st.caption(
        f":material/schedule: About {duration(told.seconds)} on this machine's processor, half or "
        f"twice as long; {size(told.work)} of disk while it works, {size(told.atlas)} to stay; "
        f"{size(free)} are free."
    )
    if told.work + told.atlas > free:
        st.warning(
            "There is not enough room on the disk: record fewer layers, keep only the mean of each "
            "channel, or delete old atlases.",
            icon=":material/hard_drive:",
        )


def _start(order: Order, name: str, chosen: Chosen, **settings: Any) -> None:
    if not chosen.layers:
        raise BadInput("No layer is chosen: tick at least one in the list of layers.")
    out = library.place(name)
    building = {job.arguments.get("out") for job in jobs.all() if job.state().live}
    if str(out) in building:
        raise BadInput(f"An atlas called {name!r} is being built just now: choose another name.")
    known = chosen.found["architectures"]
    job = jobs.start(
        BUILD,
        {
            "model": order.model,
            "layers": order.layers,
            "arch": known[0]["name"] if known else None,
            "data": order.data,
            "name": out.name.removesuffix(library.SUFFIX),
            "out": str(out),
            "layers_chosen": chosen.layers,
            "reduction": chosen.reduction,
            "preprocessing": chosen.preprocessing,
            "anyway": chosen.anyway,
            **settings,
        },
        title=f"Building {name}",
    )
    st.query_params["job"] = job.id
    del st.session_state["build_name"]
