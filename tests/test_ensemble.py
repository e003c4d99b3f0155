"""Ensembles: weights are −log ê, votes are their means, differences are paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from introspect.atlas import Absent, Atlas
from introspect.ensemble import Vote, compare, gather
from introspect.errors import BadInput, Cancelled


def some_vote(a: int = 3, m: int = 40, k: int = 4) -> Vote:
    rng = np.random.default_rng(0)
    return Vote(rng.dirichlet(np.ones(k), (a, m)), np.maximum(0, rng.normal(1, 2, (a, m))))


def test_weighted_vote_is_the_weighted_mean_written_out() -> None:
    vote = some_vote()
    for i in range(40):
        total = vote.surety[:, i].sum()
        weight = vote.surety[:, i] / total if total else np.full(3, 1 / 3)
        wanted = sum(weight[a] * vote.outputs[a, i] for a in range(3))
        np.testing.assert_allclose(vote.weighted[i], wanted, atol=1e-12)
        np.testing.assert_allclose(vote.equal[i], vote.outputs[:, i].mean(0), atol=1e-12)
        best = int(np.argmax(vote.surety[:, i]))
        np.testing.assert_array_equal(vote.surest[i], vote.outputs[best, i])


def test_equally_sure_networks_and_networks_without_a_clue_count_the_same() -> None:
    vote = some_vote()
    for level in (2.5, 0.0):
        even = Vote(vote.outputs.copy(), np.full((3, 40), level))
        np.testing.assert_allclose(even.weighted, even.equal, atol=1e-12)


def test_surety_of_a_member_is_minus_its_own_estimate_and_never_negative(atlas: Atlas) -> None:
    assert atlas.samples is not None
    x = atlas.samples.floats(slice(0, 30))
    team = gather([atlas, replace(atlas, name="again")])
    for by, field in (("error_map", "log_error_map"), ("error", "log_error")):
        vote = team.vote(x, by)
        wanted = np.maximum(0, -getattr(atlas.locate(x), field))
        np.testing.assert_allclose(vote.surety, [wanted, wanted], atol=1e-5)
    # The same network twice answers as it does alone.
    np.testing.assert_allclose(vote.weighted, atlas.locate(x).outputs, atol=1e-5)


def test_difference_is_that_of_the_accuracies_and_its_interval_that_of_resampled_rows() -> None:
    rng = np.random.default_rng(1)
    right = rng.random(800) < 0.9
    other = np.where(rng.random(800) < 0.1, ~right, right)
    found = compare(right, other, resamples=4000)
    assert found.value == pytest.approx(right.mean() - other.mean())
    rows = rng.integers(0, 800, (4000, 800))
    drawn = right[rows].mean(1) - other[rows].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.003) and found.high == pytest.approx(
        high, abs=0.003
    )
    same = compare(right, right)
    assert (same.value, same.low, same.high) == (0, 0, 0) and not same.apart
    assert np.isnan(compare(right[:0], right[:0]).value)


def test_networks_that_do_not_fit_together_are_refused(atlas: Atlas) -> None:
    with pytest.raises(BadInput, match="at least two"):
        gather([atlas])
    engine = atlas.engine
    classifier = replace(engine.classifier, classes=tuple("abcdefghij"))
    tap = type(engine.tap)(classifier)
    strange = replace(atlas, name="letters", engine=replace(engine, tap=tap))
    with pytest.raises(BadInput, match="letters tells other classes"):
        gather([atlas, strange])
    bare = type(engine.tap)(classifier)
    bare.classifier = replace(engine.classifier, module=Absent())
    with pytest.raises(BadInput, match="cannot vote"):
        gather([atlas, replace(atlas, name="bare", engine=replace(engine, tap=bare))])
    with pytest.raises(BadInput, match="no estimate 'msp'"):
        gather([atlas, atlas]).vote(torch.zeros(1, 1, 8, 8), "msp")


def test_a_vote_can_be_stopped(atlas: Atlas) -> None:
    with pytest.raises(Cancelled):
        gather([atlas, atlas]).vote(torch.zeros(1, 1, 8, 8), on_batch=lambda done, total: done < 1)
