"""Trajectories: what is stored of every step is what the atlas says of it, whole or interrupted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from networks import Wrapped, make_samples, seeded
from torch import Tensor, nn

from introspect.atlas import Atlas
from introspect.attacks.base import AbstractAttack, Network
from introspect.attacks.fgsm import Fgsm
from introspect.attacks.pgd import Pgd
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled
from introspect.samples import Samples
from introspect.trajectory import TraceCancelled, Trajectory, trace

ARRAYS = ("x", "z", "outputs", "log_error", "log_error_map", "linf", "l2", "stalled")


@pytest.fixture(scope="module")
def digit(digits: Samples) -> Tensor:
    return digits.floats([1500])[0]


@pytest.fixture(scope="module")
def walk(atlas: Atlas, digit: Tensor) -> Trajectory:
    return trace(atlas, digit, Fgsm(steps=60), label=3)


def located(atlas: Atlas, walk: Trajectory) -> dict[str, np.ndarray]:
    """What `locate` says of every stored picture, alone and afterwards."""
    T, t = walk.x.shape[:2]
    found = atlas.locate(torch.from_numpy(np.array(walk.x)).flatten(0, 1))
    names = ("z", "outputs", "log_error", "log_error_map")
    return {
        name: getattr(found, name).reshape(T, t, *getattr(found, name).shape[1:]) for name in names
    }


def test_every_step_is_where_locate_puts_its_picture(atlas: Atlas, walk: Trajectory) -> None:
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-4)
    assert walk.x.shape == (10, 61, 1, 8, 8) and walk.outputs.shape == (10, 61, 10)


def test_all_walks_begin_at_the_sample(atlas: Atlas, walk: Trajectory, digit: Tensor) -> None:
    clean = atlas.locate(digit[None])
    assert (walk.x[:, 0] == digit.numpy()).all() and (walk.clean == digit.numpy()).all()
    np.testing.assert_allclose(walk.z[:, 0], np.repeat(clean.z, 10, 0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(walk.log_error[:, 0], clean.log_error[0], rtol=0, atol=1e-5)
    assert walk.source == clean.predicted[0] and walk.label == 3
    assert (walk.linf[:, 0] == 0).all() and (walk.l2[:, 0] == 0).all()


def test_the_last_stored_picture_is_the_one_the_network_answered(
    atlas: Atlas, walk: Trajectory
) -> None:
    last = torch.from_numpy(np.array(walk.x[:, -1]))
    outputs = atlas.classifier.outputs(last)
    np.testing.assert_allclose(walk.outputs[:, -1], outputs.numpy(), rtol=0, atol=1e-5)
    assert not np.array_equal(walk.x[:, -1], walk.x[:, -2])


def test_distances_are_those_from_the_clean_sample(walk: Trajectory) -> None:
    change = (walk.x - walk.clean).reshape(10, 61, -1).astype(np.float64)
    np.testing.assert_allclose(walk.linf, np.abs(change).max(2), atol=1e-6)
    np.testing.assert_allclose(walk.l2, np.sqrt((change**2).sum(2)), atol=1e-5)
    assert (walk.linf <= 0.01 * np.arange(61) + 1e-6).all()


def test_success_and_alarm_are_the_first_steps_that_qualify(walk: Trajectory) -> None:
    for i, target in enumerate(walk.target):
        hits = [n for n in range(61) if walk.outputs[i, n].argmax() == target]
        assert walk.success_step[i] == (hits[0] if hits else -1)
        rings = [n for n in range(61) if walk.log_error[i, n] > walk.threshold]
        assert walk.alarm_step[i] == (rings[0] if rings else -1)
    assert (walk.success_step >= 0).sum() >= 5 and (walk.success_step < 0).any()


def test_the_own_class_is_a_target_reached_at_the_start(walk: Trajectory) -> None:
    own = walk.source
    assert walk.success_step[own] == 0
    assert walk.outputs[own, -1, own] >= walk.outputs[own, 0, own]
    others = np.delete(walk.success_step, own)
    assert (others != 0).all()


def test_the_alarm_sounds_above_the_threshold_of_the_atlas_or_the_given_one(
    atlas: Atlas, walk: Trajectory, digit: Tensor
) -> None:
    assert walk.threshold == atlas.thresholds["log_error"]
    deaf = trace(atlas, digit, Fgsm(steps=3), threshold=np.inf)
    nervous = trace(atlas, digit, Fgsm(steps=3), threshold=-100)
    assert (deaf.alarm_step == -1).all() and (nervous.alarm_step == 0).all()


def test_some_targets_walk_as_among_all(atlas: Atlas, walk: Trajectory, digit: Tensor) -> None:
    some = trace(atlas, digit, Fgsm(steps=60), targets=[7, 2])
    assert some.target.tolist() == [7, 2]
    same = np.isclose(some.x, walk.x[[7, 2]], atol=1e-6).reshape(2, -1)
    assert same.mean() > 0.98
    np.testing.assert_array_equal(some.success_step, walk.success_step[[7, 2]])


def test_epsilon_zero_is_a_constant_path(atlas: Atlas, digit: Tensor) -> None:
    still = trace(atlas, digit, Fgsm(steps=4, epsilon=0.0))
    for name in ("x", "z", "outputs", "log_error", "log_error_map"):
        value = getattr(still, name)
        np.testing.assert_allclose(value, np.broadcast_to(value[:1, :1], value.shape), atol=1e-5)
    assert (still.linf == 0).all()
    assert set(still.success_step) == {0, -1}


def test_a_random_start_is_point_0_and_the_clean_sample_is_kept(
    atlas: Atlas, digit: Tensor
) -> None:
    walk = trace(atlas, digit, Pgd(steps=8, epsilon=0.1))
    assert (walk.clean == digit.numpy()).all() and not np.array_equal(walk.x[0, 0], walk.clean)
    assert (walk.linf <= 0.1 + 1e-6).all() and (walk.linf[:, 0] > 0.05).all()
    assert (walk.x[:, 0] == walk.x[0, 0]).all()
    assert walk.source == atlas.locate(digit[None]).predicted[0]
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-4)
    assert (walk.attack, walk.settings["epsilon"]) == ("pgd", 0.1)


@pytest.mark.parametrize("stop_at", [1, 7])
def test_what_was_computed_before_a_cancel_is_kept(
    stop_at: int, atlas: Atlas, walk: Trajectory, digit: Tensor
) -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> bool:
        told.append((done, total))
        return done < stop_at

    with pytest.raises(TraceCancelled) as end:
        trace(atlas, digit, Fgsm(steps=60), label=3, on_step=stop)
    done = end.value.done
    assert told == [(n, 61) for n in range(1, stop_at + 1)]
    assert isinstance(end.value, Cancelled)
    assert done.x.shape == (10, stop_at, 1, 8, 8)
    for name in ARRAYS:
        value = getattr(done, name)
        np.testing.assert_allclose(value, getattr(walk, name)[:, :stop_at], rtol=0, atol=1e-4)


def test_progress_is_told_to_the_end(atlas: Atlas, digit: Tensor) -> None:
    told: list[int] = []
    trace(atlas, digit, Fgsm(steps=5), on_step=lambda done, total: told.append(done))
    assert told == [1, 2, 3, 4, 5, 6]


def test_the_number_of_threads_is_put_back(atlas: Atlas, digit: Tensor) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    torch.set_num_threads(2)
    try:
        trace(atlas, digit, Fgsm(steps=2), on_step=lambda *_: seen.append(torch.get_num_threads()))
        with pytest.raises(TraceCancelled):
            trace(atlas, digit, Fgsm(steps=2), on_step=lambda *_: False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 2], "the last word comes after the walk"


def test_walks_longer_than_one_reading_are_read_in_parts(
    atlas: Atlas, digit: Tensor, walk: Trajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("introspect.trajectory.ROWS", 70)
    parts = trace(atlas, digit, Fgsm(steps=60))
    np.testing.assert_array_equal(parts.x, walk.x)
    np.testing.assert_allclose(parts.z, walk.z, rtol=0, atol=1e-5)
    np.testing.assert_allclose(parts.log_error, walk.log_error, rtol=0, atol=1e-5)


def test_stalled_inputs_are_counted(atlas: Atlas, walk: Trajectory, digit: Tensor) -> None:
    assert (walk.stalled < 0.5).all()
    sure = build_of(saturated(atlas.classifier), digits_of(atlas, 300))
    stuck = trace(sure, digit, Fgsm(steps=3))
    assert (stuck.stalled == 1).all() and (stuck.linf == 0).all()
    assert (stuck.stalled_step == np.where(stuck.target == stuck.source, -1, 0)).all()
    freed = trace(sure, digit, Fgsm(steps=3, loss="logits"))
    other = freed.target != freed.source
    assert (freed.stalled[other, 0] < 1).all() and (freed.linf[other, -1] > 0).all()
    assert (freed.stalled_step == -1).all() and (walk.stalled_step == -1).all()


def saturated(classifier: Classifier) -> Classifier:
    module = seeded(lambda: nn.Sequential(classifier.module, Wrapped(lambda own, o: 1e4 * o)))
    return Classifier.of(module, input_shape=(1, 8, 8), link="sigmoid")


def digits_of(atlas: Atlas, n: int) -> Samples:
    assert atlas.samples is not None
    return atlas.samples[np.arange(n)]


def rows_of(x: np.ndarray, k: int) -> Samples:
    """Made-up rows with labels and every split."""
    count = len(x)
    y = np.random.default_rng(2).integers(0, k, count)
    split = (np.arange(count) % 5).clip(2).astype(np.uint8) - 2
    names = tuple(f"class {number}" for number in range(k))
    return dataclasses.replace(make_samples(x, y), split=split, classes=names)


def build_of(classifier: Classifier, samples: Samples) -> Atlas:
    """A hasty atlas: its places mean little, but they are places."""
    return build_atlas(classifier, samples, epochs=1, seed=0, umap=False)


@dataclass(frozen=True)
class Twice(AbstractAttack):
    """Looks at every point two times, as a line search would."""

    steps: int = 4

    def path(self, classifier: Network, x: Tensor, target: Tensor) -> Tensor:
        points = [x]
        for _ in range(self.steps):
            classifier(points[-1])
            classifier(points[-1] * 0.5)
            points.append(points[-1] * 0.9)
        return torch.stack(points)


def test_an_attack_that_asks_otherwise_is_located_afterwards(atlas: Atlas, digit: Tensor) -> None:
    walk = trace(atlas, digit, Twice())
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-5)
    assert np.isnan(walk.stalled).all()
    np.testing.assert_allclose(walk.x[0, -1], digit.numpy() * 0.9**4, rtol=1e-5)


@dataclass(frozen=True)
class InPlace(AbstractAttack):
    """Goes on in the same memory and hands out copies."""

    steps: int = 3

    def path(self, classifier: Network, x: Tensor, target: Tensor) -> Tensor:
        points, here = [], x.clone()
        for _ in range(self.steps + 1):
            classifier(here)
            points.append(here.clone())
            here *= 0.5
        return torch.stack(points)


def test_an_attack_may_work_in_place(atlas: Atlas, digit: Tensor) -> None:
    walk = trace(atlas, digit, InPlace())
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"targets": [3, 10]}, "There is no class 10 to aim at: choose 0 to 9"),
        ({"targets": [-1]}, "There is no class -1"),
        ({"targets": []}, "Choose at least one class"),
        ({"x": np.zeros((2, 1, 8, 8), np.float32)}, "starts from one input; got 2"),
        ({"x": np.zeros((1, 9, 9), np.float32)}, "."),
        ({"attack": Fgsm(epsilon=-1.0)}, "does not fit inputs between 0 and 1"),
    ],
)
def test_what_cannot_be_attacked_is_refused(
    change: dict[str, Any], sentence: str, atlas: Atlas, digit: Tensor
) -> None:
    given = {"x": digit, "attack": Fgsm(steps=2), **change}
    with pytest.raises(BadInput, match=sentence):
        trace(atlas, **given)


@dataclass(frozen=True)
class Outward(AbstractAttack):
    """Goes the same way whatever the network says."""

    steps: int = 9

    def path(self, classifier: Network, x: Tensor, target: Tensor) -> Tensor:
        points = torch.stack([x + 20 * step for step in range(self.steps + 1)])
        for point in points:
            classifier(point)
        return points


def test_outputs_that_are_no_numbers_are_named_with_their_step() -> None:
    def steep(own: Wrapped, x: Tensor) -> Tensor:
        x = own.parts[0](x)
        # Beyond 88.7 float32 holds no exponential.
        return torch.stack([x.exp().sum(1), x.sum(1), -x.sum(1)], 1)

    module = Wrapped(steep, nn.ReLU())
    rows = np.random.default_rng(0).random((150, 4), np.float32)
    atlas = build_of(Classifier.of(module, input_shape=(4,), link="softmax"), rows_of(rows, 3))
    with pytest.raises(BadInput, match="not finite from step 5 of the walk on"):
        trace(atlas, np.full(4, 0.5, np.float32), Outward())


def test_a_gradient_that_is_no_number_moves_nothing_and_counts_as_stalled() -> None:
    def cone(own: Wrapped, x: Tensor) -> Tensor:
        # The slope of the root at 0 is infinite; times the slope 0 of the square it is no number.
        return own.parts[1](own.parts[0]((x - 0.5).square().sqrt()))

    module = seeded(lambda: Wrapped(cone, nn.Linear(4, 6), nn.Linear(6, 3)))
    rows = np.random.default_rng(0).random((150, 4), np.float32)
    atlas = build_of(Classifier.of(module, input_shape=(4,), link="softmax"), rows_of(rows, 3))
    walk = trace(atlas, np.float32([0.5, 0.5, 0.2, 0.9]), Fgsm(steps=4))
    assert (walk.stalled == 0.5).all() and (walk.x[..., :2] == 0.5).all()
    assert (walk.x[:, -1, 2:] != walk.clean[2:]).all()


def test_two_classes_from_one_output() -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.ELU(), nn.Linear(6, 1)))
    samples = rows_of(np.random.default_rng(1).random((150, 4), np.float32), 2)
    atlas = build_of(Classifier.of(module, input_shape=(4,), link="sigmoid"), samples)
    walk = trace(atlas, samples.x[0], Fgsm(steps=20))
    assert walk.outputs.shape == (2, 21, 2) and walk.target.tolist() == [0, 1]
    np.testing.assert_allclose(walk.outputs.sum(2), 1, atol=1e-6)
    assert walk.outputs[1, -1, 1] > walk.outputs[0, -1, 1]


def test_a_hundred_classes_walk_as_each_alone() -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 30), nn.ELU(), nn.Linear(30, 100)))
    samples = rows_of(np.random.default_rng(3).random((1500, 4), np.float32), 100)
    atlas = build_of(Classifier.of(module, input_shape=(4,), link="softmax"), samples)
    walk = trace(atlas, samples.x[7], Fgsm(steps=25))
    assert walk.x.shape == (100, 26, 4) and walk.target.tolist() == list(range(100))
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-4)
    alone = trace(atlas, samples.x[7], Fgsm(steps=25), targets=[61])
    np.testing.assert_allclose(walk.x[61], alone.x[0], atol=1e-6)


def test_a_network_without_dense_layers(digits: Samples) -> None:
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 10, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
    )
    classifier = Classifier.of(module, input_shape=(1, 8, 8), link="softmax")
    atlas = build_of(classifier, digits[np.arange(200)])
    walk = trace(atlas, digits.floats([3])[0], Fgsm(steps=10))
    for name, wanted in located(atlas, walk).items():
        np.testing.assert_allclose(getattr(walk, name), wanted, rtol=0, atol=1e-4)
    gain = walk.outputs[:, -1] - walk.outputs[:, 0]
    assert (gain[np.arange(10), walk.target] > 0).all()


def test_arrays_are_read_only(walk: Trajectory) -> None:
    for name in ARRAYS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(walk, name)[...] = 0
