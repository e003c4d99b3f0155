"""Rotation: the picture held at an angle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption, draws


@dataclass(frozen=True)
class Rotation(AbstractCorruption):
    """Turns every copy about the middle by an angle of its own, evenly from -level to +level.

    Bilinear; what comes in from outside repeats the rim. Not among the corruptions of Hendrycks &
    Dietterich 2019.
    """

    title = "Rotation"
    quantity = "largest angle, in degrees to either side"
    top = 90.0
    limit = 180.0
    random = True

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        m, _, height, width = x.shape
        share = 2 * torch.rand(m, generator=draws(seed)) - 1
        for level in levels:
            angle = share * math.radians(level)
            cosine, sine, none = angle.cos(), angle.sin(), torch.zeros(m)
            # The grid counts from -1 to 1 along either side, whatever their lengths.
            rows = (cosine, -sine * height / width, none, sine * width / height, cosine, none)
            grid = F.affine_grid(
                torch.stack(rows, 1).reshape(m, 2, 3), list(x.shape), align_corners=False
            )
            yield F.grid_sample(x, grid, padding_mode="border", align_corners=False)
