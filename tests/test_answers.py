"""Scores of doubt: against formulas written out, their order, and rows that are left out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from answered import make_points

from introspect.answers import answers, confidences, doubts, logits_of
from introspect.errors import BadInput


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


LOGITS = np.random.default_rng(0).normal(0, 4, (300, 5))
SHARES = softmax(LOGITS)


def written_out(p: np.ndarray) -> tuple[float, float]:
    """log10(1 - max p) and the entropy of one row, term by term."""
    best = max(p)
    return math.log10(1 - best), -sum(v * math.log(v) for v in p if v > 0)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_scores_are_what_their_formulas_say(link: str) -> None:
    outputs = 1 / (1 + np.exp(-LOGITS)) if link == "sigmoid" else SHARES
    found = doubts(outputs, link)
    for row in range(0, 300, 17):
        msp, entropy = written_out(SHARES[row])
        assert found["msp"][row] == pytest.approx(msp, abs=1e-6)
        assert found["entropy"][row] == pytest.approx(entropy, abs=1e-6)
    two = np.sort(LOGITS, 1)[:, -2:]
    np.testing.assert_allclose(found["margin"], two[:, 0] - two[:, 1], atol=1e-6)
    assert ("max_logit" in found) == (link == "sigmoid")
    if link == "sigmoid":
        np.testing.assert_allclose(found["max_logit"], -LOGITS.max(1), atol=1e-6)


def test_logits_come_back_from_float32_outputs_of_a_sigmoid() -> None:
    logits = np.linspace(-60, 12, 200)[:, None] * np.ones((1, 2))
    outputs = (1 / (1 + np.exp(-logits))).astype(np.float32)
    found = logits_of(outputs, "sigmoid")
    assert found is not None
    np.testing.assert_allclose(found, logits, atol=0.02)
    full = logits_of(np.array([[1.0, 0.0]], np.float32), "sigmoid")
    assert full is not None and np.isfinite(full).all()
    assert logits_of(outputs, "softmax") is None


def test_doubt_near_certainty_does_not_round_to_nothing() -> None:
    # As float32 both largest shares are exactly 1; the others still tell them apart.
    logits = np.array([[40.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    shares = softmax(logits).astype(np.float32)
    assert (shares[:, 0] == 1).all()
    found = doubts(shares, "softmax")["msp"]
    np.testing.assert_allclose(found, np.log10(2) - logits[:, 0] / math.log(10), atol=1e-3)


def test_classes_renamed_leave_every_score_as_it_was() -> None:
    turned = doubts(SHARES[:, ::-1].copy(), "softmax")
    for name, value in doubts(SHARES, "softmax").items():
        np.testing.assert_allclose(value, turned[name], atol=1e-12)


def test_probability_of_the_answer_is_read_in_every_way_the_link_allows() -> None:
    sigmoid = 1 / (1 + np.exp(-LOGITS))
    found = confidences(sigmoid, "sigmoid")
    np.testing.assert_allclose(found["softmax of the logits"], SHARES.max(1), atol=1e-9)
    np.testing.assert_allclose(found["largest sigmoid"], sigmoid.max(1))
    shares = sigmoid.max(1) / sigmoid.sum(1)
    np.testing.assert_allclose(found["sigmoid, shares of the sum"], shares)
    assert list(confidences(SHARES, "softmax")) == ["softmax"]
    assert all((v <= 1).all() for v in confidences(SHARES, "probabilities").values())


def test_answers_are_the_labelled_rows_of_their_split() -> None:
    points = make_points(300, labels=True)
    label = np.array(points.label)
    label[::10] = -1
    points = dataclasses.replace(points, label=label, views={})
    for code, split in enumerate(("train", "validation", "test")):
        given = answers(points, "sigmoid", split)
        mine = points.split == code
        assert len(given) + given.unlabelled == mine.sum()
        assert given.row.tolist() == np.flatnonzero(mine & (label >= 0)).tolist()
        np.testing.assert_array_equal(given.wrong, label[given.row] != points.predicted[given.row])
        np.testing.assert_allclose(
            given.log_error, np.log10(np.maximum(points.error[given.row], 1e-8)), atol=1e-6
        )
    assert not given.wrong.flags.writeable and not given.scores["msp"].flags.writeable


def test_missing_estimate_counts_as_least_sure() -> None:
    points = make_points(60)
    estimate = np.array(points.log_error)
    estimate[5] = np.nan
    points = dataclasses.replace(points, log_error=estimate, views={})
    for split in ("train", "validation", "test"):
        given = answers(points, "sigmoid", split)
        if 5 in given.row:
            assert given.scores["error"].argmax() == given.row.tolist().index(5)


def test_unknown_split_is_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="choose train, validation, test"):
        answers(make_points(30), "sigmoid", "tset")
