"""What every projection offers: `fit(h)` gives a frozen projector."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from introspect.basis import Activations
from introspect.plugin import Progress


@runtime_checkable
class Projector(Protocol):
    """A fitted projection; the same h always gets the same z."""

    def transform(self, h: Activations) -> Float[np.ndarray, "n 2"]:
        """Places rows of activations on the plane, float32."""
        ...

    def inverse_transform(self, z: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n p"]:
        """The activations that points of the plane stand for, float32."""
        ...


class AbstractProjection(abc.ABC):
    """Settings of a projection."""

    @abc.abstractmethod
    def fit(
        self,
        h: Activations,
        seed: int = 0,
        on_epoch: Progress | None = None,
        device: str = "cpu",
        checkpoint: Path | None = None,
        spans: dict[str, slice] | None = None,
    ) -> Projector:
        """Learns from the rows of h (float16 or float32, possibly memory-mapped).

        Args:
            on_epoch: told (done, total) now and then; answering False stops with Cancelled.
            device: where to learn: cpu or cuda; methods without a GPU form ignore it.
            spans: columns of h by layer, in execution order; None when h is a single layer.
            checkpoint: file from which an interrupted fit goes on, where the method can.
        """
