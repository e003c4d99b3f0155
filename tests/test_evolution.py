"""The training evolution: checkpoints in order, places and answers of then, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from training_run import STEPS, weights_on_the_way, write_run

from introspect import cli, evolution
from introspect.atlas import Atlas
from introspect.building import build
from introspect.bundled import sample_atlases
from introspect.classifier import Classifier, save_classifier
from introspect.errors import BadInput
from introspect.evolution import Evolution, EvolutionCancelled, evolve, find_checkpoints
from introspect.formats.safetensors import write_tensors
from introspect.points import Points
from introspect.samples import Samples


@pytest.fixture(scope="module")
def folder(mlp: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five checkpoints of the small network, and a file beside them that is none."""
    made = write_run(mlp.module, tmp_path_factory.mktemp("run"))
    save_file({"optimiser": torch.zeros(3)}, made / "optimiser.safetensors")
    return made


@pytest.fixture(scope="module")
def found(atlas: Atlas, folder: Path) -> Evolution:
    return evolve(atlas, folder)


# ---------------------------------------------------------------- checkpoints
def test_checkpoints_come_in_the_order_of_the_last_number_in_their_names(folder: Path) -> None:
    found = find_checkpoints(folder)
    assert [one.step for one in found] == list(STEPS)
    assert [one.file.name for one in found] == [f"net3-step{s}.safetensors" for s in STEPS]
    files = [str(one.file) for one in reversed(found)]
    assert find_checkpoints(files) == found
    assert find_checkpoints([str(folder)]) == found


