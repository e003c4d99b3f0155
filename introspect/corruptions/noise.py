"""Gaussian noise: every value moves a little, each on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption, draws


@dataclass(frozen=True)
class Noise(AbstractCorruption):
    """Adds Gaussian noise of standard deviation σ to every value, not cut to [0, 1].

    x + σ N(0, 1), as in the constellations of Pardo et al. 2020 (§3.4, σ = 0, .1, .2, .3).
    Hendrycks & Dietterich cut their noise to [0, 1]; the paper does not say, so that is a choice
    of whoever scatters.
    """

    title = "Gaussian noise"
    quantity = "standard deviation σ, in units of the input"
    published = (0.04, 0.06, 0.08, 0.09, 0.10)
    top = 1.0
    limit = float("inf")
    pictures = False
    random = True

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        noise = torch.randn(x.shape, generator=draws(seed))
        for level in levels:
            yield torch.add(x, noise, alpha=level)
