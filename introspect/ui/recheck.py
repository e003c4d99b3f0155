"""Same input, same place: a stored sample is located again, alone and among others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from introspect.errors import BadInput

if TYPE_CHECKING:
    from introspect.atlas import Atlas

BATCH = 64
TOLERANCE = 1e-4
"""Largest difference in z that counts as the same place; another machine may use it up."""


@dataclass(frozen=True)
class Recheck:
    """Largest differences in z between ways to locate one stored sample."""

    row: int
    alone_twice: float
    in_batch: float
    stored: float

    @property
    def ok(self) -> bool:
        return self.alone_twice == 0 and max(self.in_batch, self.stored) <= TOLERANCE


def recheck(atlas: Atlas, seed: int) -> Recheck:
    """Locates a random stored sample alone twice and in the middle of a shuffled batch."""
    kept = atlas.kept
    if kept is None:
        raise BadInput("This atlas came without its inputs, so there is nothing to place again.")
    rng = np.random.default_rng(seed)
    rows = rng.choice(kept.rows, size=min(BATCH, len(kept)), replace=False)
    place = int(rng.integers(len(rows)))
    row = int(rows[place])
    x = atlas.inputs(rows)
    alone = atlas.locate(x[place : place + 1]).z[0]
    again = atlas.locate(x[place : place + 1]).z[0]
    batch = atlas.locate(x).z[place]
    return Recheck(
        row=row,
        alone_twice=_largest(alone, again),
        in_batch=_largest(alone, batch),
        stored=_largest(alone, atlas.points.z[row]),
    )


def _largest(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.float64) - second.astype(np.float64)).max())


def tell(atlas: Atlas, found: Recheck) -> str:
    """The outcome in one or two sentences."""
    sample = f"Sample #{atlas.points.id[found.row]:,}"
    figures = (
        f"alone twice: {_figure(found.alone_twice)}; in a shuffled batch of {BATCH}: "
        f"{_figure(found.in_batch)}; stored: {_figure(found.stored)}"
    )
    verdict = "landed on its own dot again" if found.ok else "did not land on its dot"
    return f"{sample} {verdict}. Largest differences in z: {figures}."


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"
