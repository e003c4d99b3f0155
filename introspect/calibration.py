"""Calibration: whether a stated probability of being right is kept, and an error estimate too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

BINS = 15
SURE = 1.959964
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A reliability diagram: in every bin what was said, and what came true.

    `said` and `found` are means over the bin's `count` samples, NaN in an empty bin; `low` and
    `high` bound `found` with 95 % confidence. `gap` is Σ_b n_b/n |found_b − said_b|: the expected
    calibration error where probabilities are compared.
    """

    edges: Float64[np.ndarray, " e"]
    count: Int64[np.ndarray, " b"]
    said: Float64[np.ndarray, " b"]
    found: Float64[np.ndarray, " b"]
    low: Float64[np.ndarray, " b"]
    high: Float64[np.ndarray, " b"]
    gap: float


def calibrate(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> Calibration:
    """The diagram of a probability, with the expected calibration error (Naeini et al. 2015).

    Bins are of equal width, open below and closed above, (lo, hi]; a confidence of exactly 1 lies
    in the last one. Intervals are Wilson's (1927).
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count, said, found = _means(place, confidence, right, bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 + SURE**2 / count
        middle = (found + SURE**2 / (2 * count)) / scale
        half = SURE / scale * np.sqrt(found * (1 - found) / count + SURE**2 / (4 * count**2))
    return Calibration(
        edges, count, said, found, middle - half, middle + half, _gap(count, said, found)
    )


def compare_errors(
    estimate: Float[np.ndarray, " n"], actual: Float[np.ndarray, " n"], bins: int = BINS
) -> Calibration:
    """The diagram of an error estimate: mean of the true log10 error over that of its estimate.

    Bins hold equally many samples, as far as equal estimates allow; intervals are those of a mean.
    """
    inner = (
        np.unique(np.quantile(estimate, np.linspace(0, 1, bins + 1)[1:-1])) if len(estimate) else []
    )
    place = np.searchsorted(inner, estimate, side="left")
    bins = len(inner) + 1
    count, said, found = _means(place, estimate, actual, bins)
    square = np.bincount(place, np.asarray(actual, np.float64) ** 2, bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(square / count - found**2, 0))
        half = SURE * spread / np.sqrt(count)
    ends = (estimate.min(), estimate.max()) if len(estimate) else (0.0, 1.0)
    edges = np.concatenate([ends[:1], inner, ends[1:]]).astype(np.float64)
    return Calibration(
        edges, count, said, found, found - half, found + half, _gap(count, said, found)
    )


def _means(
    place: np.ndarray, said: np.ndarray, found: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = np.bincount(place, minlength=bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        said, found = (
            np.bincount(place, np.asarray(values, np.float64), bins) / count
            for values in (said, found)
        )
    return count, said, found


def _gap(count: np.ndarray, said: np.ndarray, found: np.ndarray) -> float:
    full = count > 0
    if not full.any():
        return float("nan")
    return float((count[full] * np.abs(found[full] - said[full])).sum() / count.sum())


def learn_probability(
    score: Float[np.ndarray, " n"],
    right: Bool[np.ndarray, " n"],
    asked: Float[np.ndarray, " m"],
) -> Float64[np.ndarray, " m"] | None:
    """P(right) for scores of doubt, a falling step function learnt from other samples (isotonic).

    Zadrozny & Elkan 2002. None where there is nothing to learn from: no samples, or all alike.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(right) == 0 or right.all() or not right.any():
        return None
    finite = np.nan_to_num(score, posinf=1e30, neginf=-1e30)
    steps = IsotonicRegression(y_min=0, y_max=1, increasing=False, out_of_bounds="clip")
    steps.fit(finite, right.astype(np.float64))
    found = steps.predict(np.nan_to_num(asked, posinf=1e30, neginf=-1e30))
    return np.asarray(found, np.float64)
