"""Choosing the one input a page is about: a stored sample, a drawing, or a picture file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float32

from introspect.errors import BadInput
from introspect.samples import SPLITS, as_input
from introspect.ui import arrivals, components, session
from introspect.ui.landing import is_centred, is_dark, picture_shape, read_drawing
from introspect.ui.payload import picture_url
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from introspect.atlas import Atlas

STORED, DRAWN, FILE, CAMERA = "Stored sample", "Drawing", "Picture file", "Camera"
KINDS = {"any": "Any", "right": "Right", "wrong": "Wrong"}
HELP = {
    "any": "A random test sample.",
    "right": "A random test sample that the network gets right.",
    "wrong": "A random test sample that the network gets wrong.",
}
SHOWN = 84
"""Longest side of the chosen picture, in pixels of the page."""


class Chosen(NamedTuple):
    """One input: its row of `atlas.points` (None when it is new), itself, its label, its name.

    `x` is float32 `*input` in [0, 1]; `label` is -1 where nobody knows the class.
    """

    row: int | None
    x: Float32[np.ndarray, "*input"]
    label: int
    title: str


@dataclass
class Tray:
    """What a visitor has chosen in one chooser on one atlas, kept while other pages are open."""

    row: int
    source: str = STORED
    problem: str = ""
    drawn: np.ndarray | None = None
    file: tuple[str, np.ndarray] | None = None
    seen: str = ""
    """Which upload `file` is, so that it is decoded once."""
    random: np.random.Generator = field(default_factory=np.random.default_rng)
    param: str = "sample"
    """What the chosen sample is called in the page's address."""


def choose(atlas: Atlas, key: str) -> Chosen:
    """As `offer`; where nothing can be chosen yet the page says so and stops here."""
    chosen = offer(atlas, key)
    if chosen is None:
        st.stop()
    return chosen


def offer(atlas: Atlas, key: str, param: str = "sample") -> Chosen | None:
    """Draws the chooser and answers the chosen input, None where nothing can be chosen yet.

    A stored sample is named by its id, by `test:907`, by chance among right or wrong answers, or by
    the pin on the activation map; where the network reads pictures, one can be drawn or uploaded.
    At first it stands where the link says (`?sample=60907`).

    Args:
        key: any name; choosers of different names, also on one page, do not know of each other.
        param: what the sample is called in the page's address.
    """
    tray = _tray(atlas, key, param)
    name = f"{key}-{atlas.fingerprint[:8]}"
    with st.container(
        horizontal=True, vertical_alignment="center", border=True, key=f"chooser-{name}"
    ):
        # Filled last: what is chosen further right decides what is shown here.
        left = st.container(width=SHOWN)
        with st.container(width="stretch", gap="xsmall"):
            row = st.container(horizontal=True, vertical_alignment="center")
            with row:
                source = _choose_source(atlas, tray, name)
            if source == DRAWN:
                chosen = _draw_pad(atlas, tray, name)
            elif source in (FILE, CAMERA):
                chosen = _upload(atlas, tray, name, source)
            else:
                chosen = _choose_stored(atlas, tray, name, row)
    picture = None if chosen is None else to_picture(chosen.x)
    if chosen is not None and picture is not None:
        url = picture_url(enlarge(picture))
        left.image(url, width=SHOWN, alt=f"The chosen sample, {chosen.title}")
    return chosen


