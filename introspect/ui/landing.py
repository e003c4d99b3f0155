"""A new picture lands on the map: where, how sure the network is, and how strange it is."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64

from introspect.errors import BadInput
from introspect.plots.palette import class_colours
from introspect.points import OFF_THE_MAP
from introspect.ui.payload import picture_url

if TYPE_CHECKING:
    from introspect.atlas import Atlas, Positions

AROUND = 12
"""Stored samples, nearest on the map, whose mean stands for a new picture in other projections."""

DARK = 0.25
"""Mean grey value of the rim below which stored pictures count as bright ink on a dark ground."""

CENTRED = 0.02
"""Mean distance of the centre of mass from the middle, in sides, that counts as centred."""


EDGE = 90.0
"""Percentile of strangeness from which a sample is said to lie at the edge of the map."""


@dataclass(frozen=True)
class Landing:
    """One new picture and all that is said of it."""

    key: str
    title: str
    picture: np.ndarray
    """What the network read, uint8 (h, w) or (h, w, 3)."""
    z: Float[np.ndarray, " two"]
    outputs: Float[np.ndarray, " k"]
    predicted: int
    log_error: float
    log_error_map: float
    off_map: float

    @property
    def stranger(self) -> bool:
        return self.off_map > OFF_THE_MAP


def picture_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Channels, height and width a picture network reads; None for a table."""
    if len(input_shape) == 2:
        return 1, input_shape[0], input_shape[1]
    if len(input_shape) == 3 and input_shape[0] in (1, 3):
        return input_shape[0], input_shape[1], input_shape[2]
    return None


def first_pictures(atlas: Atlas, count: int = 64) -> list[np.ndarray]:
    """Some stored pictures, uint8 (h, w) or (h, w, 3), from the first sheet alone.

    Reading all sheets would cost most of a second before the first map is seen.
    """
    from PIL import Image

    thumbs = atlas.thumbs
    if thumbs is None:
        return []
    with Image.open(thumbs.folder / thumbs.sheets[0]) as image:
        sheet = np.asarray(image.convert("L" if thumbs.channels == 1 else "RGB"))
    pictures = []
    for tile in range(min(count, len(atlas.points.id), thumbs.per_sheet)):
        top, left = (
            tile // thumbs.columns * thumbs.height,
            tile % thumbs.columns * thumbs.width,
        )
        pictures.append(sheet[top : top + thumbs.height, left : left + thumbs.width])
    return pictures


def is_dark(atlas: Atlas) -> bool:
    """Whether the stored pictures are bright ink on a dark ground, judged by the rim of some."""
    rims = [
        np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).mean()
        for picture in first_pictures(atlas)
    ]
    return bool(rims) and float(np.mean(rims)) < 255 * DARK


def is_centred(atlas: Atlas) -> bool:
    """Whether the centre of mass of every stored picture is its middle, as MNIST prepares them."""
    offsets = []
    for picture in first_pictures(atlas):
        if picture.ndim != 2 or picture.sum() == 0:
            return False
        values = picture.astype(np.float64)
        axes = [np.arange(side) - (side - 1) / 2 for side in values.shape]
        sums = (values.sum(1), values.sum(0))
        offsets.append(
            [ink @ axis / values.sum() / len(axis) for ink, axis in zip(sums, axes, strict=True)]
        )
    return bool(offsets) and bool(np.abs(offsets).mean() < CENTRED)


def read_drawing(raw: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """The picture of a draw pad, uint8 (c, h, w).

    Raises:
        BadInput: not what our pad sends.
    """
    pixels = raw.get("pixels") if isinstance(raw, dict) else None
    try:
        values = np.frombuffer(base64.b64decode(pixels or "", validate=True), np.uint8)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadInput("The drawing arrived damaged; draw it again.") from error
    if values.size != shape[0] * shape[1] * shape[2]:
        raise BadInput("The drawing has another size than the network reads; reload the page.")
    return values.reshape(shape)


def land(atlas: Atlas, x: Any, key: str, title: str) -> Landing:
    """Locates one input, float32 `(1, *input)` in [0, 1]."""
    found: Positions = atlas.locate(x)
    values = np.asarray(x[0], np.float32)
    picture = np.round(values * 255).clip(0, 255).astype(np.uint8)
    if picture.ndim == 3:
        picture = picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0)
    return Landing(
        key=key,
        title=title,
        picture=picture,
        z=found.z[0],
        outputs=found.outputs[0],
        predicted=int(found.predicted[0]),
        log_error=float(found.log_error[0]),
        log_error_map=float(found.log_error_map[0]),
        off_map=float(found.off_map[0]),
    )


