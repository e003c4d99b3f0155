"""Measures by rank: against literal versions, closed forms, scikit-learn, and by resampling."""

from __future__ import annotations

import time

import numpy as np
import pytest
import reference
from sklearn.metrics import roc_auc_score

from introspect.ranking import Estimate, Ladder, measure, resample


def of(score: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    found = measure(Ladder.of(np.asarray(score, float), np.asarray(wrong, bool)).whole)
    return {name: float(value[0]) for name, value in found.items()}


def noisy(n: int, seed: int, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know something about which of n answers are wrong; `levels` makes ties."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < 0.2
    score = rng.normal(size=n) + 1.2 * wrong
    return (np.round(score * levels) / levels if levels else score), wrong


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_auroc_and_both_fpr95_equal_the_literal_ones(seed: int, levels: int | None) -> None:
    score, wrong = noisy(160, seed, levels)
    found = of(score, wrong)
    assert found["auroc"] == pytest.approx(reference.auroc(score, wrong), abs=1e-12)
    assert found["auroc"] == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
    assert found["fpr95_err"] == pytest.approx(reference.false_share(score, wrong), abs=1e-12)
    assert found["fpr95_corr"] == pytest.approx(reference.false_share(-score, ~wrong), abs=1e-12)


@pytest.mark.parametrize(
    ("score", "wrong"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 0, 1, 0, 1, 1]),
        ([1, 1, 2, 2, 2, 3], [0, 1, 0, 1, 0, 1]),
        ([2, 2, 2, 2, 2, 2], [1, 0, 0, 1, 0, 0]),
        ([1, 2, 2, 3, 3, 3], [1, 1, 0, 0, 0, 1]),
        ([6, 5, 4, 3, 2, 1], [0, 0, 0, 1, 1, 1]),
    ],
)
def test_areas_are_means_over_every_order_of_equal_scores(score: list, wrong: list) -> None:
    value, failed = np.array(score, float), np.array(wrong, bool)
    aurc, augrc = reference.areas(value, failed)
    found = of(value, failed)
    assert found["aurc"] == pytest.approx(aurc, abs=1e-12)
    assert found["augrc"] == pytest.approx(augrc, abs=1e-12)


def test_fpr95_in_both_conventions_on_twenty_samples_by_hand() -> None:
    # From surest to least sure: 9 right, a wrong, a right, 8 wrong, and last one right.
    wrong = np.array([0] * 9 + [1] + [0] + [1] * 8 + [0], bool)
    found = of(np.arange(20.0), wrong)
    # 9 errors: 95 % of them is all of them, from sample 10 on; two of 11 right ones lie there.
    assert found["fpr95_err"] == pytest.approx(2 / 11)
    # 11 right: 95 % of them is all of them, and the last sample is right: all errors accepted.
    assert found["fpr95_corr"] == 1.0


def test_perfect_order_leaves_no_excess() -> None:
    n, m = 4000, 700
    wrong = np.arange(n) >= n - m
    found = of(np.arange(float(n)), wrong)
    r = m / n
    assert found["auroc"] == 1 and found["fpr95_err"] == 0 and found["fpr95_corr"] == 0
    assert found["aurc"] == pytest.approx(r + (1 - r) * np.log(1 - r), abs=1 / n)
    assert abs(found["e_aurc"]) < 1 / n
    assert found["augrc"] == pytest.approx(r * r / 2)


def test_constant_score_gives_exactly_the_error_rate_and_knows_nothing() -> None:
    wrong = np.random.default_rng(0).random(997) < 0.13
    found = of(np.full(997, -3.0), wrong)
    assert found["aurc"] == pytest.approx(wrong.mean(), abs=1e-14)
    assert found["auroc"] == 0.5
    assert found["fpr95_err"] == found["fpr95_corr"] == 1


def test_random_scores_give_about_the_error_rate() -> None:
    rng = np.random.default_rng(1)
    wrong = rng.random(20_000) < 0.1
    assert of(rng.random(20_000), wrong)["aurc"] == pytest.approx(wrong.mean(), abs=0.01)


@pytest.mark.parametrize("all_wrong", [False, True])
def test_without_both_kinds_there_is_no_rank_but_still_a_risk(all_wrong: bool) -> None:
    found = of(np.arange(5.0), np.full(5, all_wrong))
    assert np.isnan([found["auroc"], found["fpr95_err"], found["fpr95_corr"]]).all()
    assert found["aurc"] == float(all_wrong) and found["augrc"] == all_wrong / 2


def test_score_without_a_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Ladder.of(np.array([0.0, np.nan]), np.array([True, False]))


def test_order_of_the_samples_does_not_matter() -> None:
    score, wrong = noisy(300, 5, 2)
    turn = np.random.default_rng(0).permutation(300)
    first, second = of(score, wrong), of(score[turn], wrong[turn])
    assert all(first[name] == pytest.approx(second[name], abs=1e-12) for name in first)


def test_measures_of_a_resample_are_those_of_its_rows() -> None:
    score, wrong = noisy(200, 3, 4)
    ladder = Ladder.of(score, wrong)
    rows = np.random.default_rng(2).integers(0, 200, (3, 200))
    found = measure(ladder.count(rows))
    for b, chosen in enumerate(rows):
        alone = of(score[chosen], wrong[chosen])
        assert all(found[name][b] == pytest.approx(alone[name], abs=1e-12) for name in alone)


def test_resamples_are_paired_seeded_and_spread_as_the_theory_says() -> None:
    score, wrong = noisy(600, 7)
    twice = {"a": Ladder.of(score, wrong), "b": Ladder.of(2 * score + 1, wrong)}
    drawn = resample(twice, 400, seed=3)
    # The same order on the same rows: no difference in any resample.
    assert all(np.array_equal(drawn["a"][m], drawn["b"][m]) for m in drawn["a"])
    again = resample({"a": twice["a"]}, 400, seed=3)["a"]["auroc"]
    assert np.array_equal(again, drawn["a"]["auroc"])
    # Hanley & McNeil 1982, from the pairs themselves.
    above = (score[wrong][:, None] > score[~wrong][None]).astype(float)
    variance = above.mean(1).var() / wrong.sum() + above.mean(0).var() / (~wrong).sum()
    assert drawn["a"]["auroc"].std() == pytest.approx(np.sqrt(variance), rel=0.15)


def test_two_thousand_paired_resamples_of_ten_thousand_answers_take_seconds_not_minutes() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(10_000) < 0.03
    ladders = {
        name: Ladder.of(rng.normal(size=10_000) + 2 * wrong, wrong) for name in ("a", "b", "c")
    }
    started = time.perf_counter()
    drawn = resample(ladders, 2000)
    assert time.perf_counter() - started < 20  # 1 s on a quiet core
    assert len(drawn["c"]["aurc"]) == 2000


def test_interval_that_excludes_zero_is_told_apart() -> None:
    assert Estimate.of(0.5, np.linspace(0.1, 0.9, 99)).apart
    assert not Estimate.of(0.5, np.linspace(-0.1, 0.9, 99)).apart
    assert not Estimate.of(float("nan"), np.zeros(0)).apart
