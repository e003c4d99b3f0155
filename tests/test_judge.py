"""The judgement in numbers: its shape, its values, and atlases that leave little to judge."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import reference
from sklearn.metrics import roc_auc_score

from introspect.atlas import Atlas
from introspect.cli import main
from introspect.errors import BadInput
from introspect.judge import judge, place, tell
from introspect.samples import Samples

KEYS = {"auroc", "auroc_ci", "fpr95_err", "fpr95_corr", "aurc", "e_aurc", "augrc", "ece"}


@pytest.fixture(scope="module")
def found(atlas: Atlas) -> dict:
    return judge(atlas, resamples=400)


def test_judgement_has_the_agreed_shape_and_is_json(found: dict) -> None:
    assert set(found["scores"]) == {"msp", "max_logit", "entropy", "margin", "error_map", "error"}
    assert all(set(score) == KEYS for score in found["scores"].values())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["split"] == "test" and found["resamples"] == 400


def test_values_are_those_of_the_outputs(found: dict, atlas: Atlas) -> None:
    points = atlas.points
    test = points.split == 2
    wrong = ~points.correct[test]
    p = points.outputs[test].astype(np.float64)
    logits = np.log(p) - np.log1p(-p)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = {
        "msp": -shares.max(1),
        "max_logit": -p.max(1),
        "entropy": -(shares * np.log(shares)).sum(1),
        "margin": -np.diff(np.sort(logits, 1)[:, -2:], axis=1)[:, 0],
        "error_map": points.log_error_map[test],
        "error": points.log_error[test],
    }
    for name, score in wanted.items():
        one = found["scores"][name]
        assert one["auroc"] == pytest.approx(roc_auc_score(wrong, score), abs=2e-4), name
        low, high = one["auroc_ci"]
        assert low < one["auroc"] < high
    share = reference.false_share(wanted["error"], wrong)
    assert found["scores"]["error"]["fpr95_err"] == pytest.approx(share, abs=1e-6)


def test_calibration_is_told_only_where_validation_taught_no_score(found: dict) -> None:
    assert found["scores"]["error"]["ece"] is None
    assert all(0 <= found["scores"][name]["ece"] < 0.2 for name in ("msp", "error_map"))


def test_same_seed_same_judgement(found: dict, atlas: Atlas) -> None:
    assert judge(atlas, resamples=400) == found


def test_person_is_told_every_score_and_the_verdict(found: dict) -> None:
    text = tell(found)
    assert all(word in text for word in ("ê(h)", "ê(z)", "MSP", "margin", "By AUROC"))


def test_without_errors_undefined_values_are_null(atlas: Atlas) -> None:
    points = atlas.points
    right = dataclasses.replace(points, predicted=np.array(points.label), views={})
    found = judge(dataclasses.replace(atlas, points=right), resamples=200)
    assert found["wrong"] == 0
    assert found["scores"]["msp"]["auroc"] is None and found["scores"]["msp"]["aurc"] == 0
    assert found["scores"]["msp"]["auroc_ci"] == [None, None]
    assert "nothing to tell apart" in found["verdict"] and "-" in tell(found)
    json.dumps(found, allow_nan=False)


def test_without_labels_there_are_no_scores(atlas: Atlas) -> None:
    points = atlas.points
    blind = dataclasses.replace(points, label=np.full(len(points), -1), views={})
    found = judge(dataclasses.replace(atlas, points=blind))
    assert found["n"] == 0 and found["scores"] == {}
    assert "no labelled samples" in tell(found)


def test_other_data_are_placed_and_judged_like_the_stored_rows(
    found: dict, atlas: Atlas, digits: Samples, tmp_path: Path
) -> None:
    test = digits.of("test")
    np.savez(tmp_path / "digits.npz", x=test.x, y=test.y)
    other = judge(atlas, data=tmp_path / "digits.npz", resamples=400)
    assert (other["n"], other["wrong"]) == (found["n"], found["wrong"])
    for name, one in other["scores"].items():
        assert one["auroc"] == pytest.approx(found["scores"][name]["auroc"], abs=1e-3), name
    stored = atlas.points.error[atlas.points.split == 2]
    np.testing.assert_allclose(place(atlas, tmp_path / "digits.npz").error, stored, atol=1e-5)


def test_command_judges_an_atlas_on_given_data(
    found: dict, atlas: Atlas, digits: Samples, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = digits.of("test")
    np.savez(tmp_path / "few.npz", x=test.x[:200], y=test.y[:200])
    assert atlas.folder is not None
    folder = str(atlas.folder.parent)
    assert main(["judge", folder, "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["scores"]["error"]["auroc"] == found["scores"]["error"]["auroc"]
    assert said["resamples"] == 2000
    assert main(["judge", folder, "--data", str(tmp_path / "few.npz")]) == 0
    assert "Of 200 answers" in capsys.readouterr().out
    assert main(["judge", folder, "--data", str(tmp_path / "none.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_data_that_are_not_there_are_told_in_a_sentence(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        judge(atlas, data=tmp_path / "nothing.npz")


def test_unknown_split_is_told_in_a_sentence(atlas: Atlas) -> None:
    with pytest.raises(BadInput, match="no split 'dev'"):
        judge(atlas, split="dev")
