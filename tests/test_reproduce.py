"""The experiments run on an atlas and are told as they came out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from introspect import reproduce as module
from introspect.atlas import Atlas
from introspect.errors import BadInput, Cancelled
from introspect.report import write_report
from introspect.reproduce import Claim, Reproduction, reproduce


@pytest.fixture(scope="module")
def found(atlas: Atlas) -> Reproduction:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUICK", 4)
        return reproduce(atlas)


def _claim(found: Reproduction, words: str) -> Claim:
    (claim,) = [claim for claim in found.claims if words in claim.claim]
    return claim


def test_accuracy_and_gap_are_those_of_the_stored_rows(atlas: Atlas, found: Reproduction) -> None:
    test = atlas.points.split == 2
    right = atlas.points.label[test] == atlas.points.predicted[test]
    assert _claim(found, "right answers").ours == f"{right.mean():.2%} of {test.sum():,}"
    assert _claim(found, "right answers").held is None
    guess = atlas.points.log_error_map[test]
    gap = np.median(guess[~right]) - np.median(guess[right])
    claim = _claim(found, "higher for wrong")
    assert claim.ours == f"{gap:.2f} decades" and claim.held == (gap >= 2)


def test_every_figure_holds_finite_numbers(found: Reproduction) -> None:
    assert len(found.figures) >= 4
    for figure in found.figures.values():
        assert len(figure.data) > 0 and figure.layout.xaxis.title.text


def test_walks_that_arrive_are_counted_as_the_trajectory_counts_them(
    atlas: Atlas, found: Reproduction
) -> None:
    from introspect.attacks.fgsm import Fgsm
    from introspect.trajectory import trace

    row = module._papers_row(atlas)
    walk = trace(atlas, atlas.samples.floats([row])[0], Fgsm())
    arrived = (walk.success_step[walk.target != walk.source] >= 0).sum()
    claim = _claim(found, "lead sample")
    assert claim.ours.startswith(f"{arrived} of 9 reached")
    assert claim.held == (arrived == 9)


def test_network_trained_with_noise_is_compared_where_it_is_there(
    atlas: Atlas, found: Reproduction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [claim for claim in found.claims if "trained with noise" in claim.claim]
    path = tmp_path / "other.atlas"
    atlas.save(path)
    monkeypatch.setattr(module, "TWINS", {atlas.name: "other"})
    monkeypatch.setattr(module, "sample_atlases", lambda: {"other": path})
    claims, _ = module._noise(atlas, 3)
    # The same network twice keeps as many copies twice: nothing is better than itself.
    assert [claim.held for claim in claims] == [None, False]


def test_report_shows_names_as_text_and_the_table_as_json(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = tuple(
        Claim("fig. 1", f"<b>{held}</b>", "1 %", "2 %", "by hand", held)
        for held in (True, False, None)
    )
    made = Reproduction("<script>alert(1)</script>", claims, {}, 1.25, {"samples": 4})
    monkeypatch.setattr("introspect.report.reproduce", lambda *rest: made)
    path = tmp_path / "mine.atlas"
    atlas.save(path)
    answer = write_report(tmp_path / "out", [str(path)])
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<script>alert" not in page and "&lt;b&gt;True&lt;/b&gt;" in page
    kept = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert kept == answer
    told = [claim["verdict"] for claim in kept["claims"][made.name]]
    assert told == ["held", "did not hold", "no number in the paper"]


def test_stopping_between_two_experiments_is_heard(atlas: Atlas) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled, match="Stopped"):
        reproduce(atlas, report=stop)


def test_atlas_without_its_samples_is_refused(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(atlas), "samples", None)
    with pytest.raises(BadInput, match="lacks them"):
        reproduce(atlas)
