"""Ensembles: several networks answer together, each weighted by how sure its introspector is.

Pardo et al. 2020, section 4, propose −log10 ê of every network as its weight; nothing is measured
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from introspect.atlas import Atlas
from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress
from introspect.ranking import RESAMPLES, Estimate

SURETIES = {"error_map": "log_error_map", "error": "log_error"}
"""Whose estimate is the weight: ê(z) as the paper has it, or ê(h)."""


@dataclass(frozen=True, eq=False)
class Vote:
    """What a networks answered about m inputs, and how sure each was; arrays are read-only.

    `outputs` ŷ of every network; `surety` is max(0, −log10 ê): orders of magnitude by which its
    error is expected to be below one.
    """

    outputs: Float[np.ndarray, "a m k"]
    surety: Float[np.ndarray, "a m"]

    def __post_init__(self) -> None:
        for value in (self.outputs, self.surety):
            value.setflags(write=False)

    @property
    def equal(self) -> Float64[np.ndarray, "m k"]:
        """Mean of the outputs: every network counts the same."""
        return self.outputs.mean(0, dtype=np.float64)

    @property
    def weighted(self) -> Float64[np.ndarray, "m k"]:
        """Mean of the outputs weighted by surety; equal weights where no network is sure."""
        weight = self.surety.astype(np.float64)
        total = weight.sum(0)
        weight = np.where(total > 0, weight, 1.0)
        return np.einsum("am,amk->mk", weight / weight.sum(0), self.outputs.astype(np.float64))

    @property
    def surest(self) -> Float64[np.ndarray, "m k"]:
        """The outputs of whichever network is surest of the input."""
        best = self.surety.argmax(0)
        return self.outputs[best, np.arange(self.outputs.shape[1])].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Atlases of networks that tell the same classes of the same inputs apart; see `gather`."""

    atlases: tuple[Atlas, ...]

    def vote(self, x: Any, by: str = "error_map", on_batch: Progress | None = None) -> Vote:
        """Asks every network.

        Args:
            x: inputs as `Atlas.locate` takes them.
            by: "error_map" for ê(z) (the paper's), "error" for ê(h).
            on_batch: told (networks asked, networks in all).

        Raises:
            BadInput: no such estimate, or the inputs do not fit; Cancelled: `on_batch` answered
                False.
        """
        if by not in SURETIES:
            raise BadInput(f"There is no estimate {by!r}: choose {' or '.join(SURETIES)}.")
        outputs, surety = [], []
        for number, atlas in enumerate(self.atlases):
            if on_batch is not None and on_batch(number, len(self.atlases)) is False:
                raise Cancelled("The vote was stopped.")
            found = atlas.locate(x)
            outputs.append(found.outputs)
            surety.append(np.maximum(0.0, -getattr(found, SURETIES[by])))
        if on_batch is not None:
            on_batch(len(self.atlases), len(self.atlases))
        return Vote(np.stack(outputs), np.stack(surety))


def gather(atlases: Sequence[Atlas]) -> Ensemble:
    """An ensemble of at least two atlases.

    Raises:
        BadInput: there are fewer than two, or classes or input shapes differ, or a network is
            absent.
    """
    if len(atlases) < 2:
        raise BadInput("An ensemble needs at least two atlases.")
    first = atlases[0]
    for other in atlases[1:]:
        if other.classes != first.classes:
            raise BadInput(f"{other.name} tells other classes apart than {first.name}.")
        if other.classifier.input_shape != first.classifier.input_shape:
            raise BadInput(f"{other.name} takes inputs of another shape than {first.name}.")
    absent = next((atlas.name for atlas in atlases if not atlas.complete), None)
    if absent is not None:
        raise BadInput(f"{absent} came without its network: it cannot vote.")
    return Ensemble(tuple(atlases))


def compare(
    right: Bool[np.ndarray, " m"],
    other: Bool[np.ndarray, " m"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Accuracy of one voter minus that of another on the same inputs, with a paired bootstrap.

    Resampling m inputs with replacement only changes how often the two disagree each way, so the
    counts are drawn and not the rows.
    """
    m = len(right)
    if not m:
        return Estimate(float("nan"), float("nan"), float("nan"))
    better, worse = int((right & ~other).sum()), int((~right & other).sum())
    share = np.array([better, worse, m - better - worse]) / m
    drawn = np.random.default_rng(seed).multinomial(m, share, resamples)
    return Estimate.of((better - worse) / m, (drawn[:, 0] - drawn[:, 1]) / m)
