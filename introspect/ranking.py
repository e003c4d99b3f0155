"""How well a score puts wrong answers above right ones: measures by rank, and how sure they are.

Everything is counted on rungs: samples in the order of their score, those with equal scores on one
rung, and neighbours that are all right or all wrong as well, for no measure here tells them apart.
A resample is then a new count per rung, never a new sort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

MEASURES = ("auroc", "fpr95_err", "fpr95_corr", "aurc", "e_aurc", "augrc")
RESAMPLES = 2000
BLOCK = 2_000_000
"""Most drawn samples held at once."""
LEVEL = 0.95
"""Of the errors caught (`fpr95_err`) or of the right answers accepted (`fpr95_corr`)."""


@dataclass(frozen=True, eq=False)
class Ladder:
    """Where every sample stands: `cell` is 2 · rung + wrong, rungs from surest to least sure."""

    cell: Int64[np.ndarray, " n"]
    rungs: int

    @staticmethod
    def of(score: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"]) -> Ladder:
        """The ladder of a score (higher = less sure).

        Raises:
            ValueError: a score is NaN, which has no rank.
        """
        if np.isnan(score).any():
            raise ValueError("A score is NaN: it has no rank.")
        order = np.argsort(score, kind="stable")
        held, failed = score[order], wrong[order]
        tie = np.cumsum(_starts(held)) - 1
        size = np.bincount(tie)
        errors = np.bincount(tie, failed, len(size))
        kind = np.where(errors == 0, 0, np.where(errors == size, 1, 2))
        rung = np.cumsum(_starts(kind) | (kind == 2)) - 1
        cell = np.empty(len(score), np.int64)
        cell[order] = 2 * rung[tie] + failed
        return Ladder(cell, int(rung[-1]) + 1 if len(rung) else 0)

    def count(self, rows: Int64[np.ndarray, "b m"]) -> Int64[np.ndarray, "b g 2"]:
        """Right and wrong answers on every rung, for b choices of m rows each."""
        width = 2 * self.rungs
        place = self.cell[rows] + width * np.arange(len(rows))[:, None]
        return np.bincount(place.ravel(), minlength=width * len(rows)).reshape(
            len(rows), self.rungs, 2
        )

    @property
    def whole(self) -> Int64[np.ndarray, "1 g 2"]:
        """The counts of all rows, each once."""
        return self.count(np.arange(len(self.cell))[None])


def _starts(values: np.ndarray) -> np.ndarray:
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return first


def measure(counts: Int64[np.ndarray, "b g 2"]) -> dict[str, Float64[np.ndarray, " b"]]:
    """The measures of b sets of counts; NaN where there are no wrong or no right answers.

        AUROC      P(score of a wrong > of a right answer) + ½ P(equal)   (Mann-Whitney U)
        fpr95_err  share of right answers flagged where 95 % of the errors are (Hendrycks 2017)
        fpr95_corr share of errors accepted where 95 % of the right answers are (FD-Shifts, 2023;
                   there from 94.95 % on)
        AURC       mean over k of the error rate among the k surest (Geifman et al. 2019)
        E-AURC     AURC - (r + (1 - r) ln(1 - r)), r the error rate: what a perfect order leaves
        AUGRC      area under (errors among the k surest) / n over k / n (Traub et al. 2024)
                   = (1 - AUROC) r (1 - r) + r² / 2

    Within a rung every order is equally likely, so equal scores give the mean over their orders:
    a rung of g samples with e errors after A samples with E errors adds to the AURC
    Σ_j (E + j e/g) / (A + j) = e + (E - A e/g) (H(A + g) - H(A)), H the harmonic numbers.
    """
    right, wrong = (counts[..., side].astype(np.float64) for side in (0, 1))
    rights, wrongs = right.sum(1), wrong.sum(1)
    n = rights + wrongs
    up_right, up_wrong = right.cumsum(1), wrong.cumsum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = wrongs / n
        auroc = (wrong * (up_right - right / 2)).sum(1) / (rights * wrongs)
        caught = wrongs[:, None] - up_wrong + wrong
        rung = (caught >= _needed(wrongs)).sum(1) - 1
        alarms = _pick(rights[:, None] - up_right + right, rung) / rights
        rung = (up_right < _needed(rights)).sum(1)
        missed = _pick(up_wrong, rung) / wrongs
        size = right + wrong
        share = np.where(size > 0, wrong / size, 0.0)
        before = (up_right + up_wrong - size).astype(np.int64)
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(n.max(initial=0)) + 1))])
        span = harmonic[before + size.astype(np.int64)] - harmonic[before]
        aurc = (wrong + (up_wrong - wrong - before * share) * span).sum(1) / n
        ideal = r + np.where(r < 1, (1 - r) * np.log1p(-np.minimum(r, 1 - 1e-16)), 0.0)
    mixed = (rights > 0) & (wrongs > 0)
    lost = np.where(mixed, (1 - np.where(mixed, auroc, 0)) * r * (1 - r), 0.0)
    nothing = np.full(len(n), np.nan)
    return {
        "auroc": np.where(mixed, auroc, nothing),
        "fpr95_err": np.where(mixed, alarms, nothing),
        "fpr95_corr": np.where(mixed, missed, nothing),
        "aurc": aurc,
        "e_aurc": aurc - ideal,
        "augrc": lost + r**2 / 2,
    }


def _needed(total: np.ndarray) -> np.ndarray:
    return np.ceil(LEVEL * total - 1e-9)[:, None]


def _pick(values: np.ndarray, rung: np.ndarray) -> np.ndarray:
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    place = np.clip(rung, 0, values.shape[1] - 1)[:, None]
    return np.take_along_axis(values, place, 1)[:, 0]


def resample(
    ladders: Mapping[str, Ladder], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, Float64[np.ndarray, " b"]]]:
    """The measures of every score on the same resamples of the rows, drawn with replacement.

    The same rows for all scores: that makes their differences paired (Efron & Tibshirani 1993).
    """
    n = min((len(ladder.cell) for ladder in ladders.values()), default=0)
    widest = max((2 * ladder.rungs for ladder in ladders.values()), default=0)
    block = max(1, BLOCK // max(n, widest, 1))
    generator = np.random.default_rng(seed)
    parts: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in ladders}
    for start in range(0, resamples if n else 0, block):
        rows = generator.integers(0, n, (min(block, resamples - start), n))
        for name, ladder in ladders.items():
            parts[name].append(measure(ladder.count(rows)))
    return {
        name: {
            what: np.concatenate([part[what] for part in found]) if found else np.zeros(0)
            for what in MEASURES
        }
        for name, found in parts.items()
    }


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(value: float, drawn: Float64[np.ndarray, " b"]) -> Estimate:
        """The value with the 2.5 and 97.5 % quantiles of its resamples."""
        known = drawn[np.isfinite(drawn)]
        if not len(known) or not np.isfinite(value):
            return Estimate(float(value), float("nan"), float("nan"))
        low, high = np.quantile(known, (0.025, 0.975))
        return Estimate(float(value), float(low), float(high))

    @property
    def apart(self) -> bool:
        """Whether zero lies outside the interval: a difference that these samples show."""
        return self.low > 0 or self.high < 0
