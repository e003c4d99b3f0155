"""What the map in the browser is made of: arrays as bytes under their content hash, the rest JSON.

Each part travels once and is kept by the browser; whatever changes while one looks is small.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer, UInt8, UInt16

from introspect.plots.palette import VIRIDIS, class_colours, marks

if TYPE_CHECKING:
    from introspect.atlas import Atlas, Chart, Points, Thumbs

SPLITS = ("train", "validation", "test")
MISSING = 65535
LEVELS = 65534
"""A score is sent as 16-bit levels between its lowest and highest value; 65535 is "no value"."""

CHART_SIDE = 320
AROUND = (2.4, 1.6)
"""How far the error map reaches, in widths and heights of the points: a window is never square."""
VIEWS = {
    "infovae": ("InfoVAE", ("z₁", "z₂"), "The frozen encoder: same input, same place."),
    "umap": ("UMAP", ("UMAP 1", "UMAP 2"), "Neighbourhoods of the same activations by UMAP."),
    "pca": ("PCA", ("PC 1", "PC 2"), "The two directions of largest variance."),
}


@dataclass(frozen=True)
class Score:
    """One number per sample that the dots can be coloured by."""

    name: str
    title: str
    help: str
    kind: str
    """How values are written: "log10", "percent", "share" or "number"."""
    values: np.ndarray


@dataclass(frozen=True)
class Packed:
    """The parts of a map by content hash, and the hash of the manifest that names them."""

    manifest: str
    parts: dict[str, bytes | Path] = field(repr=False)
    kinds: dict[str, str] = field(repr=False)
    """Media types; parts without one are plain bytes."""


class _Parts:
    def __init__(self) -> None:
        self.parts: dict[str, bytes | Path] = {}
        self.kinds: dict[str, str] = {}

    def add(self, body: bytes, kind: str | None = None) -> str:
        key = content_key(body)
        self.parts[key] = body
        if kind is not None:
            self.kinds[key] = kind
        return key

    def add_file(self, path: Path) -> str:
        key = content_key(path.read_bytes())
        self.parts[key] = path
        self.kinds[key] = {".webp": "image/webp", ".jpg": "image/jpeg"}.get(
            path.suffix, "image/png"
        )
        return key


def content_key(body: bytes) -> str:
    """The name of a blob: 128 bits of its SHA-256, as hex."""
    return hashlib.sha256(body).hexdigest()[:32]


def pack_codes(points: Points, classes: int) -> tuple[bytes, str]:
    """Labels, predictions and splits, one after the other, and the kind of the first two.

    A missing label (-1) becomes the code `classes`, one past the last class.
    """
    kind, dtype = ("u1", "<u1") if classes < 255 else ("u2", "<u2")
    label = np.where(points.label < 0, classes, points.label)
    columns = (label.astype(dtype), points.predicted.astype(dtype), points.split.astype("<u1"))
    return b"".join(np.ascontiguousarray(column).tobytes() for column in columns), kind


def pack_score(values: Float[np.ndarray, " n"]) -> tuple[UInt16[np.ndarray, " n"], float, float]:
    """Values as 16-bit levels and the range (lowest, highest) that the levels divide."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high <= low:
        high = low + 1.0
    with np.errstate(invalid="ignore"):
        levels = np.round((values.astype(np.float64) - low) * (LEVELS / (high - low)))
    packed = np.where(np.isfinite(values), np.clip(levels, 0, LEVELS), MISSING)
    return packed.astype("<u2"), low, high


def unpack_score(
    packed: UInt16[np.ndarray, " n"], low: float, high: float
) -> Float[np.ndarray, " n"]:
    """The values the browser sees: what `pack_score` kept of them, as float32."""
    values = low + packed.astype(np.float64) * ((high - low) / LEVELS)
    return np.where(packed == MISSING, np.nan, values).astype(np.float32)


def wide_chart(atlas: Atlas) -> Chart:
    """The error map of the points and of the empty plane round them that a window shows."""
    x0, x1, y0, y1 = atlas.chart(2).extent
    middle, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    reach = (half[0] * AROUND[0], half[1] * AROUND[1])
    extent = (
        middle[0] - reach[0],
        middle[0] + reach[0],
        middle[1] - reach[1],
        middle[1] + reach[1],
    )
    return atlas.chart(CHART_SIDE, extent)


def pack_chart(
    chart: Chart, estimates: Float[np.ndarray, " n"]
) -> tuple[UInt8[np.ndarray, "g g"], float, float]:
    """The error map as 256 levels, and the log10 errors of the lowest and the highest level.

    Args:
        estimates: those of the points; far outside them the estimator only extrapolates, so
            what exceeds their range is drawn like its end.
    """
    finite = estimates[np.isfinite(estimates)]
    low, high = np.quantile(finite, (0.002, 0.999)) if len(finite) else (0.0, 1.0)
    low, high = float(low), float(max(high, low + 0.1))
    levels = np.round((chart.log_error - low) * (255 / (high - low)))
    return np.clip(levels, 0, 255).astype(np.uint8), low, high


