"""Many samples attacked as a command and as a job: what is printed, kept, and gone on with."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from introspect import cli, fanning, jobs
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.errors import Cancelled
from introspect.fanning import FILE, Pace, read_job, run_fan, summarise
from introspect.flow import Flow, choose_rows, fan, read_flow


class Report:
    """What a worker gives a job, and stops it after so many steps."""

    def __init__(self, folder: Path, stop: int = -1) -> None:
        self.folder = folder / "work"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stop = stop
        self.told: list[tuple[int, int, str]] = []

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        if stage == "Attacking":
            self.told.append((done, total, message))
            if done == self.stop:
                raise Cancelled("Stopped.")


def arguments(atlas: Atlas, **more: Any) -> dict[str, Any]:
    assert atlas.folder is not None
    return {"atlas": str(atlas.folder.parent), "settings": {"steps": 10}, **more}


def run(
    atlas: Atlas, capsys: pytest.CaptureFixture[str], *line: str
) -> tuple[int, dict[str, Any], str]:
    assert atlas.folder is not None
    status = cli.main(["attack", str(atlas.folder.parent), *line])
    printed = capsys.readouterr()
    last = printed.out.splitlines()[-1] if printed.out else "{}"
    return status, json.loads(last) if last.startswith("{") else {"said": printed.out}, printed.err


# ---------------------------------------------------------------- as a job
def test_fan_runs_as_a_job_in_its_own_process(atlas: Atlas) -> None:
    given = arguments(atlas, count=20, targets=[1, 7], classes=[2, 3])
    job = jobs.start("introspect.fanning:run_fan", given, "Fan")
    assert job.function == "introspect.fanning:run_fan"
    until = time.monotonic() + 60
    while job.state().live and time.monotonic() < until:
        time.sleep(0.1)
    state = job.state()
    assert state.state == "done", state.message
    assert state.result is not None and state.result["samples"] == 20
    flow = read_job(job.folder)
    assert flow is not None and flow.z.shape == (20, 2, 11, 2)
    wanted = fan(atlas, choose_rows(atlas, 20, classes=[2, 3]), Fgsm(steps=10), [1, 7])
    np.testing.assert_array_equal(flow.row, wanted.row)
    np.testing.assert_allclose(flow.z, wanted.z, atol=0.2)
    assert not (job.folder / "work").exists()
    job.remove()


def test_stopped_job_keeps_the_finished_samples_and_goes_on_behind_them(
    atlas: Atlas, tmp_path: Path
) -> None:
    given = arguments(atlas, count=36)
    first = Report(tmp_path, stop=2 * 11 + 4)
    with pytest.raises(Cancelled):
        run_fan(given, first)
    kept = read_flow(tmp_path / FILE)
    assert kept.z.shape == (24, 10, 11, 2)
    second = Report(tmp_path)
    answer = run_fan(given, second)
    assert answer["samples"] == 36 and second.told[0][0] > 2 * 11
    whole = read_flow(tmp_path / FILE)
    np.testing.assert_array_equal(whole.z[:24], kept.z)
    np.testing.assert_array_equal(whole.row, choose_rows(atlas, 36))


def test_killed_job_loses_only_the_samples_in_hand(atlas: Atlas, tmp_path: Path) -> None:
    class Kill(Exception):
        pass

    class Killed(Report):
        def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
            if done == 2 * 11 + 4:
                raise Kill

    with pytest.raises(Kill):
        run_fan(arguments(atlas, count=36), Killed(tmp_path))
    assert not (tmp_path / FILE).exists()
    found = read_job(tmp_path)
    assert found is not None and len(found) == 24
    (tmp_path / "work" / "part-000001.npz").write_bytes(b"torn")
    found = read_job(tmp_path)
    assert found is not None and len(found) == 12
    assert read_job(tmp_path / "nothing") is None


def test_progress_tells_samples_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(fanning.time, "monotonic", lambda: now[0])
    pace = Pace(samples=40, targets=10)
    assert pace.tell(0, 100) == "0 of 40 samples"
    now[0] += 2
    assert pace.tell(50, 100) == "20 of 40 samples, 100 walks a second"


# ---------------------------------------------------------------- in numbers
def test_summary_has_every_rate_and_no_nan(atlas: Atlas) -> None:
    flow: Flow = fan(atlas, choose_rows(atlas, 20), Fgsm(steps=10, epsilon=0.05))
    told = json.loads(json.dumps(summarise(atlas, flow), allow_nan=False))
    other = flow.source[:, None] != flow.target[None, :]
    hit = other & (flow.success_step >= 0)
    early = hit & (flow.alarm_step >= 0) & (flow.alarm_step <= flow.success_step)
    assert (told["walks"], told["arrived"], told["alarmed"]) == (180, hit.sum(), early.sum())
    assert sum(told["sources"]) == told["samples"] == 20
    rate = np.array(told["success"], float)
    np.testing.assert_allclose(rate, flow.success_rate, atol=1e-4)
    weights = np.array(told["sources"])[:, None] * (~np.isnan(rate))
    assert np.nansum(rate * weights) == pytest.approx(hit.sum(), abs=0.05)


# ---------------------------------------------------------------- as a command
def test_command_attacks_many_and_prints_their_rates(
    atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "many.npz"
    line = ("--samples", "20", "--steps", "10", "--epsilon", "0.05", "--seed", "3")
    status, answer, _ = run(atlas, capsys, *line, "-o", str(out), "--json")
    assert status == 0
    kept = read_flow(out)
    np.testing.assert_array_equal(kept.row, choose_rows(atlas, 20, seed=3))
    assert answer["samples"] == 20 and answer["targets"] == list(range(10))
    assert {"success", "median_step", "alarm", "gateways", "stalled", "seconds"} <= answer.keys()
    np.testing.assert_allclose(np.array(answer["success"], float), kept.success_rate, atol=1e-4)
    said = run(atlas, capsys, *line)[1]["said"]
    assert f"{answer['arrived']} of 180 walks of 20 samples reach their target" in said
    assert "share that arrives" in said


def test_command_takes_one_class_and_one_target(
    atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("--samples", "4", "--steps", "3", "--of", "3", "--target", "8", "--any")
    answer = run(atlas, capsys, *line, "--json")[1]
    assert answer["sources"] == [0, 0, 0, 4, 0, 0, 0, 0, 0, 0] and answer["targets"] == [8]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--samples 0", "A fan needs at least one sample; got 0."),
        ("--samples 5 --of cat", "There is no class 'cat' to aim at or begin from"),
        ("--samples 5 --split mine", "There is no split 'mine'"),
        ("--samples 5 --epsilon -1", "The epsilon -1 does not fit"),
        ("--samples 5 -o nowhere/out.npz", "There is no folder 'nowhere'"),
        ("--samples 5 --sample 3", "argument --sample: not allowed with argument --samples"),
        ("", "one of the arguments --sample --samples is required"),
    ],
)
def test_command_refuses_in_one_sentence(
    line: str, sentence: str, atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status, _, said = run(atlas, capsys, *line.split())
    except SystemExit as end:  # the parser's own way
        status, said = end.code, capsys.readouterr().err
    assert status == 2
    assert sentence in said and said.count("\n") == 1


def test_target_equal_to_the_class_is_said_to_have_no_walks(
    atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("--samples", "3", "--steps", "2", "--of", "3", "--target", "3")
    status, answer, _ = run(atlas, capsys, *line, "--json")
    assert status == 0 and answer["walks"] == 0 and answer["success"][3] == [None]


def test_interrupted_command_keeps_the_finished_samples(
    atlas: Atlas,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def press(self: cli.Bar, stage: str, done: int, total: int, message: str = "") -> None:
        if done == 15:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli.Bar, "__call__", press)
    out = tmp_path / "half.npz"
    line = ("--samples", "24", "--steps", "10")
    status, _, said = run(atlas, capsys, *line, "-o", str(out))
    assert status == 130 and "the 12 samples finished until then are in half.npz" in said
    assert len(read_flow(out)) == 12
    status, _, said = run(atlas, capsys, *line)
    assert (status, said) == (130, "introspect: The attacks were stopped.\n")
