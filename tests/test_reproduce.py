"""The experiments run on an atlas and are told as they came out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import seeded
from torch import nn

from introspect.answers import answers
from introspect.atlas import Atlas
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled
from introspect.evolution import Evolution
from introspect.experiments import foreign, mapping, noise, reliability, secrecy, voting
from introspect.experiments.base import Claim, Effort, papers_row
from introspect.kept import Kept
from introspect.report import write_report
from introspect.reproduce import STAGES, Reproduction, reproduce
from introspect.samples import Samples

LITTLE = Effort(noisy=3, attacked=4, secret=24, strangers=100, nets=2, learnt=300, epochs=3)


@pytest.fixture(scope="module")
def found(atlas: Atlas) -> Reproduction:
    known = foreign.sets(atlas)
    few = {title: known[title] for title in ("noise alone", "test samples scrambled")}
    with pytest.MonkeyPatch.context() as patch:
        # Reading all of CIFAR-10 takes longer than everything else here.
        patch.setattr(foreign, "sets", lambda atlas: few)
        return reproduce(atlas, effort=LITTLE)


@pytest.fixture(scope="module")
def photographs(digits: Samples) -> Atlas:
    """A network of convolutions on small colour pictures, called as the bundled one is."""
    x = np.repeat(digits.x.repeat(2, 2).repeat(2, 3), 3, 1).copy()
    x[:, 0] //= 2
    samples = replace(digits, x=x, name="cifar10")

    def net() -> nn.Sequential:
        layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ELU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ELU()]
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 24), nn.ELU(),
            nn.Linear(24, 10),
        )  # fmt: skip

    module = seeded(net)
    train = samples.of("train")
    inputs, y = train.floats(), torch.from_numpy(np.array(train.y))
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        for rows in torch.randperm(len(y), generator=generator).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(inputs[rows]), y[rows]).backward()
            optimiser.step()
    classifier = Classifier.of(module.eval(), input_shape=(3, 16, 16), link="softmax")
    return build_atlas(classifier, samples, name="cifar10-net2", preset="fast")


def _claim(found: Reproduction, words: str) -> Claim:
    (claim,) = [claim for claim in found.claims if words in claim.claim]
    return claim


# ---------------------------------------------------------------- the old ones
def test_accuracy_and_gap_are_those_of_the_stored_rows(atlas: Atlas, found: Reproduction) -> None:
    test = atlas.points.split == 2
    right = atlas.points.label[test] == atlas.points.predicted[test]
    assert _claim(found, "right answers").ours == f"{right.mean():.2%} of {test.sum():,}"
    assert _claim(found, "right answers").held is None
    guess = atlas.points.log_error_map[test]
    gap = np.median(guess[~right]) - np.median(guess[right])
    claim = _claim(found, "higher for wrong")
    assert claim.ours == f"{gap:.2f} decades between the medians" and claim.held == (gap >= 2)


def test_samples_without_a_label_are_not_counted_as_wrong(atlas: Atlas) -> None:
    points, test = atlas.points, np.flatnonzero(atlas.points.split == 2)
    label, correct = points.label.copy(), points.correct.copy()
    label[test[::2]], correct[test[::2]] = -1, False
    half = replace(atlas, points=replace(points, label=label, correct=correct))
    claim = mapping.run(half, LITTLE).claims[0]
    assert claim.ours == f"{points.correct[test[1::2]].mean():.2%} of {len(test[1::2])}"


def test_every_figure_holds_numbers_and_every_stage_its_seconds(found: Reproduction) -> None:
    assert len(found.figures) >= 5
    for figure in found.figures.values():
        assert len(figure.data) > 0 and figure.layout.xaxis.title.text
    assert list(found.seconds_by) == [name for name, _ in STAGES]
    assert sum(found.seconds_by.values()) == pytest.approx(found.seconds, abs=1)


def test_walks_that_arrive_are_counted_as_the_trajectory_counts_them(
    atlas: Atlas, found: Reproduction
) -> None:
    from introspect.attacks.fgsm import Fgsm
    from introspect.trajectory import trace

    assert atlas.samples is not None
    walk = trace(atlas, atlas.samples.floats([papers_row(atlas)])[0], Fgsm())
    arrived = (walk.success_step[walk.target != walk.source] >= 0).sum()
    claim = _claim(found, "lead sample")
    assert claim.ours.startswith(f"{arrived} of 9 reached")
    assert claim.held == (arrived > 0)


def test_network_trained_with_noise_is_compared_where_it_is_there(
    atlas: Atlas, found: Reproduction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [claim for claim in found.claims if "trained with noise" in claim.claim]
    path = tmp_path / "other.atlas"
    atlas.save(path)
    monkeypatch.setattr(noise, "TWINS", {atlas.name: "other"})
    monkeypatch.setattr(noise, "sample_atlases", lambda: {"other": path})
    claims = noise.run(atlas, LITTLE).claims
    # The same network twice keeps as many copies twice: nothing is better than itself.
    assert [claim.held for claim in claims] == [None, False]


# ---------------------------------------------------------------- uses the paper names
def test_every_set_of_strangers_has_a_row_with_its_share_and_its_rival(
    atlas: Atlas, found: Reproduction
) -> None:
    rows = [claim for claim in found.claims if "are noticed:" in claim.claim]
    titles = {claim.claim.split(": ")[1] for claim in rows}
    assert {"noise alone", "test samples scrambled"} <= titles
    for claim in rows:
        share = float(claim.ours.split("%")[0])
        assert claim.held == (share > 50) and "MSP" in claim.ours
    known = _claim(found, "left alone")
    share = (atlas.points.off_map[atlas.points.split == 2] > 99).mean()
    assert known.ours.startswith(f"{share:.1%}")


def test_private_key_is_judged_at_equal_balls_on_samples_that_both_fool(
    atlas: Atlas, found: Reproduction
) -> None:
    subtle, bold = _claim(found, "as soon as"), _claim(found, "to the end of the walk")
    key = _claim(found, "private key")
    for claim in (subtle, bold, key):
        assert "ε = 0.3" in claim.how and "both attackers fool" in claim.how
        assert all(score in claim.ours for score in secrecy.SCORES.values())
        assert isinstance(claim.held, bool)
    assert not (key.held and not bold.held)


def test_first_point_that_fools_is_the_step_of_success(atlas: Atlas) -> None:
    from introspect.attacks.pgd import Pgd
    from introspect.trajectory import trace

    assert atlas.samples is not None
    rows = np.flatnonzero(atlas.points.split == 2)[:4]
    target = (atlas.points.predicted[rows] + 1) % 10
    attack = Pgd(30, 0.02, 0.4, random_start=False)
    found = secrecy.look(atlas, rows, target, attack, "first")
    for place, row in enumerate(rows):
        walk = trace(atlas, atlas.samples.floats([row])[0], attack, [int(target[place])])
        step = walk.success_step[0]
        assert found.fooled[place] == (step >= 0)
        wanted = walk.log_error[0, step if step >= 0 else -1]
        assert found.scores["error"][place] == pytest.approx(wanted, abs=1e-3)


def test_detector_of_what_was_not_attacked_knows_nothing(atlas: Atlas) -> None:
    rows = np.flatnonzero(atlas.points.split == 2)[:60]
    clean = secrecy.look(atlas, rows, atlas.points.predicted[rows])
    assert clean.fooled.all()
    for score in secrecy.SCORES:
        found = secrecy.detect(clean, clean, np.ones(60, bool), score)
        assert found.value == pytest.approx(0.5) and found.low < 0.5 < found.high
    np.testing.assert_allclose(clean.scores["error"], atlas.points.log_error[rows], atol=1e-3)


def test_ensemble_tells_every_accuracy_and_both_differences(found: Reproduction) -> None:
    best, equal = _claim(found, "better than its best network"), _claim(found, "equal weights do")
    names = ("−log ê(z)", "−log ê(h)", "equal weights", "best single", "95 % interval")
    assert all(name in best.ours for name in names)
    assert "2 networks trained here on training samples" in best.how
    assert ("better" in equal.ours) == (equal.held is True)


def test_members_differ_and_learn_from_their_own_half(atlas: Atlas) -> None:
    given = voting.choose(atlas, LITTLE)
    assert len(given.learn) == 300 and set(given.learn.split) == {0} == set(given.validation.split)
    assert set(given.judge.split) == {2} and not set(given.learn.ids) & set(given.validation.ids)
    one, two = (voting.make_member(given, "sigmoid", seed, 2) for seed in (0, 1))
    assert one.classifier.fingerprint != two.classifier.fingerprint
    assert (one.points.split == 0).sum() == 150
    again = voting.make_member(given, "sigmoid", 0, 2)
    np.testing.assert_array_equal(one.points.outputs, again.points.outputs)


def test_test_samples_are_parted_where_the_others_did_not_come_along(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert atlas.samples is not None
    rows = np.flatnonzero(atlas.points.split == 2)
    monkeypatch.setitem(vars(atlas), "kept", Kept(rows, atlas.samples[rows]))
    given = voting.choose(atlas, LITTLE)
    assert "test samples" in given.origin
    parts = [set(part.ids.tolist()) for part in (given.learn, given.validation, given.judge)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 300
    assert set(atlas.points.split[np.isin(atlas.points.id, list(parts[0]))]) == {2}


def test_experiment_that_an_atlas_does_not_allow_says_why_and_the_others_go_on(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*rest: object) -> None:
        raise BadInput("There is nothing to train on.")

    stages = (("The network and its map", mapping.run), ("Ensemble", refuse))
    monkeypatch.setattr("introspect.reproduce.STAGES", stages)
    claims = reproduce(atlas, effort=LITTLE).claims
    assert claims[-1].claim == "There is nothing to train on." and claims[-1].ours == "not run"
    assert claims[-1].verdict == "not run"
    assert "right answers" in claims[0].claim


# ---------------------------------------------------------------- CIFAR-10
def test_paper_numbers_of_cifar_stand_beside_ours(photographs: Atlas) -> None:
    claims = mapping.run(photographs, LITTLE).claims
    test = photographs.points.split == 2
    accuracy = photographs.points.correct[test].mean()
    assert claims[0].paper == "76.20%" and claims[0].held == (accuracy >= 0.762)
    rows = reliability.run(photographs, LITTLE).claims
    [overlap] = [claim for claim in rows if "overlap" in claim.claim]
    given = answers(photographs.points, "softmax")
    guess, wrong = given.scores["error_map"], given.wrong
    low, high = np.quantile(guess[~wrong], (0.05, 0.95))
    inside = ((guess >= low) & (guess <= high))[wrong].mean()
    assert overlap.ours.startswith(f"{inside:.0%}") and overlap.held == (inside > 0.1)
    assert "cats" in rows[0].paper


def test_photographs_get_the_small_ball_and_fewer_samples(photographs: Atlas, atlas: Atlas) -> None:
    claims = secrecy.run(photographs, LITTLE).claims
    assert all("ε = 0.0314" in claim.how for claim in claims)
    heavy, light = Effort.of(photographs, True), Effort.of(atlas, True)
    assert heavy.attacked < light.attacked and heavy.strangers < light.strangers
    assert heavy.nets == light.nets >= 5
    assert Effort.of(photographs, False).attacked > heavy.attacked
    assert isinstance(voting.small_network((3, 32, 32), 10)[0], nn.Conv2d)


def test_evolution_is_drawn_where_it_was_kept(photographs: Atlas) -> None:
    assert not mapping.run(photographs, LITTLE).figures
    rows = np.flatnonzero(photographs.points.label >= 0)[:400]
    end = photographs.points.z[rows]
    apart = np.random.default_rng(0).normal(size=end.shape).astype(np.float32)
    outputs = np.stack([photographs.points.outputs[rows]] * 3).astype(np.float16)
    kept = Evolution(
        step=np.array([0, 10, 20]),
        row=rows,
        id=photographs.points.id[rows],
        label=photographs.points.label[rows],
        z=np.stack([apart, (apart + end) / 2, end]).astype(np.float32),
        outputs=outputs,
        predicted=outputs.argmax(2),
    )
    grown = replace(photographs, evolution=kept)
    found = mapping.run(grown, LITTLE)
    [claim] = [one for one in found.claims if one.figure == "fig. 2a,e"]
    assert claim.held and "step 20" in claim.ours and "3 checkpoints" in claim.how
    [figure] = found.figures.values()
    assert sum(len(trace.x) for trace in figure.data) == 3 * 400
    assert len(figure.layout.annotations) == 3


# ---------------------------------------------------------------- the report
def test_report_shows_names_as_text_their_data_set_and_the_table_as_json(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = tuple(
        Claim("fig. 1", f"<b>{held}</b>", "1 %", "2 %", "by hand", held)
        for held in (True, False, None)
    ) + (Claim("Ensemble", "Too few samples.", "", "not run", "", None),)
    made = Reproduction("<script>alert(1)</script>", "cifar10", claims, {}, 1.25, {"Map": 1.2})
    monkeypatch.setattr("introspect.report.reproduce", lambda *rest: made)
    path = tmp_path / "mine.atlas"
    atlas.save(path)
    answer = write_report(tmp_path / "out", [str(path)])
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<script>alert" not in page and "&lt;b&gt;True&lt;/b&gt;" in page
    assert page.count("<td>CIFAR-10</td>") == 4 and page.count("<table>") == 1
    assert "Of 3 claims 1 held, 1 did not, and for 1 there is no number in the paper." in page
    assert "1 was not run." in page
    kept = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert kept == answer and kept["stages"][made.name] == {"Map": 1.2}
    rows = kept["claims"][made.name]
    said = ["held", "did not hold", "no number in the paper", "not run"]
    assert [row["verdict"] for row in rows] == said
    assert {row["data"] for row in rows} == {"CIFAR-10"}


def test_stopping_between_two_experiments_is_heard(atlas: Atlas) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled, match="Stopped"):
        reproduce(atlas, report=stop, effort=LITTLE)


def test_atlas_without_its_samples_is_refused(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(atlas), "kept", None)
    with pytest.raises(BadInput, match="lacks them"):
        reproduce(atlas)
