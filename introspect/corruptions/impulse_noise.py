"""Impulse noise: some values are simply lost, "salt and pepper"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption, draws


@dataclass(frozen=True)
class ImpulseNoise(AbstractCorruption):
    """Turns a share of the values to 0 or 1, either with equal chance, and leaves the others.

    As `random_noise(mode="s&p")` of scikit-image in Hendrycks & Dietterich 2019: every channel of
    a pixel on its own.
    """

    title = "Impulse noise"
    quantity = "share of values lost"
    published = (0.01, 0.02, 0.03, 0.05, 0.07)
    top = 0.5
    limit = 1.0
    random = True

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        stream = draws(seed)
        chance = torch.rand(x.shape, generator=stream)
        lost = (torch.rand(x.shape, generator=stream) < 0.5).to(x.dtype)
        for level in levels:
            yield torch.where(chance < level, lost, x)
