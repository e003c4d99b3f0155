"""Occlusion: something stands before the camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption, draws

GREY = 0.5


@dataclass(frozen=True)
class Occlusion(AbstractCorruption):
    """Covers a patch of every copy with mid grey, at a place drawn evenly inside the picture.

    Neither black nor white, so that it hides something on every ground. After DeVries & Taylor
    2017 (arXiv 1708.04552); not among the corruptions of Hendrycks & Dietterich 2019.
    """

    title = "Occlusion"
    quantity = "side of the patch, as a share of the picture's"
    top = 1.0
    limit = 1.0
    random = True

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        m, _, height, width = x.shape
        share = torch.rand(2, m, 1, generator=draws(seed))

        def inside(side: int, at: Tensor, level: float) -> Tensor:
            middle = (torch.arange(side) + 0.5)[None]
            start = at * side * (1 - level)
            return (middle >= start) & (middle < start + side * level)

        for level in levels:
            rows, columns = inside(height, share[0], level), inside(width, share[1], level)
            covered = (rows[:, :, None] & columns[:, None, :])[:, None]
            yield torch.where(covered, torch.tensor(GREY, dtype=x.dtype), x)