def _bad(folder: Path, kind: str) -> Any:
    """A list of checkpoints with one fault."""
    first, last = (folder / f"net3-step{step}.safetensors" for step in (0, 1000))
    place = folder.parent / f"bad-{kind}"
    place.mkdir(exist_ok=True)
    odd = place / "step50.safetensors"
    weights = load_file(last)
    if kind == "one":
        return [last]
    if kind == "none":
        return place
    if kind == "missing":
        return [first, folder / "nowhere7.safetensors"]
    if kind == "equal":
        shutil.copy(last, place / "again1000.safetensors")
        return [folder, place / "again1000.safetensors"]
    if kind == "unnumbered":
        return [first, folder / "optimiser.safetensors"]
    if kind == "pickle":
        odd.write_bytes(b"\x80\x04" + b"x" * 100)
        return [first, odd]
    if kind == "nan":
        weights["3.bias"][2] = float("nan")
    if kind == "misshaped":
        weights["1.weight"] = torch.zeros(32, 65)
    if kind == "lacking":
        del weights["8.weight"]
    if kind == "surplus":
        weights["11.weight"] = torch.zeros(2)
    save_file(weights, odd)
    return [first, odd]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("one", "1 checkpoint found, but an evolution needs two or more"),
        ("none", "No checkpoints found"),
        ("missing", "no checkpoint or folder .*nowhere7"),
        ("equal", "again1000.safetensors both say step 1000|both say step 1000"),
        ("unnumbered", "optimiser.safetensors does not say its step"),
        ("pickle", "step50.safetensors is a PyTorch pickle"),
        ("nan", 'step50.safetensors cannot be used: the tensor "3.bias" contains NaN'),
        ("misshaped", r'step50.safetensors cannot be used: the tensor "1.weight" .* \(32, 65\)'),
        ("lacking", 'step50.safetensors cannot be used: the weights lack "8.weight"'),
        ("surplus", 'step50.safetensors cannot be used: the file holds a tensor "11.weight"'),
    ],
)
def test_what_cannot_be_followed_is_told_with_file_and_tensor(
    atlas: Atlas, folder: Path, kind: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        evolve(atlas, _bad(folder, kind))


def test_atlas_without_its_network_cannot_be_followed(atlas: Atlas, folder: Path) -> None:
    from introspect.atlas import Absent

    absent = replace(atlas.classifier, module=Absent())
    engine = replace(atlas.engine, tap=_tap_of(atlas, absent))
    with pytest.raises(BadInput, match="without its network or inputs"):
        evolve(replace(atlas, engine=engine), folder)


def _tap_of(atlas: Atlas, classifier: Classifier) -> Any:
    from introspect.tap import Tap

    return Tap(classifier, list(atlas.engine.tap.spans))


def test_endless_weights_that_answer_with_infinity_are_refused(
    atlas: Atlas, folder: Path, tmp_path: Path
) -> None:
    weights = load_file(folder / "net3-step1000.safetensors")
    save_file({k: v * 1e30 for k, v in weights.items()}, tmp_path / "step1.safetensors")
    files = [tmp_path / "step1.safetensors", folder / "net3-step1000.safetensors"]
    with pytest.raises(BadInput, match="step1.safetensors answers with NaN or infinite"):
        evolve(atlas, files)


# ---------------------------------------------------------------- what is recorded
def test_last_snapshot_is_the_atlas_itself(atlas: Atlas, found: Evolution) -> None:
    points = atlas.points
    assert len(found.id) == 300 and (points.split[found.row] == 2).all()
    np.testing.assert_array_equal(found.id, points.id[found.row])
    np.testing.assert_array_equal(found.label, points.label[found.row])
    np.testing.assert_allclose(found.z[-1], points.z[found.row], atol=1e-5)
    np.testing.assert_array_equal(found.predicted[-1], points.predicted[found.row])
    np.testing.assert_allclose(found.outputs[-1], points.outputs[found.row], atol=1e-3)
    assert not found.z.flags.writeable and list(found.step) == list(STEPS)


@pytest.mark.parametrize("place", [0, 2])
def test_each_snapshot_is_a_network_of_its_own_read_by_the_atlas_s_encoder(
    atlas: Atlas, mlp: Classifier, digits: Samples, found: Evolution, place: int
) -> None:
    import copy

    from introspect.tap import Tap

    module = copy.deepcopy(mlp.module)
    module.load_state_dict(weights_on_the_way(mlp.module, place / 4))
    then = Classifier.of(module, input_shape=(1, 8, 8), classes=mlp.classes, link="sigmoid")
    with torch.inference_mode():
        # Not a recording, which keeps halves: an unfinished network lies far off the map.
        h, logits = Tap(then)(digits.of("test").floats())
        z, outputs = atlas.engine.encoder(h), then.link_outputs(logits)
    np.testing.assert_allclose(found.z[place], z.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.outputs[place], outputs, atol=1e-3)
    np.testing.assert_array_equal(found.predicted[place], outputs.argmax(1))


def test_accuracy_is_the_share_of_right_answers_and_grows(
    atlas: Atlas, digits: Samples, found: Evolution
) -> None:
    y = digits.of("test").y
    shares = [
        sum(int(a == b) for a, b in zip(row, y, strict=True)) / 300 for row in found.predicted
    ]
    np.testing.assert_allclose(found.accuracy, shares)
    assert shares[-1] > 0.85 > 0.5 > shares[0]
    blind = replace(found, label=np.full(300, -1))
    assert np.isnan(blind.accuracy).all()


def test_same_samples_are_watched_for_the_same_seed_only(atlas: Atlas) -> None:
    points = atlas.points
    few, again, other = (evolution.watched(points, 50, seed) for seed in (0, 0, 1))
    assert np.array_equal(few, again) and not np.array_equal(few, other)
    assert len(few) == 50 and (np.diff(few) > 0).all() and (points.split[few] == 2).all()
    with pytest.raises(BadInput, match="too few"):
        evolution.watched(points, 0)


def test_certainty_is_nothing_at_chance_and_all_when_the_mind_is_made_up() -> None:
    rows = [[0.25] * 4, [1, 0, 0, 0], [0, 1, 0, 0], [0.5] * 4, [0] * 4, [0.02, 0, 0, 0]]
    outputs = np.array([rows], np.float16)
    n = len(rows)
    made = Evolution(
        step=np.array([5]),
        row=np.arange(n),
        id=np.arange(n),
        label=np.zeros(n, np.int64),
        z=np.zeros((1, n, 2), np.float32),
        outputs=outputs,
        predicted=outputs.argmax(2),
    )
    shares = made.certainty(np.zeros((1, n), np.int64))[0]
    np.testing.assert_allclose(shares, [0, 1, 0, 0, 0, 0.02], atol=1e-4)


def test_following_leaves_the_classifier_as_it_is(atlas: Atlas, folder: Path) -> None:
    before = {k: v.clone() for k, v in atlas.classifier.module.state_dict().items()}
    evolve(atlas, folder, count=5)
    after = atlas.classifier.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_convolutional_network_is_followed_in_the_layers_of_its_atlas(
    cnn: Classifier, digits: Samples, tmp_path: Path
) -> None:
    few, run = digits[::4], write_run(cnn.module, tmp_path)
    atlas = Atlas.build(cnn, few, preset="fast", epochs=1, checkpoints=run)
    found = atlas.evolution
    assert found is not None and found.z.shape == (5, len(few.of("test")), 2)
    np.testing.assert_allclose(found.z[-1], atlas.points.z[found.row], atol=1e-4)


# ---------------------------------------------------------------- progress, stopping, going on
def test_progress_is_told_and_what_was_done_is_kept_when_it_is_stopped(
    atlas: Atlas, folder: Path, found: Evolution
) -> None:
    told: list[tuple[int, int]] = []

    def stop_in_the_third(done: int, total: int) -> bool:
        told.append((done, total))
        return done <= 600

    with pytest.raises(EvolutionCancelled) as stopped:
        evolve(atlas, folder, on_batch=stop_in_the_third)
    assert told[0] == (250, 1500) and told[-1] == (850, 1500)
    done = stopped.value.done
    assert done is not None and list(done.step) == list(STEPS[:2])
    np.testing.assert_array_equal(done.z, found.z[:2])


def test_stopped_work_goes_on_where_it_was(
    atlas: Atlas, folder: Path, found: Evolution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EvolutionCancelled):
        evolve(atlas, folder, work=tmp_path, on_batch=lambda done, total: done <= 600)
    read: list[int] = []
    revive = evolution.revive
    monkeypatch.setattr(
        evolution, "revive", lambda net, one: (read.append(one.step), revive(net, one))[1]
    )
    again = evolve(atlas, folder, work=tmp_path)
    assert read == list(STEPS[2:])
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value, name)


