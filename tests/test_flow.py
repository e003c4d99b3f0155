"""The fan: many samples attacked at once walk as each alone, and are counted by their classes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from introspect import jobs
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.errors import BadInput, Cancelled
from introspect.flow import Flow, FlowCancelled, choose_rows, fan, run_fan
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
        (lambda a: fan(a, [], Fgsm()), "Choose at least one row"),
        (lambda a: fan(a, [10**7], Fgsm()), "Choose at least one row"),
        (lambda a: fan(a, [0], Fgsm(), targets=[11]), "There is no class 11"),
    ],
)
def test_what_cannot_be_attacked_is_refused(call: Any, sentence: str, atlas: Atlas) -> None:
    with pytest.raises(BadInput, match=sentence):
        call(atlas)


def test_the_fan_runs_as_a_job_in_its_own_process(atlas: Atlas, tmp_path: Path) -> None:
    assert atlas.folder is not None
    arguments = {
        "atlas": str(atlas.folder.parent),
        "out": str(tmp_path / "fan.npz"),
        "count": 20,
        "settings": {"steps": 10},
    }
    job = jobs.start("introspect.flow:run_fan", arguments, "Fan")
    until = time.monotonic() + 60
    while job.state().live and time.monotonic() < until:
        time.sleep(0.1)
    state = job.state()
    assert state.state == "done", state.message
    assert state.result is not None and state.result["samples"] == 20
    with np.load(tmp_path / "fan.npz", allow_pickle=False) as kept:
        assert kept["z"].shape == (20, 10, 11, 2)
        wanted = fan(atlas, kept["row"], Fgsm(steps=10))
        np.testing.assert_allclose(kept["z"], wanted.z, atol=0.2)
        np.testing.assert_array_equal(kept["source"], wanted.source)
    rate = np.array(state.result["success"], float)
    np.testing.assert_allclose(rate, wanted.success_rate, atol=0.51)


def test_a_stopped_job_leaves_the_finished_samples(atlas: Atlas, tmp_path: Path) -> None:
    assert atlas.folder is not None
    out = tmp_path / "half.npz"
    arguments = {"atlas": str(atlas.folder.parent), "out": str(out), "count": 36}
    arguments["settings"] = {"steps": 5}

    def report(stage: str, done: int, total: int, message: str = "") -> None:
        if done == 8:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        run_fan(arguments, report)
    with np.load(out, allow_pickle=False) as kept:
        assert kept["z"].shape == (12, 10, 6, 2)
