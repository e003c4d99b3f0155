"""Checkpoints of every wrapping become the same weights, and the network that fits them."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from public_networks import LeNet, lively
from torch import nn

from introspect.classifier import Classifier, save_classifier
from introspect.errors import BadInput
from introspect.formats.checkpoint import read_checkpoint, unwrap
from introspect.formats.reader import GRAPHS, READERS, _reader, parse
from introspect.formats.safetensors import read_tensors
from introspect.formats.sniff import sniff
from introspect.ingest import load_model, load_pair
from introspect.modelfile import open_model
from introspect.preparation import choose_samples, learnable
from introspect.preprocessing import Preprocessing


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).state_dict()


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPINGS = {
    "bare": lambda s: s,
    "ordered": lambda s: collections.OrderedDict(s),
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "best_prec1": 0.9},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}}},
    "net of kuangliu": lambda s: {"net": prefixed("module.", s), "acc": 93.1, "epoch": 5},
    "model": lambda s: {"model": s, "optimizer": {"param_groups": [{"lr": 0.1}]}, "rng": None},
    "data parallel": lambda s: prefixed("module.", s),
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "compiled in parallel": lambda s: prefixed("module._orig_mod.", s),
    "Lightning": lambda s: {
        "state_dict": prefixed("model.", s),
        "pytorch-lightning_version": "2.5",
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {"best": {"w": torch.ones(40, 40)}},
        "epoch": 4,
    },
    "averaged model": lambda s: {**prefixed("module.", s), "n_averaged": torch.tensor(7)},
    "averaged beside": lambda s: {
        "model": {name: tensor * 0 for name, tensor in s.items()},
        "model_ema": s,
    },
    "adam beside": lambda s: {
        "state_dict": s,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(300, 300)}}},
    },
    "deep": lambda s: {"checkpoint": {"network": {"weights": prefixed("backbone.", s)}}},
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_every_wrapping_gives_the_same_weights(name, state, tmp_path) -> None:
    torch.save(WRAPPINGS[name](state), tmp_path / "net.ckpt")
    found = read_checkpoint(tmp_path / "net.ckpt")
    assert set(found.tensors) == set(state)
    assert all(torch.equal(found.tensors[key], state[key]) for key in state)
    assert bool(found.notes) == (name not in ("bare", "ordered"))


@pytest.mark.parametrize("legacy", [False, True])
def test_child_writes_what_the_file_holds(state, tmp_path, legacy) -> None:
    torch.save(state, tmp_path / "net.th", _use_new_zipfile_serialization=not legacy)
    assert sniff(tmp_path / "net.th").kind == "checkpoint"
    opened = open_model(tmp_path / "net.th", "checkpoint")
    written = read_tensors(opened.weights)
    assert all(torch.equal(written[key], state[key]) for key in state)
    assert opened.folder == open_model(tmp_path / "net.th", "checkpoint").folder


@pytest.mark.parametrize(
    ("kind", "words"), [(torch.float16, "float16"), (torch.bfloat16, "bfloat16")]
)
def test_narrow_weights_are_said_and_widened(state, tmp_path, kind, words) -> None:
    torch.save({key: value.to(kind) for key, value in state.items()}, tmp_path / "net.pt")
    loaded = load_model(tmp_path / "net.pt")
    assert loaded.classifier is not None
    assert f"weights are {words}; they are computed with as float32" in " ".join(loaded.notes)
    assert all(p.dtype == torch.float32 for p in loaded.classifier.module.parameters())


@pytest.mark.filterwarnings("ignore")
def test_quantised_weights_are_said_and_turned_back(state, tmp_path) -> None:
    weight = state["0.weight"]
    quantised = torch.quantize_per_tensor(weight, 0.01, 0, torch.qint8)
    torch.save({**state, "0.weight": quantised}, tmp_path / "net.pt")
    found = read_checkpoint(tmp_path / "net.pt")
    assert found.notes == ("1 quantised tensors were turned back into float32.",)
    assert torch.allclose(found.tensors["0.weight"], weight, atol=0.006)


def test_tied_weights_get_bytes_of_their_own(tmp_path) -> None:
    tied = torch.rand(16, 16)
    torch.save({"a.weight": tied, "b.weight": tied, "c.weight": tied.t()}, tmp_path / "net.pt")
    opened = open_model(tmp_path / "net.pt", "checkpoint")
    written = read_tensors(opened.weights)
    assert torch.equal(written["b.weight"], tied) and torch.equal(written["c.weight"], tied.t())


def test_of_several_networks_the_largest_is_taken_and_said(state) -> None:
    small = {"0.weight": torch.ones(2, 2)}
    found, notes = unwrap({"discriminator": small, "generator": state}, "gan.pt")
    assert set(found) == set(state) and "found under generator" in notes[0]


def test_data_choose_activation_and_preprocessing(tmp_path, digits, mlp) -> None:
    """The small ELU network, trained on values 0 to 1, saved without a word on it."""
    torch.save({"net": mlp.module.state_dict()}, tmp_path / "net.pth")
    loaded = load_model(tmp_path / "net.pth", like=digits, link="sigmoid")
    assert loaded.matches[0].name == "mlp-elu" and loaded.search is not None
    made = loaded.classifier
    assert made is not None and made.preprocessing.identity and made.classes == digits.classes
    x = digits.of("test").floats()
    with torch.no_grad():
        assert torch.allclose(made.outputs(x), mlp.outputs(x), atol=1e-6)


def test_architecture_of_another_kind_is_refused_with_the_tensor(tmp_path, mlp) -> None:
    torch.save(mlp.module.state_dict(), tmp_path / "net.pth")
    with pytest.raises(BadInput, match="look nothing like resnet18"):
        load_model(tmp_path / "net.pth", arch="resnet18")
    torch.save(LeNet().state_dict(), tmp_path / "lenet.pth")
    told = load_model(tmp_path / "lenet.pth", arch="lenet5")
    assert told.classifier is not None and told.matches[0].name == "lenet5"
    broken = LeNet().state_dict()
    broken["fc2.weight"] = broken["fc2.weight"][:80]
    torch.save(broken, tmp_path / "lenet.pth")
    loaded = load_model(tmp_path / "lenet.pth", arch="lenet5")
    assert loaded.classifier is None and "are not those of lenet5" in loaded.reason
    assert "introspect export my_module:build model.pt2" in loaded.reason


def test_pair_is_refused_where_the_model_is_hardly_ever_right(tmp_path, digits) -> None:
    np.savez(tmp_path / "d.npz", x=digits.x, y=digits.y, split=digits.split)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lost = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    torch.save(lost.state_dict(), tmp_path / "lost.pth")
    with pytest.raises(BadInput, match="go on with --anyway"):
        load_pair(tmp_path / "lost.pth", tmp_path / "d.npz")
    classifier, samples = load_pair(tmp_path / "lost.pth", tmp_path / "d.npz", anyway=True)
    assert len(samples) == len(digits) and classifier.classes == tuple("0123456789")
    given = Preprocessing((0.5,), (0.5,))
    kept, _ = load_pair(tmp_path / "lost.pth", tmp_path / "d.npz", preprocessing=given, anyway=True)
    assert kept.preprocessing == given


def test_conv_net_takes_the_size_of_the_data_where_it_can(tmp_path, digits) -> None:
    torch.save(lively(LeNet()).state_dict(), tmp_path / "net.pth")
    assert isinstance(load_model(tmp_path / "net.pth").classifier, Classifier)
    told = load_model(tmp_path / "net.pth", like=digits)
    assert told.classifier is None and "8 x 8" in told.reason


@pytest.mark.parametrize("kind", [*READERS, *GRAPHS])
def test_every_kind_has_its_reader(kind) -> None:
    assert callable(_reader({**READERS, **GRAPHS}[kind]))


def test_unknown_kind_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="cannot be read: mystery"):
        parse(tmp_path / "x", "mystery")


def test_layer_list_is_held_to_a_plausible_accuracy_too(tmp_path, digits) -> None:
    np.savez(tmp_path / "d.npz", x=digits.x, y=digits.y, split=digits.split)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lost = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    save_classifier(Classifier.of(lost, input_shape=(1, 8, 8)), tmp_path / "lost")
    with pytest.raises(BadInput, match="go on with --anyway"):
        load_pair(tmp_path / "lost", tmp_path / "d.npz")
    classifier, _ = load_pair(tmp_path / "lost", tmp_path / "d.npz", anyway=True)
    assert classifier.preprocessing.identity


def test_test_split_has_no_say_in_how_a_model_is_used(digits) -> None:
    assert set(choose_samples(digits).split.tolist()) == {1}
    few = digits[digits.split != 1]
    assert set(choose_samples(few).split.tolist()) == {0}
    assert len(learnable(digits.of("test"))) == 0
