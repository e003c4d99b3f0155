"""The commands attack and noise: what they print, what they keep, how they refuse and stop."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from introspect import cli
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.trajectory import trace


def run(
    atlas: Atlas, capsys: pytest.CaptureFixture[str], command: str, *line: str
) -> tuple[int, dict[str, Any], str]:
    assert atlas.folder is not None
    status = cli.main([command, str(atlas.folder.parent), *line])
    printed = capsys.readouterr()
    last = printed.out.splitlines()[-1] if printed.out else "{}"
    return status, json.loads(last) if last.startswith("{") else {"said": printed.out}, printed.err


def test_attack_prints_every_target_and_keeps_every_step(
    atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "walks.npz"
    row = atlas.points.row_of("test:5")
    status, answer, _ = run(
        atlas, capsys, "attack", "--sample", "test:5", "--steps", "40", "-o", str(out), "--json"
    )
    assert status == 0
    assert [walk["target"] for walk in answer["targets"]] == list(range(10))
    keys = {"target", "success_step", "alarm_step", "linf"}
    assert all(walk.keys() == keys for walk in answer["targets"])
    assert atlas.samples is not None
    wanted = trace(atlas, atlas.samples.floats([row])[0], Fgsm(steps=40))
    with np.load(out, allow_pickle=False) as kept:
        for name in ("x", "z", "outputs", "log_error", "log_error_map", "target"):
            np.testing.assert_array_equal(kept[name], getattr(wanted, name))
        assert kept["x"].shape == (10, 41, 1, 8, 8)
        assert json.loads(str(kept["settings"])) == {
            "steps": 40,
            "epsilon": 0.01,
            "loss": "squared",
        }
    for i, walk in enumerate(answer["targets"]):
        first = int(wanted.success_step[i])
        assert walk["success_step"] == (None if first < 0 else first)
        assert walk["linf"] == pytest.approx(float(wanted.linf[i, -1]), abs=1e-6)
    assert answer["source"] == wanted.source


def test_attack_on_one_target_by_id_speaks_to_a_person(
    atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(atlas.points.id[0])
    own = str(atlas.points.predicted[0])
    line = ("--sample", name, "--target", own, "--method", "pgd", "--epsilon", "0.2")
    status, answer, _ = run(atlas, capsys, "attack", *line)
    assert status == 0
    assert f"taken for {own} at the start; 40 steps made" in answer["said"]
    assert f"{own} (its own class)" in answer["said"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--sample 99999", "There is no sample '99999'"),
        ("--sample test:99999", "There is no sample 'test:99999'"),
        ("--sample 1 --target 10", "There is no class '10' to aim at"),
        ("--sample 1 --target cat", "There is no class 'cat' to aim at"),
        ("--sample 1 --method guess", "There is no attack 'guess'"),
        ("--sample 1 --epsilon 2", "The epsilon 2 does not fit"),
        ("--sample 1 --steps 0", "An attack needs at least 1 step"),
        ("--sample 1 -o nowhere/out.npz", "There is no folder 'nowhere'"),
    ],
)
def test_attack_refuses_in_one_sentence(
    line: str, sentence: str, atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, said = run(atlas, capsys, "attack", *line.split())
    assert status == 2
    assert said.startswith(f"introspect: {sentence}") and said.count("\n") == 1


def test_an_interrupted_attack_keeps_its_steps(
    atlas: Atlas,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def press(self: cli.Bar, stage: str, done: int, total: int, message: str = "") -> None:
        if done == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli.Bar, "__call__", press)
    out = tmp_path / "half.npz"
    before = signal.getsignal(signal.SIGINT)
    status, _, said = run(atlas, capsys, "attack", "--sample", "3", "-o", str(out))
    assert status == 130 and "the 11 steps made until then are in half.npz" in said
    with np.load(io.BytesIO(out.read_bytes())) as kept:
        assert kept["x"].shape == (10, 12, 1, 8, 8) and kept["z"].shape == (10, 12, 2)
    assert signal.getsignal(signal.SIGINT) is before
    status, _, said = run(atlas, capsys, "attack", "--sample", "3")
    assert (status, said) == (130, "introspect: The attack was stopped.\n")


def test_noise_says_what_the_constellation_says(
    atlas: Atlas, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("--sample", "test:5", "--sigma", "0.3", "--copies", "50", "--seed", "2")
    status, answer, _ = run(atlas, capsys, "noise", *line, "--json")
    assert status == 0 and answer.keys() == {"kept", "mean_shift"}
    again = run(atlas, capsys, "noise", *line, "--json")[1]
    assert answer == again and 0 <= answer["kept"] <= 1 and answer["mean_shift"] > 0
    still = run(atlas, capsys, "noise", "--sample", "5", "--sigma", "0", "--json")[1]
    assert still == {"kept": 1.0, "mean_shift": 0.0}
    assert "keep the class" in run(atlas, capsys, "noise", *line)[1]["said"]
    status, _, said = run(atlas, capsys, "noise", "--sample", "-4")
    assert status == 2 and said.count("\n") == 1