# ---------------------------------------------------------------- on disk
def test_evolution_is_saved_with_its_atlas(atlas: Atlas, found: Evolution, tmp_path: Path) -> None:
    replace(atlas, evolution=found).save(tmp_path / "a.atlas")
    kept = Atlas.load(tmp_path / "a.atlas")
    kept.save(tmp_path / "b.atlas")
    for again in (kept.checkpoints, Atlas.load(tmp_path / "b.atlas").checkpoints):
        assert again is not None
        for name, value in vars(found).items():
            np.testing.assert_array_equal(getattr(again, name), value, name)
    assert atlas.checkpoints is None


def test_file_without_predictions_is_read_as_the_first_atlases_were_written(
    atlas: Atlas, found: Evolution, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints.safetensors"
    held = {name: torch.from_numpy(np.array(getattr(found, name))) for name in ("step", "id")}
    held |= {
        name: torch.from_numpy(np.array(getattr(found, name), np.float16))
        for name in ("z", "outputs")
    }
    write_tensors(held, file)
    again = evolution.read_evolution(file, atlas.points)
    np.testing.assert_allclose(again.z, found.z, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(again.row, found.row)
    np.testing.assert_array_equal(again.predicted, found.outputs.argmax(2))


@pytest.mark.parametrize("fault", ["lacking", "strange id", "falling steps", "another k", "nan"])
def test_damaged_file_is_told_in_a_sentence(
    atlas: Atlas, found: Evolution, tmp_path: Path, fault: str
) -> None:
    file = tmp_path / "checkpoints.safetensors"
    evolution.write_evolution(found, file)
    held = load_file(file)
    if fault == "lacking":
        del held["z"]
    elif fault == "strange id":
        held["id"][3] = 10**12
    elif fault == "falling steps":
        held["step"] = held["step"].flip(0)
    elif fault == "another k":
        held["outputs"] = held["outputs"][:, :, :4]
    else:
        held["z"][0, 0, 0] = float("nan")
    write_tensors(held, file)
    with pytest.raises(BadInput, match="training evolution in this atlas is damaged"):
        evolution.read_evolution(file, atlas.points)


@pytest.mark.skipif("mnist-net1" not in sample_atlases(), reason="the bundled atlas is not there")
def test_bundled_training_is_played_at_24_moments_on_2000_test_digits() -> None:
    atlas = Atlas.load("mnist-net1")
    found = atlas.checkpoints
    assert found is not None and found.z.shape == (24, 2000, 2)
    points: Points = atlas.points
    assert (points.split[found.row] == 2).all()
    assert found.accuracy[-1] > 0.97 and found.accuracy[-1] > found.accuracy[0]
    np.testing.assert_allclose(found.z[-1], points.z[found.row], atol=5e-3)


# ---------------------------------------------------------------- building
def test_build_takes_checkpoints_of_a_table_with_two_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 2)).eval()
    files = sorted(write_run(module, tmp_path, (1, 2, 3)).glob("*"))
    atlas = build(module, (x, y), preset="fast", epochs=1, checkpoints=[str(f) for f in files])
    found = atlas.evolution
    assert found is not None and found.outputs.shape == (3, 40, 2)


def test_command_adds_the_training_to_the_atlas_and_counts_its_moments(
    mlp: Classifier, digits: Samples, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    save_classifier(mlp, tmp_path / "model")
    np.savez(tmp_path / "d.npz", x=digits.x, y=digits.y, split=digits.split)
    line = ["build", str(tmp_path / "model"), str(tmp_path / "d.npz"), "--preset", "fast"]
    line += ["--epochs", "1", "-o", str(tmp_path / "d.atlas"), "--json", "--checkpoints"]
    assert cli.main([*line, str(folder)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["checkpoints"] == 5
    assert "5 snapshots of the training followed" in cli.tell_build(answer)
    kept = Atlas.load(tmp_path / "d.atlas").checkpoints
    assert kept is not None and list(kept.step) == list(STEPS)
    bad = [str(file) for file in _bad(folder, "misshaped")]
    shutil.rmtree(tmp_path / "d.atlas")
    assert cli.main([*line, *bad]) == 2
    assert 'step50.safetensors cannot be used: the tensor "1.weight"' in capsys.readouterr().err
    assert not (tmp_path / "d.atlas").exists(), "refused before the long work begins"
