"""Right and wrong answers told apart (figure 7, section 3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from introspect.answers import answers
from introspect.atlas import Atlas
from introspect.experiments.base import PAPERS, Claim, Effort, Found, Tell, number
from introspect.plots import risk_coverage, violin
from introspect.reliability import RIVALS, verdict, violins, weigh
from introspect.reliability import risk_coverage as trace_risk

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """The violins' distance, their overlap class by class, and which score is best."""
    given = answers(atlas.points, atlas.classifier.link)
    wrong = given.wrong
    claims: list[Claim] = []
    curves: dict[str, Figure] = {}
    paper = PAPERS.get(atlas.name)
    if 0 < wrong.sum() < len(wrong):
        guess = given.scores["error_map"]
        gap = float(np.median(guess[wrong]) - np.median(guess[~wrong]))
        least = 2.0 if paper is None or paper.gap is None else paper.gap[0]
        overlap = paper is not None and paper.gap is None
        claims.append(
            Claim(
                "fig. 7",
                "ê(z) is higher for wrong answers than for right ones",
                "2 to 3 decades on MNIST" if paper is None else paper.violins,
                f"{number(gap, '.2f')} decades between the medians",
                f"test split; held: {'above 0' if overlap else 'at least 2'}",
                gap > 0 if overlap else gap >= least,
            )
        )
        if overlap:
            low, high = np.quantile(guess[~wrong], (0.05, 0.95))
            inside = float(((guess[wrong] >= low) & (guess[wrong] <= high)).mean())
            hardest = _hardest(atlas, given.label, wrong)
            claims.append(
                Claim(
                    "fig. 7",
                    "some wrong answers look like right ones: the violins overlap",
                    paper.violins if paper is not None else "a picture",
                    f"{inside:.0%} of the wrong answers lie within the middle 90 % of the right "
                    f"ones; most errors in {hardest}",
                    "test split, ê(z); held: more than a tenth",
                    inside > 0.1,
                )
            )
        rated = {name: given.scores[name] for name in RIVALS if name in given.scores}
        curves["Risk and coverage"] = risk_coverage.draw(
            {name: trace_risk(score, wrong) for name, score in rated.items()}, float(wrong.mean())
        )
    claims.append(
        Claim(
            "fig. 7",
            "which score tells wrong from right best",
            "not compared",
            verdict(weigh(given)),
            "paired bootstrap over the test split",
            None,
        )
    )
    spread = violin.draw(violins(given), atlas.classes)
    return Found(claims, {"Estimated error of right and wrong answers": spread, **curves})


def _hardest(atlas: Atlas, label: np.ndarray, wrong: np.ndarray) -> str:
    """The three classes with the largest share of wrong answers."""
    codes = np.unique(label)
    rate = np.array([wrong[label == code].mean() for code in codes])
    worst = codes[np.argsort(-rate, kind="stable")[:3]]
    return ", ".join(f"{atlas.classes[code]} ({wrong[label == code].mean():.0%})" for code in worst)
