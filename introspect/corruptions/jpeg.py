"""JPEG: the picture saved with too few bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption


@dataclass(frozen=True)
class Jpeg(AbstractCorruption):
    """Saves the picture as JPEG of low quality and reads it again.

    Pillow's quality is 100 - level (Hendrycks & Dietterich 2019: 80, 65, 58, 50, 40), so that more
    is worse; at level 0 nothing is saved at all.
    """

    title = "JPEG"
    quantity = "quality lost, 100 − JPEG quality"
    published = (20.0, 35.0, 42.0, 50.0, 60.0)
    top = 99.0
    limit = 99.0

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        whole = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for level in levels:
            quality = max(1, round(100 - level))
            pictures = np.stack([_saved(picture, quality) for picture in whole])
            yield torch.from_numpy(pictures).to(x.dtype).div_(255).permute(0, 3, 1, 2)


def _saved(picture: np.ndarray, quality: int) -> np.ndarray:
    grey = picture.shape[2] == 1
    image = Image.fromarray(picture[..., 0] if grey else picture)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file))
    return read[..., None] if grey else read