def to_picture(x: Float32[np.ndarray, "*input"]) -> np.ndarray | None:
    """An input as a picture, uint8 (h, w) or (h, w, 3); None where inputs are no pictures."""
    if picture_shape(x.shape) is None:
        return None
    values = np.round(np.asarray(x) * 255).clip(0, 255).astype(np.uint8)
    if values.ndim == 2:
        return values
    return values[0] if values.shape[0] == 1 else values.transpose(1, 2, 0)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """Each pixel of a small picture as a block, so that a browser does not blur it."""
    times = max(1, 2 * SHOWN // max(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


def stored(atlas: Atlas, row: int) -> Chosen:
    """A recorded sample of the atlas.

    Raises:
        BadInput: the atlas came without its inputs, or without this one.
    """
    if atlas.kept is None:
        raise BadInput("This atlas came without its inputs: draw or upload a picture instead.")
    points = atlas.points
    title = f"#{points.id[row]:,}, {SPLITS[points.split[row]]}"
    x = atlas.inputs([row])[0].numpy()
    return Chosen(row, x, int(points.label[row]), title)


def pick(atlas: Atlas, kind: str, random: np.random.Generator) -> int:
    """A random row of the test split that is "right", "wrong" or "any"; of all rows if it has none.

    Raises:
        BadInput: no sample at all is of that kind.
    """
    points = atlas.points
    labelled = points.label >= 0
    right = points.label == points.predicted
    fits = np.ones(len(points.label), bool) if atlas.kept is None else atlas.kept.mask(len(right))
    fits &= {"right": labelled & right, "wrong": labelled & ~right}.get(kind, True)
    test = fits & (points.split == SPLITS.index("test"))
    rows = np.flatnonzero(test if test.any() else fits)
    if not len(rows):
        raise BadInput(f"No sample of this atlas is answered {kind}: choose one by its id.")
    return int(random.choice(rows))


def put(atlas: Atlas, key: str, row: int, param: str = "sample") -> None:
    """Makes a row the choice of a chooser, whether it has been drawn yet or not."""
    _take(atlas, _tray(atlas, key, param), row)


def _tray(atlas: Atlas, key: str, param: str) -> Tray:
    name = f"tray-{key}-{atlas.fingerprint[:12]}"
    tray = st.session_state.get(name)
    if tray is None:
        tray = st.session_state[name] = Tray(_first(atlas), param=param)
        if asked := st.query_params.get(param):
            _name(atlas, tray, asked)
    tray.param = param
    return tray


def _first(atlas: Atlas) -> int:
    pinned = _pinned(atlas)
    if pinned is not None:
        return pinned
    n = len(atlas.points)
    here = np.ones(n, bool) if atlas.kept is None else atlas.kept.mask(n)
    test = here & (atlas.points.split == SPLITS.index("test"))
    return int((test if test.any() else here).argmax())


def _pinned(atlas: Atlas) -> int | None:
    """The row pinned on the activation map by this visitor."""
    desk = st.session_state.get(f"desk-{atlas.fingerprint[:12]}")
    return None if desk is None else desk.pinned


def _choose_source(atlas: Atlas, tray: Tray, name: str) -> str:
    if not draws(atlas):
        return STORED
    st.session_state[f"source-{name}"] = tray.source

    def keep() -> None:
        tray.source = st.session_state[f"source-{name}"] or STORED

    st.segmented_control(
        "Sample",
        [STORED, DRAWN, FILE, CAMERA],
        key=f"source-{name}",
        on_change=keep,
        required=True,
        wrap=True,
        label_visibility="collapsed",
    )
    return tray.source


def draws(atlas: Atlas) -> bool:
    """Whether a drawn or uploaded picture can be the sample."""
    return picture_shape(atlas.classifier.input_shape) is not None and atlas.thumbs is not None


def _choose_stored(atlas: Atlas, tray: Tray, name: str, row: DeltaGenerator) -> Chosen | None:
    wanted = f"id-{name}"
    st.session_state[wanted] = str(atlas.points.id[tray.row])
    with row:
        st.text_input(
            "Sample",
            key=wanted,
            label_visibility="collapsed",
            icon=":material/tag:",
            on_change=lambda: _name(atlas, tray, st.session_state[wanted]),
            max_chars=40,
            width=160,
            help="The id of a sample as shown on the activation map, or test:907 for the "
            "907th of the test samples, counted from 0.",
        )
        for kind, title in KINDS.items():
            st.button(
                title,
                icon=":material/shuffle:",
                key=f"{kind}-{name}",
                help=HELP[kind],
                on_click=_pick,
                args=(atlas, tray, kind),
            )
        pinned = _pinned(atlas)
        if pinned is not None:
            st.button(
                "Pinned",
                icon=":material/push_pin:",
                key=f"pin-{name}",
                disabled=pinned == tray.row,
                help="The sample that is pinned on the activation map.",
                on_click=_take,
                args=(atlas, tray, pinned),
            )
    if tray.problem:
        st.error(plain(tray.problem))
        tray.problem = ""
    try:
        chosen = stored(atlas, tray.row)
    except BadInput as problem:
        st.info(plain(problem))
        return None
    points, classes = atlas.points, atlas.classifier.classes
    predicted = f"the network says **{plain(classes[points.predicted[tray.row]])}**"
    if chosen.label >= 0:
        mark = "right" if points.correct[tray.row] else "wrong"
        predicted = f"label **{plain(classes[chosen.label])}**, {predicted} ({mark})"
    st.caption(f"{plain(chosen.title)} · {predicted}")
    return chosen


def _name(atlas: Atlas, tray: Tray, text: str) -> None:
    try:
        _take(atlas, tray, atlas.points.row_of(text.strip().lstrip("#").replace(",", "")))
    except BadInput as problem:
        tray.problem = str(problem)


def _pick(atlas: Atlas, tray: Tray, kind: str) -> None:
    try:
        _take(atlas, tray, pick(atlas, kind, tray.random))
    except BadInput as problem:
        tray.problem = str(problem)


def _take(atlas: Atlas, tray: Tray, row: int) -> None:
    tray.row = row
    tray.source = STORED
    st.query_params[tray.param] = str(atlas.points.id[row])


def _fitted(atlas: Atlas) -> tuple[tuple[int, int, int], bool, bool]:
    """Shape of a picture, whether it is bright ink on a dark ground, whether it is centred."""
    shape = picture_shape(atlas.classifier.input_shape)
    assert shape is not None
    dark = session.cached(is_dark, atlas)
    return shape, dark, dark and session.cached(is_centred, atlas)


def _draw_pad(atlas: Atlas, tray: Tray, name: str) -> Chosen | None:
    shape, dark, centre = _fitted(atlas)
    with st.container(width=280):
        drawn = components.draw_pad(
            shape,
            key=f"pad-{name}",
            centre=centre,
            bright=not dark,
            hint="Draw here",
            clear=0,
        )
    raw = drawn.get("drawing")
    try:
        if raw is not None:
            x = as_input(read_drawing(raw, shape), atlas.classifier.input_shape)
            tray.drawn = x[0].numpy()
    except BadInput as problem:
        st.error(plain(problem))
    if tray.drawn is None:
        st.caption("Draw something to go on.")
        return None
    return Chosen(None, tray.drawn, -1, "your drawing")


def _upload(atlas: Atlas, tray: Tray, name: str, source: str) -> Chosen | None:
    shape, dark, centre = _fitted(atlas)
    if source == CAMERA:
        file = st.camera_input("Photo", key=f"camera-{name}", label_visibility="collapsed")
    else:
        file = st.file_uploader(
            "Picture file",
            type=arrivals.KINDS,
            max_upload_size=arrivals.MAX_MB,
            key=f"file-{name}",
            label_visibility="collapsed",
        )
    try:
        if file is not None and file.file_id != tray.seen:
            x = arrivals.fit_picture(atlas, file.getvalue(), shape, dark, centre)
            title = "your photo" if source == CAMERA else file.name
            tray.file, tray.seen = (title, x[0].numpy()), file.file_id
    except BadInput as problem:
        st.error(f"{plain(file.name if file else '')}: {plain(problem)}")
    if tray.file is None:
        what = "Take a photo" if source == CAMERA else "Drop in a picture"
        st.caption(f"{what} to go on; it is fitted to the size the network reads.")
        return None
    return Chosen(None, tray.file[1], -1, tray.file[0])
