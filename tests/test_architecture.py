"""Weights tell their network by names and shapes, and the network is the one that made them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from public_networks import NETWORKS, Basic, LeNet, Perceptron, ResNet, Transformer, lively
from torch import nn

from introspect import architecture
from introspect.activation import find_layers
from introspect.architectures.base import Part, chained
from introspect.classifier import Classifier, read_classifier, save_classifier
from introspect.errors import BadInput, NewerFormat
from introspect.ingest import load_model, make
from introspect.tap import Tap


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def public(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    make_one, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return lively(make_one()), shape


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_of_a_public_network_gives_the_same_outputs_again(name: str) -> None:
    module, shape = public(name)
    found = architecture.match(shapes_of(module))
    first = found[0]
    assert first.fits and first.share == 1
    assert first.name == name.split(" ")[0] and first.input_shape == shape
    made = make(first, module.state_dict())
    side = min(shape[-1], 64)  # what ends in a mean over positions takes any size
    x = torch.rand(5, *shape[:-2], side, side)
    again = architecture.build(first.family, first.settings)
    weights = {first.rename.get(k, k): v for k, v in module.state_dict().items()}
    again.load_state_dict(weights, assign=True)
    with torch.no_grad():
        theirs, ours = module(x), again.eval()(x)
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))
    assert [layer.name for layer in made.layers if layer.hidden]


@pytest.mark.parametrize(
    "name", ["lenet5", "allconv", "vgg with batch norm", "resnet20", "cifar-resnet18", "vit"]
)
def test_accuracy_is_equal_after_the_round_trip_through_a_checkpoint(name: str, tmp_path) -> None:
    """torch.save with wrappers -> quarantine -> architecture -> the same answers."""
    module, shape = public(name)
    state = {f"module.{key}": value for key, value in module.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 7, "best": 0.9}, tmp_path / "net.pth")
    loaded = load_model(tmp_path / "net.pth")
    assert loaded.classifier is not None and loaded.matches[0].fits
    x = torch.rand(40, *shape)
    with torch.no_grad():
        wanted, given = module(x).softmax(1), loaded.classifier.outputs(x)
    labels = torch.randint(10, (40,), generator=torch.Generator().manual_seed(0))
    accuracy = [float((o.argmax(1) == labels).float().mean()) for o in (wanted, given)]
    assert accuracy[0] == accuracy[1] and torch.allclose(wanted, given, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("resnet", {"channels": 3, "stem": [64, 7], "widths": [64, 128, 256, 512],
                    "blocks": [2, 2, 2, 2], "bottleneck": False, "shortcut": "downsample",
                    "head": "fc", "classes": 1000}, 11_689_512),
        ("resnet", {"channels": 3, "stem": [64, 7], "widths": [64, 128, 256, 512],
                    "blocks": [3, 4, 6, 3], "bottleneck": False, "shortcut": "downsample",
                    "head": "fc", "classes": 1000}, 21_797_672),
        ("resnet", {"channels": 3, "stem": [64, 7], "widths": [64, 128, 256, 512],
                    "blocks": [3, 4, 6, 3], "bottleneck": True, "shortcut": "downsample",
                    "head": "fc", "classes": 1000}, 25_557_032),
        ("cifar_resnet", {"channels": 3, "stem": [16, 3], "widths": [16, 32, 64],
                          "blocks": [3, 3, 3], "bottleneck": False, "shortcut": "pad",
                          "head": "linear", "classes": 10}, 269_722),
        ("cifar_resnet", {"channels": 3, "stem": [16, 3], "widths": [16, 32, 64],
                          "blocks": [18, 18, 18], "bottleneck": False, "shortcut": "pad",
                          "head": "linear", "classes": 10}, 1_727_962),
        ("lenet", {"channels": 1, "filters": [6, 16], "sizes": [400, 120, 84, 10], "padding": 2,
                   "activation": "relu", "pool": "max"}, 61_706),
        ("vit", {"channels": 3, "patch": 16, "tokens": 196, "width": 192, "depth": 12, "heads": 3,
                 "inner": 768, "bias": True, "token": True, "classes": 1000}, 5_717_416),
    ],
)  # fmt: skip
def test_published_numbers_of_parameters_are_met(name: str, settings: dict, count: int) -> None:
    module = architecture.build(name, settings)
    assert sum(weight.numel() for weight in module.parameters()) == count


@pytest.mark.parametrize(
    ("depth", "count"), [(11, 132_863_336), (16, 138_357_544), (19, 143_667_240)]
)
def test_vgg_has_the_published_number_of_parameters(depth: int, count: int) -> None:
    fixed = architecture.families()["vgg"].variants[f"vgg{depth}"]
    sizes = [512 * 49, 4096, 4096, 1000]
    settings = {"channels": 3, "grid": 7, "sizes": sizes, "bias": True, **fixed}
    module = architecture.build("vgg", settings)
    assert sum(weight.numel() for weight in module.parameters()) == count


def test_misfit_names_the_tensor_and_both_shapes() -> None:
    small = shapes_of(ResNet(Basic, [8, 16, 24, 32], [2, 2, 2, 2], large=True))
    wrong = architecture.choose("resnet34", small)
    assert not wrong.fits and 0 < wrong.share < 1
    assert wrong.misfit.startswith("The file has no layer1.2.conv1.weight (8 x 8 x 3 x 3)")
    assert "more tensors do not fit" in wrong.misfit
    cifar = architecture.choose("cifar-resnet18", small)
    assert (
        "conv1.weight is 8 x 3 x 7 x 7 where cifar-resnet18 has 8 x 3 x 3 x 3"
        in cifar.misfit.replace("Conv1", "conv1")
    )  # noqa: E501
    extra = {**small, "aux.weight": (10, 32)}
    told = architecture.choose("resnet18", extra).misfit
    assert told == "The file holds aux.weight (10 x 32), for which resnet18 has no place."


def test_ranking_puts_what_fits_first_and_the_nearest_next() -> None:
    found = architecture.match(shapes_of(ResNet(Basic, [8, 16, 24, 32], [2, 2, 2, 2], large=True)))
    assert [one.name for one in found] == ["resnet18", "cifar-resnet18"]
    assert found[0].fits and not found[1].fits and found[0].share > found[1].share


def test_what_shapes_cannot_tell_is_offered_each_under_its_name() -> None:
    names = [one.name for one in architecture.match(shapes_of(Perceptron())) if one.fits]
    assert names == ["mlp", "mlp-elu", "mlp-tanh", "mlp-sigmoid", "mlp-gelu"]
    heads = [one.name for one in architecture.match(shapes_of(Transformer())) if one.fits]
    assert heads[0] == "vit" and {"vit-4-heads", "vit-8-heads"} <= set(heads)
    grey = architecture.match(shapes_of(LeNet(1)))
    assert [one.name for one in grey][:2] == ["lenet5", "lenet5-tanh"]
    assert grey[0].input_shape == (1, 28, 28)
    assert architecture.choose("lenet5-32", shapes_of(LeNet(1))).input_shape == (1, 32, 32)


def test_unknown_names_and_strange_weights_are_refused_in_a_sentence() -> None:
    with pytest.raises(BadInput, match='no architecture "resnet19"; known are .*resnet18'):
        architecture.choose("resnet19", shapes_of(Perceptron()))
    with pytest.raises(BadInput, match="look nothing like resnet18: their tensors are called hid"):
        architecture.choose("resnet18", shapes_of(Perceptron()))
    told = architecture.choose("mlp", {"a.weight": (2, 3), "b.weight": (9, 9)}).misfit
    assert told == "B.weight is 9 x 9 where mlp has 9 x 2."
    assert architecture.match({"a": (3,), "b": ()}) == ()
    assert all(not one.fits for one in architecture.match({"a.weight": (2, 3), "b.weight": (9, 9)}))


def test_layers_are_chained_by_what_they_take_and_give_where_names_do_not_tell() -> None:
    parts = [Part(name, shape, True) for name, shape in
             (("head", (10, 30)), ("a", (30, 20)), ("b", (20, 64)))]  # fmt: skip
    assert [part.name for part in chained(parts) or ()] == ["b", "a", "head"]
    loose = (Part("a", (3, 4), True), Part("b", (5, 6), True))
    assert chained(loose) == loose


def test_search_for_a_chain_gives_up_soon_on_weights_made_to_mislead() -> None:
    parts = [Part(f"p{i}", (8, 8), True) for i in range(60)] + [Part("q", (9, 10), True)]
    start = time.perf_counter()
    assert chained(parts) == tuple(parts)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", ["resnet20", "vit", "mlp", "vgg with batch norm"])
def test_classifier_of_a_known_network_is_saved_without_its_code(name: str, tmp_path) -> None:
    module, _ = public(name)
    first = architecture.match(shapes_of(module))[0]
    classifier = make(first, module.state_dict())
    assert save_classifier(classifier, tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "graph.json", "model.safetensors",
    ]  # fmt: skip
    again = read_classifier(tmp_path / "model")
    assert again.fingerprint == classifier.fingerprint and again.layers == classifier.layers


def test_document_of_an_architecture_is_believed_as_far_as_it_is_checked(tmp_path) -> None:
    module, _ = public("vit")
    classifier = make(architecture.match(shapes_of(module))[0], module.state_dict())
    save_classifier(classifier, tmp_path)
    whole = json.loads((tmp_path / "graph.json").read_text())
    for change, words in (
        ({"family": "os"}, "no architecture"),
        ({"family": None}, "damaged"),
        ({"settings": {**whole["settings"], "heads": 3}}, "do not divide"),
        ({"settings": {**whole["settings"], "width": 2**23, "heads": 1}}, "weights; at most"),
        ({"settings": {**whole["settings"], "depth": -1}}, "no numbers"),
        ({"settings": {"__class__": 1}}, "cannot be made"),
        ({"settings": {**whole["settings"], "depth": 10**6}}, "cannot be made"),
        ({"input_shape": [3, 10**9, 1]}, "impossible input shape"),
        ({"link": "exec"}, "unknown link"),
    ):
        (tmp_path / "graph.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(BadInput, match=words):
            read_classifier(tmp_path)
    (tmp_path / "graph.json").write_text(json.dumps({**whole, "introspect": "architecture/2"}))
    with pytest.raises(NewerFormat, match="newer"):
        read_classifier(tmp_path)


def test_live_module_that_only_looks_like_ours_is_not_written(tmp_path) -> None:
    class Sly(nn.Sequential):
        settings = {"sizes": [4, 3]}

    classifier = Classifier.of(Sly(nn.Linear(4, 3)), input_shape=(4,))
    assert not save_classifier(classifier, tmp_path / "model")


@pytest.mark.parametrize("name", ["resnet20", "vit", "resnet50"])
def test_activations_of_every_hidden_layer_are_captured(name: str) -> None:
    module, _ = public(name)
    first = architecture.match(shapes_of(module))[0]
    shape = (3, 32, 32)
    if name != "vit":
        assert find_layers(module, shape)[1] == 10
    tap = Tap(make(first, module.state_dict()))
    with torch.no_grad():
        h, logits = tap(torch.rand(3, *tap.classifier.input_shape))
    assert h.shape == (3, tap.p) and logits.shape == (3, 10)
    assert np.isfinite(h.numpy()).all() and len(tap.layers) > 1
