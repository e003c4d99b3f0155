"""The data half of the build form: what was given, what is to be done with it, what came of it.

What the person chooses becomes a `Recipe`; the quarantine child reads the files by it, and it is
kept with the atlas, so that new samples are treated alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from introspect.datafile import read_npy
from introspect.errors import BadInput
from introspect.framing import frame, to_grey
from introspect.recipe import FITS, MAX_SIDE, Recipe, split_names
from introspect.survey import MEASURED
from introspect.ui import upload
from introspect.ui.payload import picture_url
from introspect.ui.wording import plain

HELP = (
    ".npz with arrays x and y; inputs and labels as two .npy or two idx.gz; .safetensors with x "
    "and y; a .zip of pictures with one folder for each class; .parquet with pictures or a table; "
    ".csv with one row for each sample."
)
LABEL = "Samples with labels (.npz, .npy, .gz, .zip, .parquet, .csv, .safetensors)"
WAYS = {"crop": "Crop", "stretch": "Stretch", "pad": "Pad"}
NO_LABEL = "(no labels)"
SHOWN = 64
"""Height of a picture before and after, in pixels of the page."""


def limits() -> str:
    """How much may be uploaded, and what to do with more, in a sentence."""
    return (
        f"Up to {upload.DATA_MB:,} MB a file. For more, run on the machine that has the "
        "data: `introspect build MODEL FOLDER -o mine.atlas`."
    )


def draw(kept: Path) -> Path | None:
    """Draws what is in kept files and how they are read; answers the folder of plain arrays.

    None where they cannot be read yet; the reason is said in place.
    """
    try:
        found = _look(kept)
        recipe = _choose(kept.parent.name, found, kept)
        if recipe is None:
            return None
        with st.spinner("Reading the data …"):
            folder, about = upload.decode(kept, recipe)
    except BadInput as problem:
        st.error(plain(problem))
        return None
    shape = " × ".join(map(str, about["shape"]))
    if len(about["shape"]) == 1:
        shape += " value" if shape == "1" else " values"
    told = f"{about['n']:,} samples of {shape}, {about['classes']:,} classes"
    st.caption("  \n".join([told, *map(plain, about["notes"])]))
    if not about["labelled"]:
        st.warning("These data have no labels: an atlas needs them to learn where the model errs.")
    return folder


def _look(kept: Path) -> dict[str, Any]:
    key = f"looked-{kept}"
    if key not in st.session_state:
        with st.spinner("Looking at the data …"):
            st.session_state[key] = upload.survey(kept)
    return st.session_state[key]


def _choose(key: str, found: dict[str, Any], kept: Path) -> Recipe | None:
    recipe = Recipe()
    if found["kind"] == "table":
        recipe = _choose_columns(key, found)
    elif found["kind"] == "pictures":
        recipe = _choose_fit(key, found, kept)
        if found.get("labels"):
            recipe = replace(recipe, label=_choose_label(key, found["labels"], found["label"]))
    if recipe is None:
        return None
    return replace(recipe, classes=_choose_names(key))


def _choose_label(key: str, names: list[str], guess: str) -> str:
    options = [*names, NO_LABEL]
    chosen = st.selectbox(
        "Column of the labels",
        options,
        index=options.index(guess) if guess in options else len(options) - 1,
        key=f"label-{key}",
        help="The class of each sample. It was guessed from its name, else from what is in it.",
    )
    return "" if chosen == NO_LABEL else chosen


def _choose_columns(key: str, found: dict[str, Any]) -> Recipe | None:
    names = [column["name"] for column in found["columns"]]
    label = _choose_label(key, names, found["label"])
    if found["count"] > len(names):
        # too many to tick one by one: such as a table of pixels
        return Recipe(label=label)
    own = {column["name"]: column for column in found["columns"] if column["name"] != label}
    usual = [
        name
        for name, column in own.items()
        if name not in found["left"] and (column["kind"] == "number" or 0 < column["texts"] <= 100)
    ]
    with st.expander(f"Columns the model reads ({len(own)})", expanded=len(own) <= 12):
        chosen = st.multiselect(
            "Columns the model reads, in this order",
            list(own),
            default=usual,
            key=f"columns-{key}-{label}",
            label_visibility="collapsed",
        )
        texts = [name for name in chosen if own[name]["kind"] == "text"]
        if texts:
            st.caption(
                f"Categories become numbers in alphabetical order: {plain(', '.join(texts))}."
            )
    gaps = [name for name in chosen if own[name]["gap"] is not None]
    if gaps:
        row = own[gaps[0]]["gap"] + 1
        st.error(
            f"Row {row:,} has no value in the column {plain(gaps[0])}: fill it in, or take the "
            "column out here."
        )
        return None
    if not chosen:
        st.info("Choose at least one column that the model reads.")
        return None
    return Recipe(label=label, columns=tuple(chosen))


def _choose_fit(key: str, found: dict[str, Any], kept: Path) -> Recipe:
    sizes = found["sizes"]
    height, width, count = sizes[0]
    several = not found["same"]
    if several and 2 * count < min(found["n"], MEASURED):
        # no size is the usual one
        height = width = min(height, width)
    if several:
        told = ", ".join(f"{w} × {h} ({count:,})" for h, w, count in sizes)
        st.caption(f"The pictures differ in size: {told}, … They are brought to one size here.")
    fitted = several or st.toggle(
        f"Bring the pictures ({width} × {height}) to another size", key=f"fit-{key}"
    )
    grey = bool(found["colour"]) and st.toggle("Leave colour out", key=f"grey-{key}")
    if not fitted:
        return Recipe(grey=grey)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wide = st.number_input("Width", 1, MAX_SIDE, width, key=f"width-{key}", width=110)
        high = st.number_input("Height", 1, MAX_SIDE, height, key=f"height-{key}", width=110)
        way = st.segmented_control(
            "How", list(WAYS), format_func=WAYS.__getitem__, default="crop", key=f"way-{key}",
            required=True,
        )  # fmt: skip
    recipe = Recipe(size=(int(high), int(wide)), fit=way or "crop", grey=grey)
    _draw_before_after(kept, found["examples"], recipe)
    return recipe


def _draw_before_after(kept: Path, count: int, recipe: Recipe) -> None:
    assert recipe.size is not None
    pictures = [read_npy(upload.looked(kept) / f"example{place}.npy") for place in range(count)]
    for title, shown in (
        ("Before", pictures),
        ("After", [fit(picture, recipe) for picture in pictures]),
    ):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown(f"**{title}**", width=56)
            for place, picture in enumerate(shown):
                width = max(8, round(SHOWN * picture.shape[1] / picture.shape[0]))
                st.image(
                    picture_url(_enlarged(picture)),
                    width=min(width, 2 * SHOWN),
                    alt=f"Example {place + 1} {title.lower()} fitting",
                )
    st.caption(
        f"{WAYS[recipe.fit]}: each picture is {FITS[recipe.fit]}. New pictures are treated alike."
    )


def fit(picture: np.ndarray, recipe: Recipe) -> np.ndarray:
    """One example as the recipe would have it."""
    assert recipe.size is not None
    return frame(to_grey(picture) if recipe.grey else picture, *recipe.size, recipe.fit)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Each pixel of a small picture as a block, so that a browser does not blur it."""
    times = max(1, 2 * SHOWN // picture.shape[0])
    return picture.repeat(times, 0).repeat(times, 1)


def _choose_names(key: str) -> tuple[str, ...]:
    with st.expander("Class names"):
        typed = st.text_area(
            "One name a line, or with commas between, in the order of the numbers",
            key=f"names-{key}",
            height=100,
            placeholder="cat, dog, cow",
            help="For data whose labels are numbers only. Names that the data give come first.",
        )
        file = st.file_uploader(
            "or a file with one name a line, or a JSON list",
            type=["txt", "json", "csv"],
            max_upload_size=upload.LAYERS_MB,
            key=f"names-file-{key}",
        )
        if typed.strip():
            return split_names(typed)
        return upload.read_names(file) if file is not None else ()