def scores(points: Points) -> list[Score]:
    """Everything the dots of these points can be coloured by beside classes and splits."""
    wrong = "dark is sure, bright is unsure"
    return [
        Score(
            "log_error",
            "Estimated error ê(h)",
            f"From all activations, log10; {wrong}.",
            "log10",
            points.log_error,
        ),
        Score(
            "log_error_map",
            "Estimated error ê(z)",
            f"From the place on the map, log10; {wrong}.",
            "log10",
            points.log_error_map,
        ),
        Score(
            "off_map",
            "Off the map",
            "Share of validation samples that look more familiar; above 99 % is a stranger.",
            "percent",
            points.off_map,
        ),
        Score(
            "top_output",
            "Highest output",
            "What the network itself says of its first choice.",
            "share",
            points.outputs.max(1),
        ),
    ]


def pack_map(atlas: Atlas) -> Packed:
    """Everything the browser needs to draw an atlas: points, error map, scores, picture sheets."""
    points, classes = atlas.points, atlas.classifier.classes
    parts = _Parts()
    codes, kind = pack_codes(points, len(classes))
    ids = points.id
    manifest: dict[str, Any] = {
        "name": atlas.name,
        "n": len(ids),
        "classes": list(classes),
        "splits": list(SPLITS),
        "palette": {
            "light": class_colours(len(classes)),
            "dark": class_colours(len(classes), dark=True),
            "marks_light": marks(),
            "marks_dark": marks(dark=True),
        },
        "ramp": VIRIDIS,
        "codes": {"key": parts.add(codes), "kind": kind},
        "ids": None if np.array_equal(ids, np.arange(len(ids))) else _pack_ids(parts, ids),
        "views": [_pack_view(parts, name, points.views[name]) for name in _view_names(points)],
        "scores": [_pack_score(parts, score) for score in scores(points)],
        "chart": _pack_chart(parts, wide_chart(atlas), points.log_error_map),
        "thumbs": None if atlas.thumbs is None else _pack_thumbs(parts, atlas.thumbs),
    }
    key = parts.add(json.dumps(manifest).encode(), "application/json")
    return Packed(key, parts.parts, parts.kinds)


def _view_names(points: Points) -> list[str]:
    return [name for name in VIEWS if name in points.views] + [
        name for name in points.views if name not in VIEWS
    ]


def _pack_view(parts: _Parts, name: str, z: Float[np.ndarray, "n 2"]) -> dict[str, Any]:
    title, axes, help = VIEWS.get(name, (name, (f"{name} 1", f"{name} 2"), ""))
    body = np.ascontiguousarray(z, "<f4").tobytes()
    return {"name": name, "title": title, "axes": axes, "help": help, "key": parts.add(body)}


def _pack_score(parts: _Parts, score: Score) -> dict[str, Any]:
    packed, low, high = pack_score(score.values)
    finite = score.values[np.isfinite(score.values)]
    # A few extreme values must not wash out the colours of all others.
    shown = np.quantile(finite, (0.002, 0.998)) if len(finite) else (low, high)
    return {
        "name": score.name,
        "title": score.title,
        "help": score.help,
        "kind": score.kind,
        "low": low,
        "high": high,
        "shown": [float(shown[0]), max(float(shown[1]), float(shown[0]) + 1e-6)],
        "key": parts.add(packed.tobytes()),
    }


def _pack_ids(parts: _Parts, ids: Integer[np.ndarray, " n"]) -> dict[str, str]:
    small = bool(np.abs(ids).max(initial=0) < 2**31)
    return {
        "key": parts.add(ids.astype("<i4" if small else "<f8").tobytes()),
        "kind": "i4" if small else "f8",
    }


def _pack_chart(parts: _Parts, chart: Chart, estimates: Float[np.ndarray, " n"]) -> dict[str, Any]:
    levels, low, high = pack_chart(chart, estimates)
    height, width = levels.shape
    return {
        "key": parts.add(levels.tobytes()),
        "width": width,
        "height": height,
        "extent": [float(edge) for edge in chart.extent],
        "low": low,
        "high": high,
    }


def _pack_thumbs(parts: _Parts, thumbs: Thumbs) -> dict[str, Any]:
    return {
        "height": thumbs.height,
        "width": thumbs.width,
        "columns": thumbs.columns,
        "per_sheet": thumbs.per_sheet,
        "sheets": [parts.add_file(thumbs.folder / name) for name in thumbs.sheets],
    }


def picture_url(picture: np.ndarray) -> str:
    """A picture (uint8, HW or HWC) as a data URL small enough to travel with a message."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    if max(image.size) > 160:
        image.thumbnail((160, 160))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
