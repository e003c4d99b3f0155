"""Brightness: too much light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from introspect.corruptions.base import AbstractCorruption


@dataclass(frozen=True)
class Brightness(AbstractCorruption):
    """Adds light: raises the value V of hue, saturation and value (HSV), cut to [0, 1].

    With V = max(R, G, B) the colour keeps its proportions; a black pixel turns grey (Hendrycks &
    Dietterich 2019). In a grey picture that is x + level.
    """

    title = "More brightness"
    quantity = "light added, in units of the input"
    published = (0.05, 0.1, 0.15, 0.2, 0.3)
    top = 1.0
    limit = 1.0

    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        value = x.amax(1, keepdim=True)
        shade = torch.where(value > 0, x / value.clamp_min(1e-12), torch.ones_like(x))
        for level in levels:
            yield shade * (value + level).clamp(0, 1)
