"""The attacker who knows the introspector: PGD when it does not care, unseen when it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from introspect.atlas import Atlas
from introspect.attacks.base import Introspected
from introspect.attacks.evasive import Evasive
from introspect.attacks.pgd import Pgd
from introspect.classifier import Classifier
from introspect.engine import Engine
from introspect.errors import BadInput, Cancelled
from introspect.flow import choose_rows
from introspect.trajectory import TraceCancelled, Trajectory, Witness, trace

CALM = Evasive(steps=20, step=0.02, epsilon=0.2)


@pytest.fixture(scope="module")
def digit(atlas: Atlas) -> torch.Tensor:
    assert atlas.samples is not None
    return atlas.samples.floats(choose_rows(atlas, 1))[0]


@pytest.fixture(scope="module")
def walk(atlas: Atlas, digit: torch.Tensor) -> Trajectory:
    return trace(atlas, digit, CALM)


def test_without_weights_it_is_pgd_without_random_start(atlas: Atlas, digit: torch.Tensor) -> None:
    blind = trace(atlas, digit, replace(CALM, hide_error=0.0, hide_distance=0.0))
    plain = trace(atlas, digit, Pgd(20, 0.02, 0.2, random_start=False))
    assert np.isclose(blind.x, plain.x, atol=1e-6).mean() > 0.999
    assert not np.array_equal(blind.x[:, 0], blind.x[:, -1])


def test_it_stays_in_ball_and_box_and_begins_at_the_sample(walk: Trajectory) -> None:
    assert (walk.x[:, 0] == walk.clean).all()
    assert walk.x.min() >= 0 and walk.x.max() <= 1
    assert walk.linf.max() <= 0.2 + 1e-6
    step = np.abs(np.diff(walk.x, axis=1)).max((0, 2, 3, 4))
    assert (step <= 0.02 + 1e-6).all()


def test_every_point_is_where_locate_puts_it_and_stalling_is_unknown(
    atlas: Atlas, walk: Trajectory
) -> None:
    found = atlas.locate(torch.from_numpy(walk.x[:, -1].copy()))
    np.testing.assert_allclose(walk.z[:, -1], found.z, atol=1e-4)
    np.testing.assert_allclose(walk.log_error[:, -1], found.log_error, atol=1e-3)
    assert np.isnan(walk.stalled).all() and (walk.stalled_step == -1).all()


def test_who_hides_from_a_score_ends_lower_in_it_than_who_does_not(atlas: Atlas) -> None:
    assert atlas.samples is not None
    rows = choose_rows(atlas, 24)
    x = atlas.samples.floats(rows)
    target = torch.from_numpy((atlas.points.predicted[rows] + 3) % 10)

    def ends(attack: Evasive) -> dict[str, float]:
        with Witness(atlas.engine, len(x), attack.steps + 1, None) as witness:
            last = attack.path(witness, x, target)[-1]
        with torch.inference_mode():
            h, _ = atlas.engine.tap(last)
            z, _, error, error_map, _ = atlas.engine.read(last)
            distance = atlas.engine.strangeness.distance(h, z)
        return {
            "error": float((error + error_map).median()),
            "distance": float(distance.median()),
        }

    blind = ends(replace(CALM, hide_error=0.0, hide_distance=0.0))
    assert ends(replace(CALM, hide_error=3.0, hide_distance=0.0))["error"] < blind["error"]
    assert ends(replace(CALM, hide_error=0.0, hide_distance=3.0))["distance"] < blind["distance"]


def test_gradients_of_the_hidden_scores_are_those_of_finite_differences(
    atlas: Atlas, digit: torch.Tensor
) -> None:
    engine = atlas.engine

    def scores(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with Witness(engine, 1, 1, None) as witness:
            _, told, distance = witness.notice(x)
        return told, distance

    x = digit[None].clone().requires_grad_()
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for place in (0, 1):
        slope = torch.autograd.grad(scores(x)[place].sum(), x)[0]
        with torch.no_grad():
            size = 2e-3
            up, down = (float(scores(x + sign * size * way)[place]) for sign in (1, -1))
        assert (up - down) / (2 * size) == pytest.approx(float((slope * way).sum()), rel=0.05)


def test_a_bare_network_and_senseless_weights_are_refused(
    atlas: Atlas, mlp: Classifier, digit: torch.Tensor
) -> None:
    assert not isinstance(mlp, Introspected)
    with pytest.raises(BadInput, match="hides from an atlas"):
        CALM.path(mlp, digit[None], torch.tensor([3]))
    with pytest.raises(BadInput, match="hide_error is -1"):
        trace(atlas, digit, replace(CALM, hide_error=-1.0))


def test_stopped_walk_keeps_the_steps_made(atlas: Atlas, digit: torch.Tensor) -> None:
    with pytest.raises(TraceCancelled) as stop:
        trace(atlas, digit, CALM, targets=[1, 2], on_step=lambda done, total: done < 5)
    assert isinstance(stop.value, Cancelled) and stop.value.done.x.shape[:2] == (2, 5)


def test_engine_of_an_atlas_is_what_the_attacker_is_given(atlas: Atlas) -> None:
    assert isinstance(atlas.engine, Engine)
    with Witness(atlas.engine, 1, 1, None) as witness:
        assert isinstance(witness, Introspected)
