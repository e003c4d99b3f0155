"""A small picture of an activation map, for the card of an atlas."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8

from introspect.plots.palette import class_colours

WIDTH, HEIGHT = 360, 220
MARGIN = 0.02
UNLABELLED = "#8a8f98"
"""The last colour: that of label -1."""


def draw(points: Path) -> bytes:
    """The map in `points.parquet`, coloured by label, as a PNG with a clear background."""
    import pyarrow.parquet as parquet
    from PIL import Image

    table = parquet.read_table(points, columns=["x", "y", "label"])
    z = np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()])
    picture = paint(z, table["label"].to_numpy())
    stream = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(stream, "PNG", optimize=True)
    return stream.getvalue()


def paint(
    z: Float[np.ndarray, "n 2"], label: Int64[np.ndarray, " n"]
) -> UInt8[np.ndarray, "h w 4"]:
    """One pixel mixes the classes of the points that fall on it; more points, less see-through.

    The outermost points are left out of the frame: one stray must not make the rest a dot.
    """
    low, high = np.quantile(z, [0.002, 0.998], axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2 * (1 + MARGIN), 1e-9)
    scale = min(WIDTH / 2 / half[0], HEIGHT / 2 / half[1])
    column = np.floor(WIDTH / 2 + (z[:, 0] - centre[0]) * scale).astype(np.int64)
    row = np.floor(HEIGHT / 2 - (z[:, 1] - centre[1]) * scale).astype(np.int64)
    inside = (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    pixel = (row * WIDTH + column)[inside]
    count = np.bincount(pixel, minlength=WIDTH * HEIGHT)
    classes = class_colours(int(label.max(initial=0)) + 1)
    palette = np.array([list(bytes.fromhex(code[1:])) for code in (*classes, UNLABELLED)], float)
    colour = palette[label[inside]]
    mixed = [np.bincount(pixel, colour[:, i], WIDTH * HEIGHT) for i in range(3)]
    rgb = np.stack(mixed, 1) / np.maximum(count, 1)[:, None]
    strength = np.log1p(count) / np.log1p(max(np.quantile(count[count > 0], 0.98), 1.0))
    alpha = np.where(count > 0, 90 + 165 * np.minimum(strength, 1), 0)
    return np.dstack([rgb.reshape(HEIGHT, WIDTH, 3), alpha.reshape(HEIGHT, WIDTH)]).astype(np.uint8)
