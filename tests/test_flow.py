"""The fan: many samples attacked at once walk as each alone, and are counted by their classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.errors import BadInput
from introspect.flow import (
    Flow,
    FlowCancelled,
    check_size,
    choose_rows,
    fan,
    read_flow,
    write_flow,
)
from introspect.trajectory import trace

STEPS = 30


@pytest.fixture(scope="module")
def rows(atlas: Atlas) -> np.ndarray:
    return choose_rows(atlas, 40)


@pytest.fixture(scope="module")
def flow(atlas: Atlas, rows: np.ndarray) -> Flow:
    return fan(atlas, rows, Fgsm(steps=STEPS))


def test_chosen_rows_are_right_answers_equally_many_of_every_class(
    atlas: Atlas, rows: np.ndarray
) -> None:
    points = atlas.points
    assert len(rows) == len(set(rows.tolist())) == 40
    assert points.correct[rows].all() and (points.split[rows] == 2).all()
    assert (np.bincount(points.label[rows]) == 4).all()
    assert np.array_equal(rows, choose_rows(atlas, 40))
    assert not np.array_equal(rows, choose_rows(atlas, 40, seed=1))
    every = choose_rows(atlas, 10**6)
    assert len(every) == (points.correct & (points.split == 2)).sum()


def test_a_sample_of_the_fan_walks_as_alone(atlas: Atlas, rows: np.ndarray, flow: Flow) -> None:
    assert atlas.samples is not None
    for place in (0, 17, 39):
        x = atlas.samples.floats([rows[place]])[0]
        walk = trace(atlas, x, Fgsm(steps=STEPS))
        near = np.abs(flow.z[place] - walk.z).max(2)
        # A gradient of next to nothing may change its sign with the batch size.
        assert np.median(near) < 1e-4
        assert (flow.success_step[place] == walk.success_step).mean() >= 0.9
        assert (flow.alarm_step[place] == walk.alarm_step).mean() >= 0.9
        np.testing.assert_allclose(flow.linf[place], walk.linf[:, -1], atol=0.02)
        assert flow.source[place] == walk.source
    assert flow.z.shape == (40, 10, STEPS + 1, 2)


def test_success_is_counted_by_source_and_target(flow: Flow) -> None:
    rate, median, alarm = flow.success_rate, flow.median_step, flow.alarm_rate
    assert np.isnan(np.diag(rate)).all()
    for i in range(10):
        for j in range(10):
            steps = [s for s, c in zip(flow.success_step[:, j], flow.source, strict=True) if c == i]
            if i == j or not steps:
                assert np.isnan(rate[i, j])
                continue
            hits = sorted(s for s in steps if s >= 0)
            assert rate[i, j] == pytest.approx(len(hits) / len(steps))
            assert np.isnan(median[i, j]) if not hits else median[i, j] == np.median(hits)
            assert np.isnan(alarm[i, j]) == (not hits)
    assert 0 < np.nanmean(rate) <= 1 and 0 <= np.nanmin(alarm) <= np.nanmax(alarm) <= 1


def test_every_point_is_in_one_cell_and_drift_is_the_mean_move(flow: Flow) -> None:
    found = flow.density(g=12)
    assert found.visits.sum() == 40 * 10 * (STEPS + 1)
    x0, x1, y0, y1 = found.extent
    cells: dict[tuple[int, int], list[np.ndarray]] = {}
    for walk in flow.z.reshape(-1, STEPS + 1, 2).astype(np.float64):
        for here, there in zip(walk, walk[1:], strict=False):
            column = min(int((here[0] - x0) / (x1 - x0) * 12), 11)
            row = min(int((here[1] - y0) / (y1 - y0) * 12), 11)
            cells.setdefault((row, column), []).append(there - here)
    for cell, moves in cells.items():
        np.testing.assert_allclose(found.drift[cell], np.mean(moves, 0), atol=1e-5)
    one = flow.density(g=12, extent=found.extent, source=3, target=8)
    assert one.visits.sum() == (flow.source == 3).sum() * (STEPS + 1)
    assert (one.visits <= found.visits).all()
    part = flow.density(g=12, extent=(x0, (x0 + x1) / 2, y0, y1))
    assert 0 < part.visits.sum() < found.visits.sum()


def test_what_was_finished_before_a_cancel_is_kept(
    atlas: Atlas, rows: np.ndarray, flow: Flow
) -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 2 * (STEPS + 1) + 5

    with pytest.raises(FlowCancelled) as end:
        fan(atlas, rows, Fgsm(steps=STEPS), on_step=stop)
    done = end.value.done
    assert len(done) == 24, "two batches of twelve were finished"
    np.testing.assert_array_equal(done.z, flow.z[:24])
    np.testing.assert_array_equal(done.source, flow.source[:24])
    assert told[-1] == (2 * (STEPS + 1) + 5, 4 * (STEPS + 1))
    assert [number for number, _ in told] == sorted(number for number, _ in told)
    with pytest.raises(FlowCancelled) as early:
        fan(atlas, rows, Fgsm(steps=STEPS), on_step=lambda done, total: False)
    assert len(early.value.done) == 0 and np.isnan(early.value.done.success_rate).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda a: choose_rows(a, 0), "at least one sample; got 0"),
        (lambda a: choose_rows(a, 5, split="holdout"), "There is no split 'holdout'"),
        (lambda a: choose_rows(a, 5, classes=[11]), "There is no class 11 to begin at"),
        (lambda a: fan(a, [0], Fgsm(epsilon=1.5)), "The epsilon 1.5 does not fit"),
        (lambda a: fan(a, [], Fgsm()), "Choose at least one row"),
        (lambda a: fan(a, [10**7], Fgsm()), "Choose at least one row"),
        (lambda a: fan(a, [0], Fgsm(), targets=[11]), "There is no class 11"),
    ],
)
def test_what_cannot_be_attacked_is_refused(call: Any, sentence: str, atlas: Atlas) -> None:
    with pytest.raises(BadInput, match=sentence):
        call(atlas)


def test_rows_of_chosen_classes_and_wrong_answers_too(atlas: Atlas) -> None:
    points = atlas.points
    few = choose_rows(atlas, 20, classes=[3, 8])
    assert (np.bincount(points.predicted[few], minlength=10)[[3, 8]] == 10).all()
    wrong = np.flatnonzero(~points.correct & (points.split == 2))
    every = choose_rows(atlas, 10**6, right=False)
    assert len(wrong) and np.isin(wrong, every).all()
    assert len(choose_rows(atlas, 10**6, split="all", right=False)) == len(points)


def test_parts_made_before_are_not_made_again(atlas: Atlas, rows: np.ndarray, flow: Flow) -> None:
    parts: list[Flow] = []
    told: list[int] = []

    def stop(done: int, total: int) -> bool:
        return done < STEPS + 8

    with pytest.raises(FlowCancelled):
        fan(atlas, rows, Fgsm(steps=STEPS), on_step=stop, on_part=parts.append)
    assert [len(part) for part in parts] == [12]
    whole = fan(
        atlas,
        rows,
        Fgsm(steps=STEPS),
        on_step=lambda done, total: told.append(done),
        known=parts[0],
    )
    assert told[0] > STEPS and len(whole) == 40
    np.testing.assert_array_equal(whole.z, flow.z)
    np.testing.assert_array_equal(whole.success_step, flow.success_step)
    with pytest.raises(BadInput, match="belongs to another fan"):
        fan(atlas, rows[::-1], Fgsm(steps=STEPS), known=parts[0])


def test_flow_is_read_back_as_it_was_written(flow: Flow, tmp_path: Path) -> None:
    write_flow(flow, tmp_path / "flow.npz")
    back = read_flow(tmp_path / "flow.npz")
    for name, value in vars(flow).items():
        np.testing.assert_array_equal(getattr(back, name), value, name)
    assert not back.z.flags.writeable
    (tmp_path / "flow.npz").write_bytes(b"PK nothing")
    with pytest.raises(BadInput, match="gone or damaged: run it again"):
        read_flow(tmp_path / "flow.npz")


def test_walks_that_stand_still_are_counted(atlas: Atlas, rows: np.ndarray) -> None:
    calm = fan(atlas, rows[:3], Fgsm(steps=4, epsilon=0.0))
    other = calm.source[:, None] != calm.target[None, :]
    assert not calm.linf.any() and (calm.success_step[other] == -1).all()
    assert (calm.success_step[~other] == 0).all()

    class Dead(torch.autograd.Function):
        """Answers as the network does and gives back a gradient of exactly 0."""

        @staticmethod
        def forward(ctx: Any, logits: torch.Tensor) -> torch.Tensor:
            return logits.clone()

        @staticmethod
        def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:  # pyright: ignore
            return torch.zeros_like(slope)

    class Still(Fgsm):
        def path(self, classifier: Any, x: Any, target: Any) -> Any:
            class Asked:
                bounds, link = classifier.bounds, classifier.link
                link_outputs = staticmethod(classifier.link_outputs)

                def __call__(self, x: torch.Tensor) -> torch.Tensor:
                    return Dead.apply(classifier(x))  # pyright: ignore

            return super().path(Asked(), x, target)

    still = fan(atlas, rows[:3], Still(steps=4))
    # The last point has no step after it, but its gradient is looked at all the same.
    assert (still.stalled[other] == 5).all() and not still.stalled[~other].any()


def test_fan_that_would_not_fit_into_memory_is_refused(atlas: Atlas) -> None:
    check_size(atlas, 10_000, 10, 100)
    with pytest.raises(BadInput, match="choose fewer samples, classes or steps"):
        check_size(atlas, 10_000, 100, 1000)
