"""PCA: the two directions in which the activations vary most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from introspect.basis import Activations, Basis, chunks
from introspect.plugin import Progress, knob
from introspect.projections.base import AbstractProjection


@dataclass(frozen=True, eq=False)
class PCAProjector:
    """Fitted directions; z = (h - mean) @ axes / spread, so that each axis has variance one."""

    mean: Float[np.ndarray, " p"]
    axes: Float[np.ndarray, "p 2"]

    def transform(self, h: Activations) -> Float[np.ndarray, "n 2"]:
        """Coordinates along both directions, float32."""
        shift = self.mean @ self.axes
        return np.concatenate([part.numpy() @ self.axes - shift for _, part in chunks(h)])

    def inverse_transform(self, z: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n p"]:
        """The nearest activations in the plane of both directions, float32."""
        return (z @ np.linalg.pinv(self.axes) + self.mean).astype(np.float32)


@dataclass(frozen=True)
class PCA(AbstractProjection):
    """A straight shadow of the activations: the two directions with the largest variance.

    Nothing is learnt beyond that, which makes it a plain control for the curved maps: structure
    that shows here is really large in the activations (Pearson 1901).
    """

    standardise: float = knob(
        1.0, 0.0, 1.0, "1 gives every unit the same say, 0 lets units with large values say more."
    )

    def fit(
        self,
        h: Activations,
        seed: int = 0,
        on_epoch: Progress | None = None,
        device: str = "cpu",
        checkpoint: Path | None = None,
        spans: dict[str, slice] | None = None,
    ) -> PCAProjector:
        """Finds the directions from at most 8,192 seeded rows."""
        basis = Basis.fit(h, 2, seed, self.standardise)
        spread = basis.shorten(h[:8192]).std(0, correction=0).clamp_min(1e-12)
        axes = (basis.axes / basis.scale[:, None] / spread).numpy()
        return PCAProjector(basis.mean.numpy(), axes)
