"""What every corruption offers: the same inputs spoilt at one level after the other."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from introspect.errors import BadInput

STEPS = 20
"""Steps of a grid of levels, beside the published severities."""


class AbstractCorruption(abc.ABC):
    """One way to spoil inputs in [0, 1]; a level is its strength in the unit `quantity` names.

    `published` are severities 1 to 5 for pictures of 32 x 32 of Hendrycks & Dietterich 2019
    (arXiv 1903.12261, code of CIFAR-10-C), where they have such a corruption. `top` is the highest
    level a page offers at first, `limit` the highest that means anything. Where `random` is false
    nothing is drawn, so that all copies of an input are spoilt alike.
    """

    title: ClassVar[str]
    quantity: ClassVar[str]
    published: ClassVar[tuple[float, ...]] = ()
    top: ClassVar[float]
    limit: ClassVar[float]
    pictures: ClassVar[bool] = True
    random: ClassVar[bool] = False

    @abc.abstractmethod
    def corrupt(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int
    ) -> Iterator[Float[Tensor, " m *input"]]:
        """The inputs at every level, all of them above 0, in that order.

        What is drawn is drawn once and used at every level, so that a copy moves steadily as the
        level rises, and equal seeds and shapes draw the same.
        """

    @final
    def sweep(
        self, x: Float[Tensor, " m *input"], levels: Sequence[float], seed: int = 0
    ) -> Iterator[Float[Tensor, " m *input"]]:
        """The inputs at every level; level 0 leaves them as they are, bit by bit.

        Args:
            x: float32 on the CPU, in [0, 1]; "m h w" or "m c h w" with 1 or 3 channels where this
                is a corruption of pictures.

        Raises:
            BadInput: a level that means nothing, or inputs that are no pictures.
        """
        self.check(levels, tuple(x.shape[1:]))
        flat = x.dim() == 3
        above = [float(level) for level in levels if level > 0]
        spoilt = self.corrupt(x[:, None] if flat and self.pictures else x, above, seed)
        for level in levels:
            yield x if level == 0 else next(spoilt).reshape(x.shape)

    @final
    def check(self, levels: Sequence[float], shape: tuple[int, ...]) -> None:
        """Refuses levels and inputs that this corruption has no meaning for.

        Raises:
            BadInput: says which and what to do.
        """
        if self.pictures and not is_picture(shape):
            raise BadInput(
                f"{self.title} is for pictures, but this network takes inputs of shape {shape}: "
                "use noise."
            )
        if not len(levels):
            raise BadInput("No level is given: name at least one, 0 for the input as it is.")
        for level in levels:
            if not math.isfinite(level) or not 0 <= level <= self.limit:
                span = "0 or more" if math.isinf(self.limit) else f"from 0 to {self.limit:g}"
                raise BadInput(f"{self.title} of {level:g} means nothing: choose {span}.")

    @final
    def grid(self, top: float | None = None) -> tuple[float, ...]:
        """Levels from 0 to `top` in even steps, and the published severities between them."""
        top = self.top if top is None else top
        even = np.linspace(0, top, STEPS + 1).tolist()
        near = top / STEPS / 4
        marks = [mark for mark in self.published if mark <= top]
        kept = [v for v in even if v in (0, top) or all(abs(v - mark) > near for mark in marks)]
        return tuple(sorted({float(f"{level:.6g}") for level in [*kept, *marks]}))


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape, (h, w) or (c, h, w), are grey or colour pictures."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def draws(seed: int) -> torch.Generator:
    """A stream of random numbers of its own."""
    return torch.Generator().manual_seed(seed)
