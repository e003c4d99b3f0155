"""Answers: the labelled samples of a split, which of them are wrong, and every score of doubt.

All from the stored rows of an atlas; nothing is run or recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from introspect.errors import BadInput
from introspect.points import Points
from introspect.samples import SPLITS

SCORES = {
    "error": "ê(h)",
    "error_map": "ê(z)",
    "msp": "MSP",
    "max_logit": "largest logit",
    "entropy": "entropy",
    "margin": "margin",
}
"""Scores of doubt that need nothing but the stored rows, with their names in figures."""
UNITS = {
    "error": "ê(h), log10 of the expected error",
    "error_map": "ê(z), log10 of the expected error",
    "msp": "log10 of 1 − MSP",
}
"""What the axis of a score says."""
FLOOR = 1e-8
"""Smallest error: below it differences say nothing about mistakes (research of the estimator)."""
TINY = 1e-38


@dataclass(frozen=True, eq=False)
class Answers:
    """The labelled samples of one split: what was answered, whether it was wrong, how sure.

    `scores` are higher where the network is less sure: `error`, `error_map` log10 of the estimated
    ½‖y − ŷ‖²; `msp` log10(1 − largest softmax); the rest as `doubts` says. `log_error` is log10 of
    the true error. `unlabelled` samples of the split were left out.
    """

    split: str
    row: Int64[np.ndarray, " n"]
    label: Int64[np.ndarray, " n"]
    wrong: Bool[np.ndarray, " n"]
    log_error: Float64[np.ndarray, " n"]
    scores: dict[str, Float64[np.ndarray, " n"]]
    unlabelled: int

    def __post_init__(self) -> None:
        for value in (*vars(self).values(), *self.scores.values()):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.row)


def answers(points: Points, link: str, split: str = "test") -> Answers:
    """The labelled rows of a split with all scores of doubt.

    Args:
        link: how the classifier's outputs came about, `Classifier.link`.

    Raises:
        BadInput: there is no such split.
    """
    if split not in SPLITS:
        raise BadInput(f"There is no split {split!r}: choose {', '.join(SPLITS)}.")
    mine = points.split == SPLITS.index(split)
    row = np.flatnonzero(mine & (points.label >= 0))
    label = points.label[row].astype(np.int64)
    scores = {
        "error": points.log_error[row].astype(np.float64),
        "error_map": points.log_error_map[row].astype(np.float64),
        **doubts(points.outputs[row], link),
    }
    return Answers(
        split,
        row,
        label,
        label != points.predicted[row],
        np.log10(np.maximum(points.error[row].astype(np.float64), FLOOR)),
        # Where an estimate is missing the network counts as least sure.
        {name: np.nan_to_num(score, nan=np.inf, posinf=np.inf) for name, score in scores.items()},
        int(mine.sum()) - len(row),
    )


def logits_of(outputs: Float[np.ndarray, "m k"], link: str) -> Float64[np.ndarray, "m k"] | None:
    """The logits that outputs stand for, in float64; None where the link keeps none back.

    A sigmoid is undone, log p − log(1 − p), up to where float32 holds no more of it (|o| about
    17). A softmax loses a constant per row, so its logits are known only up to that.
    """
    if link != "sigmoid":
        return None
    p = np.asarray(outputs, np.float64)
    return np.log(np.clip(p, TINY, None)) - np.log(np.clip(1 - p, 2.0**-26, None))


def doubts(outputs: Float[np.ndarray, "m k"], link: str) -> dict[str, Float64[np.ndarray, " m"]]:
    """Scores from the outputs alone, higher = less sure.

        msp        log10(1 − max_k p_k), p the softmax of the logits (Hendrycks & Gimpel 2017);
                   p the outputs themselves where they are no logits' softmax or sigmoid
        max_logit  −max_k o_k; with a sigmoid the same order as its largest output
        entropy    −Σ p ln p
        margin     −(o_1 − o_2), the two largest logits

    1 − p is summed over the other classes, so that it does not round to zero near certainty.
    """
    logits = logits_of(outputs, link)
    given = logits
    if given is None:
        given = np.log(np.clip(np.asarray(outputs, np.float64), TINY, None))
    top = given.max(1, keepdims=True)
    p = np.exp(given - top)
    p /= p.sum(1, keepdims=True)
    best = given.argmax(1)[:, None]
    others = p.copy()
    np.put_along_axis(others, best, 0.0, 1)
    two = np.partition(given, -2, 1)[:, -2:]
    found = {
        "msp": np.log10(np.clip(others.sum(1), 1e-300, None)),
        "entropy": -(p * np.log(np.clip(p, 1e-300, None))).sum(1),
        "margin": two[:, 0] - two[:, 1],
    }
    if logits is not None:
        found["max_logit"] = -logits.max(1)
    return found


def confidences(
    outputs: Float[np.ndarray, "m k"], link: str
) -> dict[str, Float64[np.ndarray, " m"]]:
    """Every way to read the outputs as the probability of the answer, by the reading's name."""
    p = np.asarray(outputs, np.float64)
    shares = p.max(1) / np.clip(p.sum(1), TINY, None)
    if link == "softmax":
        return {"softmax": p.max(1)}
    if link == "sigmoid":
        return {
            "softmax of the logits": 1 - 10 ** doubts(outputs, link)["msp"],
            "largest sigmoid": p.max(1),
            "sigmoid, shares of the sum": shares,
        }
    return {"largest output": np.clip(p.max(1), 0, 1), "output, shares of the sum": shares}
