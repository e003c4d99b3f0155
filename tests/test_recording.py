"""Recordings: what is on disk is what the network said, after kills, full disks, bad samples."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from networks import Functional, Wrapped, digests, make_samples, seeded
from torch import nn

import introspect.shards
from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled, NewerFormat
from introspect.recording import Recording, Tap, half_squared_error, read_recording, record

ARRAYS = ("h", "logits", "outputs", "y")


def test_a_recording_holds_the_literal_activations(mlp, digits, tmp_path):
    part = digits[:100]
    w = [p.detach().double() for p in mlp.module.parameters()]
    a, layers = part.floats().double().reshape(100, 64), []
    for i in range(0, 6, 2):
        a = a @ w[i].T + w[i + 1]
        a = torch.where(a > 0, a, torch.expm1(a))
        layers.append(a)
    logits = a @ w[6].T + w[7]
    for recording in (record(mlp, part, batch=32), record(mlp, part, tmp_path / "r", batch=32)):
        assert recording.h.dtype == np.float16 and recording.h.shape == (100, 96)
        for i, name in enumerate(recording.spans):
            np.testing.assert_allclose(recording.layer(name), layers[i], atol=2e-3, rtol=1e-3)
        np.testing.assert_allclose(recording.logits, logits, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(
            recording.outputs, 1 / (1 + np.exp(-logits.numpy())), atol=1e-5, rtol=1e-4
        )
        assert np.array_equal(recording.y, part.y)
        assert np.array_equal(recording.predicted, logits.argmax(1))
        assert np.array_equal(recording.correct, recording.predicted == part.y)
        assert len(recording) == 100


def test_one_by_one_equals_batch(cnn, digits):
    part = digits[:40]
    together, alone = record(cnn, part, batch=64), record(cnn, part, batch=1)
    np.testing.assert_allclose(
        together.h.astype(np.float32), alone.h.astype(np.float32), atol=1e-3, rtol=2e-3
    )
    np.testing.assert_allclose(together.logits, alone.logits, atol=1e-5, rtol=1e-5)


def test_disk_and_memory_hold_the_same(mlp, digits, tmp_path):
    in_memory, on_disk = record(mlp, digits), record(mlp, digits, tmp_path / "r")
    assert isinstance(on_disk.h, np.memmap) and not isinstance(in_memory.h, np.memmap)
    for name in ARRAYS:
        assert np.array_equal(getattr(in_memory, name), getattr(on_disk, name))
    assert in_memory.spans == on_disk.spans and in_memory.fingerprint == on_disk.fingerprint
    for array in (in_memory.h, on_disk.h, in_memory.y, on_disk.outputs):
        with pytest.raises(ValueError):
            array[0] = 0


def test_functional_networks_are_recorded_like_any_other(tmp_path):
    classifier = Classifier.of(seeded(Functional), input_shape=(1, 6, 6))
    x = np.random.default_rng(0).random((37, 1, 6, 6), np.float32)
    recording = record(classifier, make_samples(x), tmp_path / "r", batch=8)
    h, logits = Tap(classifier)(torch.from_numpy(x))
    assert list(recording.spans) == ["relu", "shared#0", "shared#1", "tanh", "sigmoid"]
    np.testing.assert_allclose(recording.h, h.half(), atol=1e-3)
    np.testing.assert_allclose(recording.logits, logits, atol=1e-5)


def test_chosen_layers_and_reductions_are_kept_and_read_back(cnn, digits, tmp_path):
    names = [layer.name for layer in cnn.layers if layer.op == "relu"][:2]
    recording = record(cnn, digits[:10], tmp_path / "r", layers=names, reduction="grid2")
    assert recording.reduction == "grid2" and list(recording.spans) == names
    assert [s.stop - s.start for s in recording.spans.values()] == [32, 64]
    again = read_recording(tmp_path / "r")
    assert dataclasses.replace(again, h=recording.h).spans == recording.spans
    assert again.link == cnn.link and again.reduction == "grid2"


def test_error_keeps_its_digits_where_plain_arithmetic_loses_them():
    o = np.array([[30.0, -30.0, -40.0], [2.0, 1.0, 0.0], [500.0, -500.0, 3.0]])
    y = np.array([0, 2, 0])
    sigmoid = half_squared_error(o, y, "sigmoid")
    tiny = np.exp(-30.0)
    np.testing.assert_allclose(sigmoid[0], (tiny**2 + tiny**2 + np.exp(-80.0)) / 2, rtol=1e-9)
    s = 1 / (1 + np.exp(-o[1]))
    np.testing.assert_allclose(sigmoid[1], (s[0] ** 2 + s[1] ** 2 + (1 - s[2]) ** 2) / 2)
    softmax = half_squared_error(np.array([[60.0, 20.0, 10.0]]), np.array([0]), "softmax")
    a, b = np.exp(-40.0), np.exp(-50.0)
    np.testing.assert_allclose(softmax, (a**2 + b**2 + (a + b) ** 2) / 2, rtol=1e-9)
    shares = half_squared_error(np.array([[0.75, 0.25]]), np.array([0]), "probabilities")
    np.testing.assert_allclose(shares, 0.0625)
    assert np.isfinite(half_squared_error(np.array([[1e4, -1e4]]), np.array([1]), "softmax")).all()


def test_error_targets_are_log10_above_the_floor_and_nan_without_label():
    logits = np.array([[9.0, -9.0], [0.0, 0.0], [-20.0, 20.0], [1.0, 2.0]], np.float32)
    made = Recording(
        h=np.zeros((4, 1), np.float16),
        outputs=1 / (1 + np.exp(-logits)),
        logits=logits,
        y=np.array([0, 1, 1, -1]),
        spans={"a": slice(0, 1)},
        reduction="mean",
        link="sigmoid",
    )
    target = made.log_error_target()
    np.testing.assert_allclose(target[:3], [2 * np.log10(1 / (1 + np.exp(9))), np.log10(0.25), -8])
    assert np.isnan(target[3]) and np.isnan(made.error[3]) and not made.correct[3]
    np.testing.assert_allclose(made.log_error_target(1e-20)[2], 2 * np.log10(1 / (1 + np.exp(20))))


def test_networks_of_shares_have_no_logits(tmp_path):
    module = seeded(
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ELU(), nn.Linear(5, 3), nn.Softmax(1))
    )
    classifier = Classifier.of(module, input_shape=(4,))
    x = np.random.default_rng(0).random((6, 4), np.float32)
    y = np.array([0, 1, 2, 0, 1, -1])
    for folder in (None, tmp_path / "r"):
        recording = record(classifier, make_samples(x, y), folder)
        assert recording.logits is None
        shares = recording.outputs.astype(np.float64)
        wanted = ((np.eye(3)[y] - shares) ** 2).sum(1) / 2
        np.testing.assert_allclose(recording.error[:5], wanted[:5], rtol=1e-6)
        assert np.array_equal(recording.predicted, shares.argmax(1))


def test_a_finished_recording_is_returned_and_never_overwritten(mlp, cnn, digits, tmp_path):
    first = record(mlp, digits[:50], tmp_path / "r")
    calls: list[int] = []
    kept = record(mlp, digits[:50], tmp_path / "r", batch=7, on_batch=lambda a, n: calls.append(a))
    assert calls == [] and np.array_equal(kept.h, first.h)
    before = digests(tmp_path / "r")
    for classifier, samples, layers in (
        (cnn, digits[:50], None),
        (mlp, digits[:51], None),
        (mlp, digits[:50], [next(iter(first.spans))]),
    ):
        with pytest.raises(BadInput, match="another network, other samples or other layers"):
            record(classifier, samples, tmp_path / "r", layers=layers)
    assert digests(tmp_path / "r") == before
    with (tmp_path / "r" / "h.npy").open("r+b") as stream:
        stream.seek(128 + 2000)
        stream.write(bytes(1024))
    assert digests(tmp_path / "r") != before
    record(mlp, digits[:50], tmp_path / "r")
    assert digests(tmp_path / "r") == before


def test_progress_reaches_the_end_and_false_stops(mlp, digits, tmp_path):
    seen: list[tuple[int, int]] = []
    record(mlp, digits[:100], batch=30, on_batch=lambda done, n: seen.append((done, n)))
    assert seen == [(30, 100), (60, 100), (90, 100), (100, 100)]
    with pytest.raises(Cancelled):
        record(mlp, digits[:100], batch=30, on_batch=lambda done, n: False)


def linear(scale: float) -> Classifier:
    """A network whose first layer multiplies by `scale`."""
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3))
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(3) * scale)
    return Classifier.of(module, input_shape=(3,))


def test_activations_too_big_for_half_precision_are_kept_in_single(tmp_path, monkeypatch):
    monkeypatch.setattr(introspect.shards, "SHARD_BYTES", 1 << 8)
    x = np.random.default_rng(0).random((50, 3), np.float32)
    x[40] = [0.5, 2.0, 0.25]
    samples, classifier = make_samples(x), linear(1e5)
    for folder in (None, tmp_path / "r"):
        recording = record(classifier, samples, folder, batch=4)
        assert recording.h.dtype == np.float32
        np.testing.assert_allclose(recording.h, x * np.float32(1e5), rtol=1e-6)
    assert record(linear(1.0), samples, batch=4).h.dtype == np.float16
    with pytest.raises(Cancelled):
        record(classifier, samples, tmp_path / "s", batch=4, on_batch=lambda done, n: done < 44)
    first: list[int] = []
    record(classifier, samples, tmp_path / "s", batch=4, on_batch=lambda a, n: first.append(a))
    assert first[0] > 20 and digests(tmp_path / "s") == digests(tmp_path / "r")


def test_values_that_are_not_finite_name_layer_and_sample(tmp_path):
    plain = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    hidden = Wrapped(lambda s, x: s.parts[0](torch.relu(1 / (x + 1))), nn.Linear(3, 3))
    output = Wrapped(lambda s, x: s.parts[0](x).tanh() * 0 + x.log(), nn.Linear(3, 3))
    for module, bad, words in (
        (plain, np.nan, "input is not finite for sample 1007: it has NaN"),
        (hidden, -1, 'layer "relu" is not finite for sample 1007: it has infinite'),
        (output, -1, "output is not finite for sample 1007: it has NaN"),
    ):
        classifier = Classifier.of(module, input_shape=(3,))
        x = np.random.default_rng(0).random((20, 3), np.float32)
        x[7] = bad
        for folder in (None, tmp_path / "r"):
            with pytest.raises(BadInput, match=words):
                record(classifier, make_samples(x), folder, batch=4)
    assert not (tmp_path / "r" / "recording.json").exists()


def test_a_network_that_is_not_finite_now_and_then_is_refused(mlp, digits, monkeypatch):
    monkeypatch.setattr(introspect.recording, "_all_finite", lambda values: False)
    with pytest.raises(BadInput, match="differently each time"):
        record(mlp, digits[:5])


def test_bad_samples_and_settings_are_refused_in_a_sentence(mlp, digits):
    labels = np.array(digits.y[:5])
    labels[2] = 10
    wrong = dataclasses.replace(digits[:5], y=labels)
    for samples, settings, words in (
        (wrong, {}, "label 10 is out of range: the network has 10 classes"),
        (digits[:0], {}, "no samples"),
        (digits[:5], {"batch": 0}, "at least one sample"),
        (digits[:5], {"layers": ["99"]}, 'no layer "99"'),
        (digits[:5], {"reduction": "sum"}, "reduction"),
        (digits[:5], {"device": "tpu"}, 'device "tpu" is unknown'),
        (make_samples(np.zeros((4, 1, 9, 9), np.uint8)), {}, r"\(1, 8, 8\).*got \(4, 1, 9, 9\)"),
    ):
        with pytest.raises(BadInput, match=words):
            record(mlp, samples, **settings)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda f: (f / "h.npy").unlink(), "h.npy is missing or damaged"),
        (lambda f: os.truncate(f / "h.npy", 200), "h.npy is missing or damaged"),
        (lambda f: np.save(f / "h.npy", np.zeros((3, 96), np.float16)), "do not belong together"),
        (lambda f: np.save(f / "y.npy", np.array([None] * 20), allow_pickle=True), "y.npy"),
        (lambda f: np.save(f / "y.npy", np.zeros(20)), "do not belong together"),
        (lambda f: (f / "recording.json").write_text("{}"), "recording.json is damaged"),
        (lambda f: (f / "recording.json").write_text("[" * 9999), "recording.json is damaged"),
        (lambda f: (f / "recording.json").unlink(), "no finished recording"),
    ],
)
def test_a_damaged_recording_is_refused_in_a_sentence(mlp, digits, tmp_path, spoil, words):
    record(mlp, digits[:20], tmp_path / "r")
    spoil(tmp_path / "r")
    with pytest.raises(BadInput, match=words):
        read_recording(tmp_path / "r")


def test_a_recording_of_a_newer_version_says_so(mlp, digits, tmp_path):
    record(mlp, digits[:20], tmp_path / "r")
    file = tmp_path / "r" / "recording.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "introspect": "recording/2"}))
    with pytest.raises(NewerFormat, match="newer"):
        read_recording(tmp_path / "r")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_record_the_same(cnn, digits, tmp_path):
    cpu = record(cnn, digits, device="cpu")
    gpu = record(cnn, digits, tmp_path / "r", device="cuda")
    np.testing.assert_allclose(gpu.logits, cpu.logits, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(gpu.h.astype(np.float32), cpu.h, atol=2e-3, rtol=2e-3)
