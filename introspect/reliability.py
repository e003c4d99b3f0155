"""Reliability: how far a network's errors can be told from its activations, and from its outputs.

Pardo et al. 2020, section 3.5 and figure 7: the estimated error of right and of wrong answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from introspect.answers import SCORES, Answers
from introspect.ranking import MEASURES, RESAMPLES, Estimate, Ladder, measure, resample

RIVALS = ("error", "error_map", "msp")
"""The two estimates and the usual baseline: what the page sets side by side."""
FEW = 12
GRID = 161
MOST = 50_000_000
"""Most draws of a bootstrap: beyond, fewer resamples are made (and their number is told)."""


# ---------------------------------------------------------------- scores side by side
@dataclass(frozen=True, eq=False)
class Weighing:
    """Scores side by side on the same samples: values and paired differences with intervals.

    `values[score][measure]`; `differences[a, b][measure]` is a minus b.
    """

    split: str
    n: int
    wrong: int
    resamples: int
    values: dict[str, dict[str, Estimate]]
    differences: dict[tuple[str, str], dict[str, Estimate]]


def weigh(
    given: Answers,
    names: Sequence[str] = RIVALS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Weighing:
    """The measures of scores that the answers have, each pair compared on the same resamples."""
    names = [name for name in names if name in given.scores]
    resamples = max(200, min(resamples, MOST // max(1, len(given))))
    ladders = {name: Ladder.of(given.scores[name], given.wrong) for name in names}
    found = {name: measure(ladder.whole) for name, ladder in ladders.items()} if len(given) else {}
    drawn = resample(ladders, resamples, seed)
    values = {
        name: {what: Estimate.of(float(whole[what][0]), drawn[name][what]) for what in MEASURES}
        for name, whole in found.items()
    }
    pairs = [(a, b) for i, a in enumerate(values) for b in list(values)[i + 1 :]]
    differences = {
        (a, b): {
            what: Estimate.of(
                values[a][what].value - values[b][what].value, drawn[a][what] - drawn[b][what]
            )
            for what in MEASURES
        }
        for a, b in pairs
    }
    return Weighing(given.split, len(given), int(given.wrong.sum()), resamples, values, differences)


def verdict(weighing: Weighing, among: Sequence[str] = RIVALS) -> str:
    """One plain sentence: which score tells wrong from right best here, or that they are equal.

    Better is what has the larger AUROC with zero outside the interval of the paired difference.
    """
    n, wrong = f"{weighing.n:,}", f"{weighing.wrong:,}"
    if not weighing.n:
        return "There are no labelled samples here: nothing can be judged."
    if weighing.wrong in (0, weighing.n):
        which = "wrong" if weighing.wrong == 0 else "right"
        return f"None of these {n} answers is {which}: there is nothing to tell apart."
    known = [name for name in among if name in weighing.values]
    ranked = sorted(known, key=lambda s: -weighing.values[s]["auroc"].value)
    best, *others = ranked
    better, equal = [], []
    for other in others:
        gap = difference(weighing, best, other, "auroc")
        told = (
            f"{SCORES[other]} ({gap.value:+.4f}, 95 % interval {gap.low:+.4f} to {gap.high:+.4f})"
        )
        (better if gap.apart else equal).append(told.replace("-", "−"))
    said = []
    if better:
        said.append(f"is better than {' and '.join(better)}")
    if equal:
        said.append(f"equals {' and '.join(equal)} as far as these samples tell")
    if not said:
        return f"{SCORES[best]} stands alone here: there is nothing to compare it with."
    return f"Of {n} answers {wrong} are wrong. By AUROC, {SCORES[best]} {'; it '.join(said)}."


def difference(weighing: Weighing, a: str, b: str, what: str) -> Estimate:
    """Score a minus score b in one measure, whichever way round the pair was kept."""
    if (a, b) in weighing.differences:
        return weighing.differences[a, b][what]
    kept = weighing.differences[b, a][what]
    return Estimate(-kept.value, -kept.high, -kept.low)


# ---------------------------------------------------------------- curves
@dataclass(frozen=True, eq=False)
class Curve:
    """Points (x, y) of a ROC or risk-coverage curve, from its start to its end."""

    x: Float64[np.ndarray, " c"]
    y: Float64[np.ndarray, " c"]


def roc(score: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"]) -> Curve:
    """Share of wrong answers caught (y) over share of right ones flagged (x), least sure first.

    Empty where there are no wrong or no right answers.
    """
    counts = Ladder.of(score, wrong).whole[0, ::-1].astype(np.float64)
    total = counts.sum(0)
    if not total.all():
        return Curve(np.zeros(0), np.zeros(0))
    steps = np.concatenate([np.zeros((1, 2)), counts.cumsum(0)]) / total
    return Curve(steps[:, 0], steps[:, 1])


def risk_coverage(
    score: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], most: int = 400
) -> Curve:
    """Error rate among the answers accepted (y) over the share of them (x), surest first.

    Equal scores count with the mean over their orders; `most` points, the first few all kept.
    """
    n = len(score)
    if not n:
        return Curve(np.zeros(0), np.zeros(0))
    order = np.argsort(score, kind="stable")
    held = score[order]
    tie = np.cumsum(np.concatenate([[False], held[1:] != held[:-1]]))
    mean = np.bincount(tie, wrong[order]) / np.bincount(tie)
    accepted = np.arange(1, n + 1)
    risk = mean[tie].cumsum() / accepted
    spaced = np.round(np.linspace(0, n - 1, most)).astype(np.int64)
    keep = np.unique(np.concatenate([np.arange(min(n, 30)), spaced]))
    return Curve(accepted[keep] / n, risk[keep])


# ---------------------------------------------------------------- one score, right and wrong
@dataclass(frozen=True, eq=False)
class Side:
    """The right or the wrong answers of a class in one score; `few` holds them all up to 12.

    `density` is along the grid of its `Violins`, 1 at its highest; all zero without answers.
    """

    count: int
    density: Float64[np.ndarray, " g"]
    quartiles: tuple[float, float, float]
    few: Float64[np.ndarray, " f"]


@dataclass(frozen=True, eq=False)
class Violins:
    """Distributions of a score for right and wrong answers of every class that has samples."""

    score: str
    grid: Float64[np.ndarray, " g"]
    code: Int64[np.ndarray, " c"]
    right: tuple[Side, ...]
    wrong: tuple[Side, ...]

    @property
    def sensitivity(self) -> Float64[np.ndarray, " c"]:
        """Share of each class's samples that were answered right: its recall."""
        right, wrong = self.counts
        return right / (right + wrong)

    @property
    def counts(self) -> tuple[Int64[np.ndarray, " c"], Int64[np.ndarray, " c"]]:
        """Right and wrong answers of each class."""
        sides = (self.right, self.wrong)
        right, wrong = (np.array([s.count for s in side], np.int64) for side in sides)
        return right, wrong

    def most_errors(self, count: int) -> list[int]:
        """The classes with the most wrong answers, in the order of the classes."""
        order = np.lexsort((self.code, -self.counts[1]))[:count]
        return sorted(self.code[order].tolist())


