"""Blur: the picture out of focus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption

REACH = 4.0
"""Standard deviations after which the weights are cut off."""


@dataclass(frozen=True)
class Blur(AbstractCorruption):
    """Smooths the picture with a Gaussian of standard deviation σ; its rim goes on beyond it.

    The Gaussian blur of Hendrycks & Dietterich 2019 (an extra corruption of theirs).
    """

    title = "Blur"
    quantity = "standard deviation σ, in pixels"
    published = (0.4, 0.6, 0.7, 0.8, 1.0)
    top = 4.0
    limit = 64.0

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        m, channels, height, width = x.shape
        single = x.reshape(m * channels, 1, height, width)
        for level in levels:
            reach = int(REACH * level + 0.5)
            place = torch.arange(-reach, reach + 1, dtype=x.dtype)
            weight = torch.exp(-0.5 * (place / level) ** 2)
            weight = weight / weight.sum()
            padded = F.pad(single, (reach, reach, reach, reach), mode="replicate")
            down = F.conv2d(padded, weight.reshape(1, 1, -1, 1))
            yield F.conv2d(down, weight.reshape(1, 1, 1, -1)).reshape(x.shape)
