"""Reliability diagrams: against a literal version, a case by hand, and what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from introspect.calibration import calibrate, compare_errors, learn_probability


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_expected_calibration_error_equals_the_literal_one(bins: int) -> None:
    rng = np.random.default_rng(bins)
    confidence = np.concatenate([rng.random(500), np.arange(0, 21) / 20])
    right = rng.random(521) < confidence**2
    wanted = reference.calibration_error(confidence, right, bins)
    assert calibrate(confidence, right, bins).gap == pytest.approx(wanted, abs=1e-12)


def test_confidence_of_exactly_one_lies_in_the_last_bin() -> None:
    # The case on which torchmetrics 1.9.0 says 0.515 (its issue 3510).
    confidence = np.array([0.97, 0.97, 1.0, 1.0])
    found = calibrate(confidence, np.array([True, True, False, False]), 10)
    assert found.gap == pytest.approx(0.485, abs=1e-12)
    assert found.count.tolist() == [0] * 9 + [4]


def test_torchmetrics_agrees_below_one() -> None:
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    p = np.random.default_rng(0).dirichlet(np.full(4, 0.3), 800) * 0.999
    label = np.random.default_rng(1).integers(0, 4, 800)
    theirs = metrics.multiclass_calibration_error(
        torch.from_numpy(p), torch.from_numpy(label), num_classes=4, n_bins=15, norm="l1"
    )
    ours = calibrate(p.max(1), p.argmax(1) == label).gap
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_edges_belong_to_the_bin_below() -> None:
    found = calibrate(np.array([0.0, 0.2, 0.7, 0.70001]), np.ones(4, bool), 10)
    assert np.flatnonzero(found.count).tolist() == [0, 1, 6, 7]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        confidence = rng.uniform(0.5, 0.6, 40)
        found = calibrate(confidence, rng.random(40) < 0.55, 5)
        held.append(found.low[2] <= 0.55 <= found.high[2])
    assert 0.9 < np.mean(held) < 0.99


def test_nothing_gives_an_empty_diagram() -> None:
    found = calibrate(np.zeros(0), np.zeros(0, bool))
    assert found.count.sum() == 0 and np.isnan(found.gap)
    assert np.isnan(compare_errors(np.zeros(0), np.zeros(0)).gap)


def test_estimate_equal_to_the_error_lies_on_the_diagonal_in_equally_full_bins() -> None:
    error = np.random.default_rng(0).normal(-4, 2, 1500)
    found = compare_errors(error, error)
    np.testing.assert_allclose(found.said, found.found)
    assert found.gap == 0 and set(found.count.tolist()) == {100}
    shifted = compare_errors(error + 0.7, error)
    assert shifted.gap == pytest.approx(0.7)


def test_constant_estimate_is_one_bin() -> None:
    error = np.random.default_rng(0).normal(-4, 2, 50)
    found = compare_errors(np.full(50, -4.0), error)
    assert found.count.sum() == 50 and (found.count > 0).sum() == 1
    assert found.gap == pytest.approx(abs(error.mean() + 4))


def test_learnt_probability_falls_with_doubt_and_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    doubt = rng.normal(size=8000)
    right = rng.random(8000) < 1 / (1 + np.exp(2 * doubt))
    asked = np.sort(rng.normal(size=2000))
    learnt = learn_probability(doubt, right, asked)
    assert learnt is not None
    assert (np.diff(learnt) <= 0).all() and 0 <= learnt.min() and learnt.max() <= 1
    np.testing.assert_allclose(learnt, 1 / (1 + np.exp(2 * asked)), atol=0.12)


def test_infinite_doubt_gets_the_probability_of_the_most_doubtful() -> None:
    doubt, right = np.arange(100.0), np.arange(100) < 60
    learnt = learn_probability(doubt, right, np.array([np.inf, -np.inf]))
    assert learnt is not None and learnt.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("right", [np.ones(5, bool), np.zeros(5, bool), np.zeros(0, bool)])
def test_nothing_is_learnt_where_all_answers_are_alike(right: np.ndarray) -> None:
    assert learn_probability(np.arange(float(len(right))), right, np.zeros(2)) is None
