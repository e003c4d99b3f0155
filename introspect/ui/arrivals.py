"""The panel of new pictures: drawn or dropped in, they land on the map at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect.errors import BadInput
from introspect.pictures import decode_picture
from introspect.samples import as_input
from introspect.ui import components, session
from introspect.ui.desk import Desk
from introspect.ui.landing import (
    Landing,
    is_centred,
    is_dark,
    land,
    picture_shape,
    read_drawing,
    to_bars,
    to_facts,
    warn,
)
from introspect.ui.payload import picture_url
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas

MOST = 12
MAX_MB = 20
KINDS = ["png", "jpg", "jpeg", "webp", "bmp"]


def draw(atlas: Atlas, desk: Desk) -> list[Landing]:
    """Draws the panel and answers everything that has landed."""
    shape = picture_shape(atlas.classifier.input_shape)
    if shape is None or atlas.thumbs is None:
        st.info(
            "This network reads tables, not pictures. New rows are placed by the command "
            "`introspect locate`.",
            icon=":material/table:",
        )
        return []
    if not atlas.complete:
        st.info(
            "This atlas came without its network, so nothing new can be placed on it. Open it "
            "from Python with the network: `introspect.load(path, model=…)`.",
            icon=":material/info:",
        )
        return []
    dark = session.cached(is_dark, atlas)
    centre = dark and session.cached(is_centred, atlas)
    landings = _draw_pad(atlas, desk, shape, dark, centre)
    landings += _draw_uploads(atlas, desk, shape, dark, centre)
    return landings


def _draw_pad(
    atlas: Atlas, desk: Desk, shape: tuple[int, int, int], dark: bool, centre: bool
) -> list[Landing]:
    drawn = components.draw_pad(
        shape,
        key=f"pad-{desk.name}",
        centre=centre,
        bright=not dark,
        hint="Draw here and watch where it lands",
        clear=desk.wiped,
    )
    raw = drawn.get("drawing")
    if raw is None:
        return []
    try:
        x = as_input(read_drawing(raw, shape), atlas.classifier.input_shape)
        landing = land(atlas, x, "drawing", "your drawing")
    except BadInput as problem:
        st.error(plain(problem))
        return []
    _draw_card(atlas, landing, f"drawn-{desk.name}", picture=False)
    return [landing]


def _draw_uploads(
    atlas: Atlas, desk: Desk, shape: tuple[int, int, int], dark: bool, centre: bool
) -> list[Landing]:
    files = st.file_uploader(
        "Drop in pictures",
        type=KINDS,
        accept_multiple_files=True,
        max_upload_size=MAX_MB,
        key=f"files-{desk.name}",
        help="They are fitted to the size the network reads and stay on this machine.",
    )
    if len(files) > MOST:
        st.warning(f"Only the last {MOST} pictures are shown.")
    landings = []
    for file in files[-MOST:]:
        landing = desk.landings.get(file.file_id)
        try:
            landing = landing or _land_file(atlas, file, shape, dark, centre)
        except BadInput as problem:
            st.error(f"{plain(file.name)}: {plain(problem)}")
            continue
        landings.append(landing)
    for landing in reversed(landings):
        _draw_card(atlas, landing, f"file-{desk.name}-{landing.key}", picture=True)
    return landings


def _land_file(
    atlas: Atlas, file: Any, shape: tuple[int, int, int], dark: bool, centre: bool
) -> Landing:
    data = file.getvalue()
    if len(data) > MAX_MB << 20:
        raise BadInput(f"The file is larger than {MAX_MB} MB; save a smaller picture.")
    picture = decode_picture(data, "The picture")
    if picture.shape[:2] == shape[1:]:
        # A picture of the network's own size is taken as it is: same input, same place.
        x = as_input(picture, atlas.classifier.input_shape)
    else:
        invert = "auto" if dark else False
        x = as_input(
            picture, atlas.classifier.input_shape, resize=True, invert=invert, centre=centre
        )
    return land(atlas, x, file.file_id, file.name)


def _draw_card(atlas: Atlas, landing: Landing, key: str, picture: bool) -> None:
    classes = atlas.classifier.classes
    components.sample_card(
        key=key,
        title=f"Prediction: {classes[landing.predicted]}",
        picture=picture_url(landing.picture) if picture else None,
        badges=[(f"output {landing.outputs.max():.3f}", "quiet")],
        names=[("file", landing.title, "")] if picture else [],
        facts=to_facts(landing.z, landing.log_error, landing.log_error_map, landing.off_map),
        bars=to_bars(landing.outputs, classes),
        warning=warn(landing.off_map),
    )
