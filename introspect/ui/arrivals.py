"""The panel of new pictures: drawn or dropped in, they land on the map at once."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect.errors import BadInput
from introspect.framing import frame, to_grey
from introspect.recipe import recipe_of
from introspect.samples import as_input
from introspect.ui import components, session, upload
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
    import torch
    from streamlit.runtime.uploaded_file_manager import UploadedFile

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
    landings += _draw_camera(atlas, desk, shape, dark, centre)
    return landings + _draw_dropped(atlas, desk)


def takes_pictures(atlas: Atlas) -> bool:
    """Whether a new picture can land on this map."""
    shape = picture_shape(atlas.classifier.input_shape)
    return shape is not None and atlas.thumbs is not None and atlas.complete


def take_dropped(atlas: Atlas, desk: Desk, raw: Any) -> None:
    """Lands the picture files that were let go over the map: [{name, data: data URL}]."""
    shape = picture_shape(atlas.classifier.input_shape)
    if shape is None or not isinstance(raw, list):
        return
    dark = session.cached(is_dark, atlas)
    centre = dark and session.cached(is_centred, atlas)
    for entry in raw[:MOST]:
        name = str(entry.get("name", "")) if isinstance(entry, dict) else ""
        try:
            data = read_data_url(entry["data"] if isinstance(entry, dict) else None)
            key = f"dropped-{desk.next()}"
            desk.dropped[key] = land_picture(atlas, data, key, name, shape, dark, centre)
        except BadInput as problem:
            desk.problems.append(f"{plain(name)}: {plain(problem)}")
    for key in list(desk.dropped)[:-MOST]:
        del desk.dropped[key]


def read_data_url(url: Any) -> bytes:
    """The bytes of a file that the browser sent as a data URL.

    Raises:
        BadInput: no such URL, or more than 20 MB.
    """
    head, _, body = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not head.startswith("data:") or len(body) > MAX_MB << 21:
        raise BadInput("The file did not arrive whole; use the upload box instead.")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise BadInput("The file did not arrive whole; use the upload box instead.") from error


def _draw_dropped(atlas: Atlas, desk: Desk) -> list[Landing]:
    for problem in desk.problems:
        st.error(problem)
    desk.problems.clear()
    if desk.dropped:
        st.button(
            "Take them off the map",
            icon=":material/close:",
            key=f"dropped-{desk.name}",
            on_click=desk.dropped.clear,
        )
    for key, landing in reversed(desk.dropped.items()):
        _draw_card(atlas, landing, f"file-{desk.name}-{key}", picture=True)
    return list(desk.dropped.values())


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
            landing = landing or land_picture(
                atlas, file.getvalue(), file.file_id, file.name, shape, dark, centre
            )
        except BadInput as problem:
            st.error(f"{plain(file.name)}: {plain(problem)}")
            continue
        landings.append(landing)
    for landing in reversed(landings):
        _draw_card(atlas, landing, f"file-{desk.name}-{landing.key}", picture=True)
    return landings


def _draw_camera(
    atlas: Atlas, desk: Desk, shape: tuple[int, int, int], dark: bool, centre: bool
) -> list[Landing]:
    shot = take_photo(f"camera-{desk.name}")
    if shot is None:
        return []
    landing = desk.landings.get(shot.file_id)
    try:
        landing = landing or land_picture(
            atlas, shot.getvalue(), shot.file_id, "your photo", shape, dark, centre
        )
    except BadInput as problem:
        st.error(plain(problem))
        return []
    _draw_card(atlas, landing, f"shot-{desk.name}-{landing.key}", picture=True)
    return [landing]


def take_photo(key: str) -> UploadedFile | None:
    """A photo by the visitor's camera, which is asked for only once it is wanted."""
    if not st.toggle(
        ":material/photo_camera: Use the camera",
        key=f"{key}-wanted",
        help="Browsers lend the camera only to pages on this machine or over https. The photo "
        "goes to this server alone, is fitted to what the network reads, and is not kept.",
    ):
        return None
    return st.camera_input("Take a photo", key=key, label_visibility="collapsed")


def land_picture(
    atlas: Atlas,
    data: bytes,
    key: str,
    name: str,
    shape: tuple[int, int, int],
    dark: bool,
    centre: bool,
) -> Landing:
    """Lands the picture in an image file, fitted to what the network reads.

    Raises:
        BadInput: no picture, or a file of more than 20 MB.
    """
    return land(atlas, fit_picture(atlas, data, shape, dark, centre), key, name)


def fit_picture(
    atlas: Atlas, data: bytes, shape: tuple[int, int, int], dark: bool, centre: bool
) -> torch.Tensor:
    """The picture in an image file as the network reads it, float32 `1 *input` in [0, 1].

    A picture of the network's own size is taken as it is: same input, same place.

    Args:
        data: the bytes of a PNG, JPEG, WebP or BMP file.
        shape: channels, height and width the network reads.
        dark: whether stored pictures are bright ink on a dark ground.
        centre: whether they are centred as MNIST's are.

    Raises:
        BadInput: no picture, or a file of more than 20 MB.
    """
    if len(data) > MAX_MB << 20:
        raise BadInput(f"The file is larger than {MAX_MB} MB; save a smaller picture.")
    picture = upload.decode_picture(data)
    wanted = atlas.classifier.input_shape
    recipe = recipe_of(atlas.settings)
    if recipe.grey:
        picture = to_grey(picture)
    if recipe.size is not None:
        # what the atlas is made of was fitted in this way
        picture = frame(picture, *recipe.size, recipe.fit)
    if picture.shape[:2] == shape[1:]:
        return as_input(picture, wanted)
    invert = "auto" if dark else False
    return as_input(picture, wanted, resize=True, invert=invert, centre=centre)


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
