"""How well the scores of an atlas tell wrong from right answers: `introspect judge`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from introspect.answers import SCORES, Answers, answers
from introspect.atlas import Atlas
from introspect.calibration import calibrate, learn_probability
from introspect.points import Points
from introspect.ranking import MEASURES, RESAMPLES
from introspect.recipe import recipe_of
from introspect.reliability import verdict, weigh
from introspect.samples import SPLITS, load_samples

__all__ = ["judge", "learnt_error", "place", "tell"]

TAUGHT_BY_VALIDATION = ("error",)
"""Scores fitted on the validation rows: a probability learnt there would be flattered."""


def judge(
    atlas: Atlas,
    split: str = "test",
    data: str | Path | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """How well every score that an atlas has tells wrong from right answers, ready for JSON.

    `scores{name: {auroc, auroc_ci, fpr95_err, fpr95_corr, aurc, e_aurc, augrc, ece}}`; `ece` is
    that of the probability learnt from the score on the validation split, null where that was not
    possible or the score was itself fitted there. `differences` holds every pair, first minus
    second, in AUROC. Undefined values are null.

    Args:
        data: other labelled inputs to judge on, a bundled name or a file as `load_samples` takes
            it, instead of the atlas's own split; they are placed first.

    Raises:
        BadInput: there is no such split, or the data cannot be read or placed.
    """
    link = atlas.classifier.link
    given = answers(atlas.points if data is None else place(atlas, data), link, split)
    validation = answers(atlas.points, link, "validation")
    weighing = weigh(given, tuple(SCORES), resamples, seed)
    scores = {}
    for name, found in weighing.values.items():
        auroc = found["auroc"]
        scores[name] = {
            "auroc": _plain(auroc.value),
            "auroc_ci": _pair(auroc.low, auroc.high),
            **{what: _plain(found[what].value) for what in MEASURES if what != "auroc"},
            "ece": _plain(learnt_error(validation, given, name)),
        }
    return {
        "atlas": atlas.name,
        "split": split if data is None else str(data),
        "n": weighing.n,
        "wrong": weighing.wrong,
        "unlabelled": given.unlabelled,
        "resamples": weighing.resamples,
        "scores": scores,
        "differences": [
            {
                "first": a,
                "second": b,
                "auroc": _plain(found["auroc"].value),
                "auroc_ci": _pair(found["auroc"].low, found["auroc"].high),
            }
            for (a, b), found in weighing.differences.items()
        ],
        "verdict": verdict(weighing),
    }


def place(atlas: Atlas, data: str | Path) -> Points:
    """The rows that other data would be in this atlas, all of them in the test split.

    Raises:
        BadInput: the data cannot be read, do not fit the network, or the network is absent.
    """
    classifier = atlas.classifier
    recipe = recipe_of(atlas.settings)
    samples = load_samples(data, classes=classifier.classes, recipe=recipe)
    samples = samples.fitted(classifier.input_shape, classifier.classes)
    found = atlas.engine.locate_samples(samples)
    label = np.array(samples.y, np.int64)
    wanted = label[:, None] == np.arange(len(classifier.classes))
    error = 0.5 * (wanted - found.outputs.astype(np.float64)) ** 2
    predicted = found.predicted.astype(np.int64)
    return Points(
        id=np.array(samples.ids),
        split=np.full(len(label), SPLITS.index("test"), np.uint8),
        label=label,
        predicted=predicted,
        correct=predicted == label,
        z=found.z,
        log_error=found.log_error,
        log_error_map=found.log_error_map,
        error=np.where(label >= 0, error.sum(1), np.nan).astype(np.float32),
        off_map=found.off_map,
        outputs=found.outputs,
    )


def learnt_error(validation: Answers, given: Answers, name: str) -> float:
    """Expected calibration error of a score's learnt probability; NaN where that is unfair."""
    if name in TAUGHT_BY_VALIDATION or given.split == "validation" or not len(given):
        return math.nan
    learnt = learn_probability(validation.scores[name], ~validation.wrong, given.scores[name])
    return math.nan if learnt is None else calibrate(learnt, ~given.wrong).gap


def tell(answer: dict[str, Any]) -> str:
    """The judgement as lines for a person."""
    heads = (
        "score",
        "AUROC",
        "95 % interval",
        "FPR95 err",
        "FPR95 corr",
        "AURC",
        "E-AURC",
        "AUGRC",
    )
    rows: list[tuple[str, ...]] = [(*heads, "ECE")]
    for name, found in answer["scores"].items():
        low, high = found["auroc_ci"]
        interval = "" if low is None else f"{low:.4f}-{high:.4f}"
        shares = (found["fpr95_err"], found["fpr95_corr"])
        thousandths = (found["aurc"], found["e_aurc"], found["augrc"])
        rows.append(
            (
                SCORES[name],
                _text(found["auroc"], ".4f"),
                interval,
                *(_text(share, ".1%") for share in shares),
                *(_text(value, ".2f", 1000) for value in thousandths),
                _text(found["ece"], ".2%"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join((*table, "AURC, E-AURC and AUGRC in thousandths.", answer["verdict"]))


def _text(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(value * scale, form)


def _plain(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None


def _pair(low: float, high: float) -> list[float | None]:
    return [_plain(low), _plain(high)]
