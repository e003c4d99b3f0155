"""Gateways: the busiest places at which answers change, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.flow import Flow, choose_rows, fan
from introspect.gateways import (
    REACH,
    Crossings,
    busiest,
    find_gateways,
    map_side,
    tell_gateways,
)


@pytest.fixture(scope="module")
def flow(atlas: Atlas) -> Flow:
    return fan(atlas, choose_rows(atlas, 60), Fgsm(steps=40, epsilon=0.02))


def test_walks_cross_in_the_middle_of_the_step_that_changes_the_answer(flow: Flow) -> None:
    found = Crossings.of(flow)
    seen = 0
    for i in range(len(flow)):
        for j, target in enumerate(flow.target):
            step = flow.success_step[i, j]
            if step <= 0 or target == flow.source[i]:
                continue
            wanted = (flow.z[i, j, step - 1].astype(float) + flow.z[i, j, step]) / 2
            np.testing.assert_allclose(found.place[seen], wanted)
            assert (found.sample[seen], found.source[seen]) == (i, flow.source[i])
            assert found.target[seen] == target
            seen += 1
    assert len(found) == seen > 100


def test_gateways_are_what_counting_every_circle_finds(atlas: Atlas, flow: Flow) -> None:
    found = Crossings.of(flow)
    gateways = find_gateways(atlas, flow)
    assert gateways and gateways[0].radius == pytest.approx(REACH * map_side(atlas))
    for one in gateways:
        near = np.hypot(*(found.place - [one.x, one.y]).T) <= one.radius
        assert one.walks == near.sum() >= 3
        assert one.samples == len(set(found.sample[near].tolist()))
        assert one.share == pytest.approx(near.mean())
        lies = np.hypot(*(atlas.z - np.array([one.x, one.y])).T) <= one.radius
        assert one.recorded == pytest.approx(lies.mean(), abs=1e-3)
        for source, target, walks in one.pairs:
            pair = (found.source == source) & (found.target == target)
            assert walks == (near & pair).sum()
        numbers = [walks for *_, walks in one.pairs]
        assert numbers == sorted(numbers, reverse=True)
    counts = [one.walks for one in gateways]
    assert counts == sorted(counts, reverse=True)
    # No circle round any crossing holds many more than the busiest gateway.
    distance = np.hypot(*(found.place[:, None] - found.place[None]).transpose(2, 0, 1))
    assert counts[0] >= 0.7 * (distance <= gateways[0].radius).sum(1).max()
    for i, one in enumerate(gateways):
        for other in gateways[:i]:
            assert np.hypot(one.x - other.x, one.y - other.y) >= 2 * one.radius * 0.999


def test_busiest_place_is_found_among_scattered_ones() -> None:
    rng = np.random.default_rng(0)
    crowd = rng.normal([2.0, -1.0], 0.05, (80, 2))
    others = rng.uniform(-5, 5, (200, 2))
    np.testing.assert_allclose(busiest(np.concatenate([others, crowd]), 0.3), [2, -1], atol=0.1)
    np.testing.assert_allclose(busiest(np.array([[1.0, 1.0]]), 0.3), [1, 1])


def test_one_walk_that_leads_very_far_away_costs_no_memory() -> None:
    crowd = np.random.default_rng(0).normal([2.0, -1.0], 0.05, (80, 2))
    far = np.array([[4e6, -3e6]])
    np.testing.assert_allclose(busiest(np.concatenate([far, crowd]), 0.3), [2, -1], atol=0.1)


def test_walks_that_never_arrive_have_no_gateways(atlas: Atlas) -> None:
    calm = fan(atlas, choose_rows(atlas, 4), Fgsm(steps=2, epsilon=0.0))
    assert len(Crossings.of(calm)) == 0 and find_gateways(atlas, calm) == ()


def test_gateways_are_told_with_their_figures(atlas: Atlas, flow: Flow) -> None:
    gateways = find_gateways(atlas, flow)
    names = tuple("abcdefghij")
    told = tell_gateways(gateways, names)
    source, target, walks = gateways[0].pairs[0]
    assert told[0].startswith(f"{gateways[0].walks} walks of {gateways[0].samples} different")
    assert f"most often {names[source]} to {names[target]} ({walks})" in told[0]
