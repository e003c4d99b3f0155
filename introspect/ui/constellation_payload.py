"""A constellation as the browser takes it: places and classes as bytes, the rest as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from introspect.constellation import Constellation, estimate_errors
from introspect.corruptions.base import is_picture
from introspect.ui.payload import Packed, content_key
from introspect.ui.selection import harmless

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.corruptions.base import AbstractCorruption

COLUMNS = (
    *("atlas", "corruption", "level", "copy", "z1", "z2"),
    *("predicted", "kept", "output", "log_error_map"),
)

TILE = 96
"""Longest side of an example that is sent, in pixels."""

FIRST = 0.3
"""Where the slider stands at first: the strongest noise of the paper's figure, or such a share."""


def pack_constellation(
    found: Sequence[Constellation],
    names: Sequence[str],
    maps: Sequence[str],
    corruption: AbstractCorruption,
    sample: str,
) -> Packed:
    """Constellations of the same copies on one or two maps.

    Args:
        names: of the atlases.
        maps: keys of the manifests of their maps in `routes.BLOBS`.
        sample: what the sample is called.
    """
    parts: dict[str, bytes] = {}
    kinds: dict[str, str] = {}

    def add(body: bytes, kind: str | None = None) -> str:
        key = content_key(body)
        parts[key] = body
        if kind is not None:
            kinds[key] = kind
        return key

    first = found[0]
    manifest: dict[str, Any] = {
        "sample": sample,
        "corruption": first.corruption,
        "title": corruption.title,
        "quantity": corruption.quantity,
        "symbol": "σ = " if first.corruption == "noise" else "",
        "levels": [float(level) for level in first.sigma],
        "published": [mark for mark in corruption.published if mark <= first.sigma.max()],
        "start": FIRST * (1.0 if first.corruption == "noise" else corruption.top),
        "copies": first.z.shape[1],
        "panels": [
            _pack_panel(one, name, key, add)
            for one, name, key in zip(found, names, maps, strict=True)
        ],
        "sprite": None,
    }
    if is_picture(first.x.shape):
        sheet, width, height, columns = draw_sprite(first)
        manifest["sprite"] = {
            "key": add(_png(sheet), "image/png"),
            "width": width,
            "height": height,
            "columns": columns,
        }
    key = add(json.dumps(manifest).encode(), "application/json")
    return Packed(key, dict(parts), kinds)


def _pack_panel(one: Constellation, name: str, key: str, add: Any) -> dict[str, Any]:
    kind, dtype = ("u1", "u1") if one.outputs.shape[2] <= 256 else ("u2", "<u2")
    return {
        "name": name,
        "map": key,
        "z": add(np.ascontiguousarray(one.z, "<f4").tobytes()),
        "codes": {"key": add(one.predicted.astype(dtype).tobytes()), "kind": kind},
        "clean": [float(value) for value in one.clean],
        "source": one.source,
        "kept": [float(share) for share in one.kept],
        "shift": [float(length) for length in one.shift],
    }


def draw_sprite(one: Constellation) -> tuple[UInt8[np.ndarray, " ..."], int, int, int]:
    """The sample and its first copies at every level on one sheet; tile width, height, columns.

    One row a level; column 0 is the sample as it is. Values are cut to [0, 1], as a screen does.
    """
    levels, shape = len(one.sigma), one.x.shape
    grid = np.concatenate([np.broadcast_to(one.x, (levels, 1, *shape)), one.examples], 1)
    if len(shape) == 2:
        grid = grid[:, :, None]
    s, e, channels, height, width = grid.shape
    tiles = np.round(grid.clip(0, 1) * 255).astype(np.uint8)
    step = -(-max(height, width) // TILE)
    tiles = tiles[..., ::step, ::step]
    height, width = tiles.shape[-2:]
    sheet = tiles.transpose(0, 3, 1, 4, 2).reshape(s * height, e * width, channels)
    return (sheet[..., 0] if channels == 1 else sheet), width, height, e


def _png(sheet: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(file, "PNG")
    return file.getvalue()


def to_csv(found: Sequence[Constellation], atlases: Sequence[Atlas]) -> bytes:
    """One line a copy: atlas, level, copy, z1, z2, class, its output, ê(z) as log10; UTF-8."""
    import csv

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one, atlas in zip(found, atlases, strict=True):
        predicted, top, errors = one.predicted, one.outputs.max(2), estimate_errors(atlas, one)
        name = harmless(atlas.name)
        titles = [harmless(title) for title in atlas.classes]
        for s, level in enumerate(one.sigma):
            for c, code in enumerate(predicted[s]):
                kept = int(code == one.source)
                figures = (*one.z[s, c], top[s, c], errors[s, c])
                x, y, output, error = (f"{value:.6g}" for value in figures)
                writer.writerow(
                    [name, one.corruption, f"{level:g}", c, x, y, titles[code], kept, output, error]
                )
    return file.getvalue().encode()


def to_npz(found: Sequence[Constellation], atlases: Sequence[Atlas]) -> bytes:
    """All arrays, and ê(z); those of a second atlas end in `_2`."""
    file = io.BytesIO()
    arrays: dict[str, np.ndarray] = {}
    for number, (one, atlas) in enumerate(zip(found, atlases, strict=True)):
        mark = "" if number == 0 else f"_{number + 1}"
        arrays |= {f"{key}{mark}": value for key, value in one.arrays().items()}
        arrays[f"log_error_map{mark}"] = estimate_errors(atlas, one)
        arrays[f"atlas{mark}"] = np.array(atlas.name)
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()