def violins(given: Answers, score: str = "error_map") -> Violins:
    """The distribution of a score in every class, right and wrong answers apart (figure 7)."""
    value = given.scores[score]
    known = value[np.isfinite(value)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    grid = np.linspace(low - margin, high + margin, GRID)
    code = np.unique(given.label)
    sides: tuple[list[Side], list[Side]] = ([], [])
    for label in code:
        mine = (given.label == label) & np.isfinite(value)
        for side, wrong in zip(sides, (False, True), strict=True):
            side.append(_side(value[mine & (given.wrong == wrong)], grid))
    return Violins(score, grid, code, tuple(sides[0]), tuple(sides[1]))


def _side(value: np.ndarray, grid: np.ndarray) -> Side:
    if not len(value):
        nan = float("nan")
        return Side(0, np.zeros(len(grid)), (nan, nan, nan), np.zeros(0))
    q1, q2, q3 = (float(q) for q in np.quantile(value, (0.25, 0.5, 0.75)))
    # Silverman's rule of thumb (1986, eq. 3.31); never narrower than the grid can show.
    spread = min(value.std(), (q3 - q1) / 1.34) or value.std()
    step = grid[1] - grid[0]
    width = max(0.9 * spread * len(value) ** -0.2, 1.5 * step)
    edges = np.linspace(grid[0] - step / 2, grid[-1] + step / 2, 4 * len(grid) + 1)
    count, _ = np.histogram(value, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    full = np.flatnonzero(count)
    kernel = np.exp(-0.5 * ((grid[:, None] - middle[full]) / width) ** 2)
    density = kernel @ count[full]
    # No answers, no density: the tails of the kernel beyond the last answers are cut.
    density[(grid < value.min() - step) | (grid > value.max() + step)] = 0
    return Side(
        len(value),
        density / density.max(),
        (q1, q2, q3),
        np.sort(value) if len(value) <= FEW else np.zeros(0),
    )


@dataclass(frozen=True, eq=False)
class Trade:
    """What a threshold catches and costs, for thresholds from low to high.

    Answers above `threshold[s]` are flagged: `caught[s]` of the wrong, `alarms[s]` of the right
    ones. `right` and `wrong` count all answers in the bins between `edges`.
    """

    threshold: Float64[np.ndarray, " s"]
    caught: Int64[np.ndarray, " s"]
    alarms: Int64[np.ndarray, " s"]
    edges: Float64[np.ndarray, " e"]
    right: Int64[np.ndarray, " d"]
    wrong: Int64[np.ndarray, " d"]

    def nearest(self, threshold: float) -> int:
        """The step whose threshold lies nearest."""
        return int(np.abs(self.threshold - threshold).argmin())


def trade(given: Answers, score: str, steps: int = 401, bins: int = 60) -> Trade:
    """Numbers of wrong answers caught and right ones flagged at evenly spaced thresholds."""
    value = given.scores[score]
    known = value[np.isfinite(value)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = 0.01 * (high - low) or 0.5
    threshold = np.linspace(low - margin, high + margin, steps)
    edges = np.linspace(low - margin, high + margin, bins + 1)
    right, wrong = np.sort(value[~given.wrong]), np.sort(value[given.wrong])

    def above(sorted_values: np.ndarray) -> np.ndarray:
        return len(sorted_values) - np.searchsorted(sorted_values, threshold, side="right")

    return Trade(
        threshold,
        above(wrong),
        above(right),
        edges,
        np.histogram(right, edges)[0],
        np.histogram(wrong, edges)[0],
    )


def alarm_level(validation: Answers, score: str, share: float = 0.01) -> float | None:
    """The threshold above which `share` of the right validation answers lie; None without any."""
    right = validation.scores[score][~validation.wrong]
    return float(np.quantile(right, 1 - share, method="higher")) if len(right) else None
