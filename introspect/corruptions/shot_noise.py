"""Shot noise: a picture taken with few photons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption, draws


@dataclass(frozen=True)
class ShotNoise(AbstractCorruption):
    """Counts photons: a white pixel receives N on average, and every count has its chance.

    Poisson(N x) / N cut to [0, 1] (Hendrycks & Dietterich 2019: N = 500, 250, 100, 75, 50). The
    level is the standard deviation of a white pixel, 1 / sqrt(N), so that more is worse.
    """

    title = "Shot noise"
    quantity = "standard deviation of a white pixel, 1/√photons"
    published = (500**-0.5, 250**-0.5, 100**-0.5, 75**-0.5, 50**-0.5)
    top = 0.6
    limit = 10.0
    random = True

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        light = x.clamp_min(0)
        for level in levels:
            photons = level**-2
            counts = torch.poisson(light * photons, generator=draws(seed))
            yield (counts / photons).clamp_(0, 1)
