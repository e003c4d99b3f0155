"""Framing: a picture is brought to another size, always in the same way."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

LUMA = (299, 587, 114)
"""Weights of red, green and blue in grey, in thousandths (ITU-R BT.601)."""


def frame(
    picture: UInt8[np.ndarray, "h w *c"], height: int, width: int, fit: str = "crop"
) -> UInt8[np.ndarray, "height width *c"]:
    """A picture in the wanted size, scaled with antialiasing; one of that size is left as it is.

    Args:
        picture: grey `(h, w)` or colour `(h, w, 3)`.
        fit: crop (the largest centred part of the wanted shape), stretch, or pad (all of it, on a
            ground of the median colour of its rim).
    """
    h, w = picture.shape[:2]
    if (h, w) == (height, width):
        return picture
    if fit == "crop":
        cut_h, cut_w = (
            min(h, max(1, round(w * height / width))),
            min(w, max(1, round(h * width / height))),
        )
        top, left = (h - cut_h) // 2, (w - cut_w) // 2
        return _scale(picture[top : top + cut_h, left : left + cut_w], height, width)
    if fit == "stretch":
        return _scale(picture, height, width)
    scale = min(height / h, width / w)
    part_h = min(height, max(1, round(h * scale)))
    part_w = min(width, max(1, round(w * scale)))
    placed = np.empty((height, width, *picture.shape[2:]), np.uint8)
    placed[:] = _rim(picture)
    top, left = (height - part_h) // 2, (width - part_w) // 2
    placed[top : top + part_h, left : left + part_w] = _scale(picture, part_h, part_w)
    return placed


def to_grey(picture: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """Brightness of a colour picture; a grey one is left as it is."""
    if picture.ndim == 2:
        return picture
    return ((picture @ np.array(LUMA, np.int64) + 500) // 1000).astype(np.uint8)


def _scale(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    whole = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))


def _rim(picture: np.ndarray) -> np.ndarray:
    edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return np.asarray(np.median(np.concatenate(edges), axis=0), np.uint8)
