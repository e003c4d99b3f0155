"""Contrast: the picture in fog, everything nearer to its mean grey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption


@dataclass(frozen=True)
class Contrast(AbstractCorruption):
    """Moves every value towards the mean of its picture and channel by a share of the way.

    mean + c (x - mean), cut to [0, 1] (Hendrycks & Dietterich 2019: c = .75, .5, .4, .3, .15). The
    level is what is lost, 1 - c, so that more is worse.
    """

    title = "Less contrast"
    quantity = "share of the contrast lost"
    published = (0.25, 0.5, 0.6, 0.7, 0.85)
    top = 1.0
    limit = 1.0

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        mean = x.mean((2, 3), keepdim=True)
        for level in levels:
            yield (mean + (1 - level) * (x - mean)).clamp_(0, 1)