def nearest_rows(
    z: Float[np.ndarray, "n 2"], place: Float[np.ndarray, " two"], count: int
) -> Int64[np.ndarray, " count"]:
    """The stored samples nearest to a place on the map, nearest first."""
    square = ((z - place) ** 2).sum(1)
    count = min(count, len(z))
    rows = np.argpartition(square, count - 1)[:count]
    return rows[np.argsort(square[rows], kind="stable")]


def to_probe(atlas: Atlas, landing: Landing) -> dict[str, Any]:
    """The mark of a new picture, for the map; in fitted projections its place is approximate."""
    around = nearest_rows(atlas.points.z, landing.z, AROUND)
    at = {
        name: _pair(landing.z if name == "infovae" else z[around].mean(0))
        for name, z in atlas.points.views.items()
    }
    name = atlas.classifier.classes[landing.predicted]
    return {
        "key": landing.key,
        "at": at,
        "approximate": [name for name in at if name != "infovae"],
        "picture": picture_url(landing.picture),
        "title": name,
        "note": f"output {landing.outputs[landing.predicted]:.2f} · {landing.title}",
        "warn": landing.stranger,
    }


def _pair(place: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in place]


def to_bars(
    outputs: Float[np.ndarray, " k"], classes: tuple[str, ...], label: int = -1
) -> list[dict[str, Any]]:
    """The outputs as bars in the class colours of both themes; the true class is marked."""
    light, dark = (class_colours(len(classes), dark) for dark in (False, True))
    return [
        {
            "name": name,
            "value": float(outputs[code]),
            "colour": light[code],
            "dark": dark[code],
            "label": code == label,
        }
        for code, name in enumerate(classes)
    ]


def plain_error(log_error: float) -> str:
    """An estimated error as a person writes it: "0.34", "6.3 × 10⁻⁵"."""
    if not np.isfinite(log_error):
        return "unknown"
    if log_error >= -3:
        return f"{10**log_error:.2g}"
    exponent = int(np.floor(log_error))
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{10 ** (log_error - exponent):.1f} × 10{digits}"


def to_facts(
    z: Float[np.ndarray, " two"], log_error: float, log_error_map: float, off_map: float
) -> list[tuple[str, str, str]]:
    """Place and estimates as (name, value, explanation)."""
    return [
        ("place", f"{z[0]:.3f}, {z[1]:.3f}".replace("-", "−"), "z₁, z₂ on the activation map"),
        (
            "error, ê(h)",
            f"{plain_error(log_error)}  ({log_error:.2f})".replace("-", "−"),
            "Estimated error from all activations, and its log10: lower is surer",
        ),
        (
            "error, ê(z)",
            f"{plain_error(log_error_map)}  ({log_error_map:.2f})".replace("-", "−"),
            "Estimated error at this place of the map, and its log10",
        ),
        (
            "strangeness",
            f"{off_map:.1f} %",
            "Share of validation samples whose activations are more like what was learnt from; "
            "above 99 % the picture is off the map",
        ),
    ]


def verdict(off_map: float) -> str:
    """In words how familiar the activations are: on the map, at its edge, or off it."""
    if not np.isfinite(off_map):
        return "Whether it is on the map is unknown: there were no validation samples to compare."
    if warning := warn(off_map):
        return warning
    where = "At the edge of the map" if off_map > EDGE else "On the map"
    return (
        f"{where}: its activations are stranger than those of {off_map:.1f} % of the validation "
        f"samples; above {OFF_THE_MAP:.0f} % it would be off the map."
    )


def warn(off_map: float) -> str | None:
    """A sentence for a picture that is unlike anything recorded."""
    if off_map <= OFF_THE_MAP:
        return None
    return (
        f"Off the map: its activations are stranger than those of {off_map:.1f} % of the "
        "validation samples, so the place and the prediction mean little."
    )
