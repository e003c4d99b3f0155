"""Error estimators: they rank mistakes first, and strangers to them are judged fairly."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from introspect.atlas import Atlas
from introspect.estimator import cross_fit, estimate, features, fit_estimator

RNG = np.random.default_rng(0)
PLANE = RNG.normal(size=(3000, 2)).astype(np.float32)
HILL = (3 * np.exp(-((PLANE - 0.5) ** 2).sum(1)) - 4).astype(np.float64)


def test_estimate_learns_a_hill_over_the_plane() -> None:
    net = fit_estimator(PLANE[:2500], HILL[:2500], epochs=60, batch=64)
    assert np.abs(estimate(net, PLANE[2500:]) - HILL[2500:]).mean() < 0.1 * HILL.std()


def test_rows_without_a_label_are_left_out() -> None:
    some = HILL.copy()
    some[::2] = np.nan
    found = estimate(fit_estimator(PLANE, some, epochs=20), PLANE)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(
        found, estimate(fit_estimator(PLANE[1::2], HILL[1::2], epochs=20), PLANE)
    )


def test_logits_are_seen_from_high_to_low() -> None:
    h, logits = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.1, 3.0, -1.0]])
    torch.testing.assert_close(features(h, logits), torch.tensor([[1.0, 2.0, 3.0, 0.1, -1.0]]))


def test_cross_fitted_estimates_of_noise_are_no_better_than_chance() -> None:
    """Learnt by heart, random targets would be told well; by others' estimators they cannot be."""
    noise = RNG.normal(size=600)
    inputs = RNG.normal(size=(600, 60)).astype(np.float32)
    settings = {"epochs": 60, "batch": 64}
    flattered = estimate(fit_estimator(inputs, noise, **settings), inputs)
    fair = cross_fit(inputs, noise, **settings)
    assert np.corrcoef(flattered, noise)[0, 1] > 0.8
    assert abs(np.corrcoef(fair, noise)[0, 1]) < 0.2


def test_both_estimates_rank_mistakes_of_the_test_split_first(atlas: Atlas) -> None:
    test = atlas.points.split == 2
    wrong = ~atlas.points.correct[test]
    assert roc_auc_score(wrong, atlas.points.log_error[test]) > 0.8
    assert roc_auc_score(wrong, atlas.points.log_error_map[test]) > 0.7


def test_alarm_threshold_lies_above_99_percent_of_right_validation_answers(atlas: Atlas) -> None:
    rows = (atlas.points.split == 1) & atlas.points.correct
    share = (atlas.points.log_error[rows] > atlas.thresholds["log_error"]).mean()
    assert share <= 0.03
