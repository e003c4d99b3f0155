"""Layer lists and safetensors: what is written comes back, what is wrong is named."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from introspect.classifier import load_classifier
from introspect.errors import BadInput, NewerFormat
from introspect.formats.layers import (
    ALLOWED,
    LayerList,
    build_module,
    list_layers,
    parse_document,
    read_layers,
    write_layers,
)
from introspect.formats.safetensors import fill_module, read_tensors

NET = """
introspect: layers/1
input_shape: [1, 4, 4]
classes: ["no", "yes", "perhaps"]
link: sigmoid
preprocessing: {mean: [0.5], std: [0.25]}
layers:
  - Flatten
  - Linear: [16, 6]
  - ELU
  - Dropout: 0.1
  - {Linear: {in_features: 6, out_features: 3, bias: false}}
"""


@pytest.fixture
def net(tmp_path):
    """Weights and layer list of a small network, and the module they describe."""
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 6), nn.ELU(), nn.Dropout(0.1), nn.Linear(6, 3, bias=False)
    ).eval()
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(torch.sin(torch.arange(p.numel()).float() + i).reshape(p.shape))
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path, module


def document(**changes) -> dict:
    return {**yaml.safe_load(NET), **changes}


def test_weights_and_layer_list_give_the_network(net):
    folder, module = net
    classifier = load_classifier(folder / "net.safetensors")
    assert classifier.classes == ("no", "yes", "perhaps") and classifier.link == "sigmoid"
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    w1, b1, w2 = (p.detach().double() for p in module.parameters())
    a = ((x.double() - 0.5) / 0.25).reshape(5, 16) @ w1.T + b1
    wanted = torch.where(a > 0, a, torch.expm1(a)) @ w2.T
    torch.testing.assert_close(classifier(x).double(), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        classifier.outputs(x).double(), 1 / (1 + torch.exp(-wanted)), atol=1e-5, rtol=1e-5
    )
    for layers in (folder / "net.yaml", document(), str(folder / "net.yaml")):
        assert (
            load_classifier(folder / "net.safetensors", layers).fingerprint
            == classifier.fingerprint
        )
    other = load_classifier(folder / "net.safetensors", link="softmax", classes=["a", "b", "c"])
    assert other.link == "softmax" and other.classes == ("a", "b", "c")


def test_json_and_yaml_say_the_same(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(document(), indent="\t"))
    (tmp_path / "a.yaml").write_text(NET)
    assert (
        read_layers(tmp_path / "a.json")
        == read_layers(tmp_path / "a.yaml")
        == read_layers(document())
    )


def test_yaml_words_and_numbers_mean_what_a_person_means():
    listed = read_layers(
        {
            **document(),
            **parse_document("classes: [no, yes, on]\nlayers: [{BatchNorm1d: [3, 1e-3]}]"),
        }
    )
    assert listed.classes == ("no", "yes", "on")
    assert listed.layers == (("0", "BatchNorm1d", {"num_features": 3, "eps": 0.001}),)


EXAMPLES = {
    "Unflatten": (1, (2, 3)),
    "Linear": (4, 2, False),
    "Conv1d": (2, 4, 3),
    "Conv2d": (2, 4, (3, 1), 2, "valid"),
    "Conv3d": (1, 2, 3),
    "ConvTranspose1d": (2, 2, 3),
    "ConvTranspose2d": (2, 2, 3),
    "BatchNorm1d": (4, 1e-3),
    "BatchNorm2d": (4,),
    "BatchNorm3d": (4,),
    "LayerNorm": ((3, 4),),
    "GroupNorm": (2, 4),
    "InstanceNorm1d": (4,),
    "InstanceNorm2d": (4,),
    "LocalResponseNorm": (2,),
    "MaxPool1d": (2,),
    "MaxPool2d": ((2, 3), 1),
    "AvgPool1d": (2,),
    "AvgPool2d": (2, 1),
    "AdaptiveAvgPool1d": (1,),
    "AdaptiveAvgPool2d": ((1, None),),
    "AdaptiveMaxPool1d": (1,),
    "AdaptiveMaxPool2d": (2,),
    "Upsample": (None, 2.0),
    "ZeroPad2d": (1,),
    "PixelShuffle": (2,),
    "Threshold": (0.1, 20.0),
    "ELU": (0.5,),
    "Dropout": (0.2,),
    "GELU": ("tanh",),
    "Softmax": (1,),
    "LogSoftmax": (1,),
    "Softmin": (1,),
    "PReLU": (3, 0.1),
    "Hardtanh": (-2.0, 2.0),
    "Softplus": (2, 10),
    "ReLU": (True,),
    "Flatten": (1, 2),
}


@pytest.mark.parametrize("op", sorted(ALLOWED))
def test_every_allowed_layer_survives_the_round_trip(op, tmp_path):
    layer = ALLOWED[op](*EXAMPLES.get(op, ()))
    listed = list_layers(nn.Sequential(nn.Identity(), layer))
    assert listed is not None
    write_layers(LayerList(input_shape=(3,), layers=listed), tmp_path / "layers.json")
    again = build_module(read_layers(tmp_path / "layers.json"))[1]
    assert type(again) is type(layer) and again.extra_repr() == layer.extra_repr()
    shapes = [(name, p.shape) for name, p in layer.state_dict().items()]
    assert [(name, p.shape) for name, p in again.state_dict().items()] == shapes


def test_named_layers_keep_their_names(tmp_path):
    listed = read_layers(document(layers=[{"name": "fc1", "Linear": [16, 3]}, "ELU"]))
    assert list(build_module(listed).state_dict()) == ["fc1.weight", "fc1.bias"]
    write_layers(listed, tmp_path / "layers.json")
    assert read_layers(tmp_path / "layers.json") == listed


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"layers": [{"Linear": [16]}]}, "Layer 0 .*out_features"),
        ({"layers": ["Flatten", {"Linear": [16, 3, True, "cuda"]}]}, "Layer 1 .*device"),
        ({"layers": ["Flatten", {"Linear": [16, 0]}]}, "out_features = 0"),
        ({"layers": ["Flatten", {"Linear": [16, -3]}]}, "out_features = -3"),
        ({"layers": ["Flatten", {"Linear": [16, 3.5]}]}, "out_features = 3.5"),
        ({"layers": [{"Linear": ["16", 3]}]}, "in_features"),
        ({"layers": [{"Linear": {"in_features": 16, "out_features": 3, "dtype": None}}]}, "dtype"),
        ({"layers": [{"MaxPool2d": {"kernel_size": 2, "return_indices": True}}]}, "return_indices"),
        ({"layers": [{"ELU": float("nan")}]}, "alpha = nan"),
        ({"layers": ["LSTM"]}, '"LSTM" is not a known layer'),
        ({"layers": ["os.system"]}, "not a known layer"),
        ({"layers": [{"Lambda": "lambda x: x"}]}, "not a known layer"),
        ({"layers": ["ReLU", ["ELU"]]}, "Layer 1 .*must be a layer's name"),
        ({"layers": [{"ReLU": [], "ELU": []}]}, "exactly one layer"),
        ({"layers": [{"name": "a.b", "ReLU": []}]}, 'called "a.b"'),
        ({"layers": [{"name": "forward", "ReLU": []}]}, 'called "forward"'),
        ({"layers": [{"name": "1", "ReLU": []}, "ReLU"]}, "same name"),
        ({"layers": []}, "1 to 2000 layers"),
        ({"layers": ["ReLU"] * 2001}, "1 to 2000 layers"),
        ({"layers": "ReLU"}, "list"),
        ({"input_shape": [1, 0]}, "input_shape"),
        ({"input_shape": [True]}, "input_shape"),
        ({"input_shape": None}, "input_shape"),
        ({"classes": ["one"]}, "classes"),
        ({"link": "exp"}, "link"),
        ({"preprocessing": {"mean": [0]}}, "preprocessing"),
        ({"bounds": [0]}, "bounds"),
        ({"introspect": "atlas/1"}, "no layer list"),
        ({"code": "x"}, 'unknown entry "code"'),
        (
            {
                "layers": [
                    {"Conv2d": {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "groups": 2}}
                ]
            },
            "Layer 0 .*cannot be made",
        ),
    ],
)
def test_a_wrong_layer_list_is_refused_with_the_place(changes, words):
    with pytest.raises(BadInput, match=words):
        build_module(read_layers(document(**changes)))


def test_a_newer_layer_list_says_so():
    with pytest.raises(NewerFormat, match="newer"):
        read_layers(document(introspect="layers/2"))


def test_a_network_too_big_is_refused_without_being_made():
    huge = [{"name": f"l{i}", "Linear": [2**20, 2**20]} for i in range(20)]
    start = time.perf_counter()
    with pytest.raises(BadInput, match="weights; at most"):
        build_module(read_layers(document(layers=huge)))
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "text, words",
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("layers: &x\n  - ReLU", "aliases"),
        ("[" * 50 + "]" * 50, "nested"),
        ('{"a": ' + "[" * 50 + "]" * 50 + "}", "nested"),
        ('{"a": ' + "[" * 50_000 + "]" * 50_000 + "}", "nested"),
        ("!!python/object/apply:os.system ['true']", "neither YAML nor JSON"),
        ("layers: [ReLU", "near line 1"),
        ("a: \x00", "neither YAML"),
        ("x" * (2**20 + 1), "characters"),
    ],
)
def test_hostile_text_is_refused_at_once(text, words):
    start = time.perf_counter()
    with pytest.raises(BadInput, match=words):
        parse_document(text)
    assert time.perf_counter() - start < 1


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "layers.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadInput, match="not text"):
        read_layers(tmp_path / "layers.yaml")
    with pytest.raises(BadInput, match="no layer list none.yaml"):
        read_layers(tmp_path / "none.yaml")


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("1.bias"), r'lack "1.bias" of shape \(6,\)'),
        (
            lambda s: s.update({"fc.weight": s.pop("1.weight")}),
            'lack "1.weight".*has "fc.weight" instead',
        ),
        (
            lambda s: s.update({"4.weight": torch.zeros(3, 7)}),
            r'"4.weight" has shape \(3, 7\) in the file.*\(3, 6\)',
        ),
        (lambda s: s.update({"9.weight": torch.zeros(3)}), r'a tensor "9.weight" of shape \(3,\)'),
        (lambda s: s["1.weight"].view(-1)[5].fill_(torch.nan), '"1.weight" contains NaN'),
        (
            lambda s: s["4.weight"].view(-1)[5].fill_(-torch.inf),
            '"4.weight" contains NaN or infinite',
        ),
        (
            lambda s: s.update({"1.bias": torch.zeros(6, dtype=torch.int64)}),
            '"1.bias" is torch.int64',
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(net, change, words):
    folder, module = net
    tensors = state(module)
    change(tensors)
    save_file(tensors, folder / "net.safetensors")
    with pytest.raises(BadInput, match=words):
        load_classifier(folder / "net.safetensors")


def test_weights_fill_without_a_second_copy(net):
    folder, _ = net
    tensors = read_tensors(folder / "net.safetensors")
    module = build_module(read_layers(folder / "net.yaml"))
    assert all(p.is_meta for p in module.parameters())
    fill_module(module, tensors)
    assert module[1].weight.data_ptr() == tensors["1.weight"].data_ptr()


def test_half_and_double_weights_are_read_as_float32(net):
    folder, module = net
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        save_file(
            {k: v.to(kind) for k, v in module.state_dict().items()}, folder / "net.safetensors"
        )
        classifier = load_classifier(folder / "net.safetensors")
        assert torch.equal(classifier.module[1].weight, module[1].weight.detach().to(kind).float())


def test_a_missing_batch_counter_is_forgiven():
    module = nn.Sequential(nn.BatchNorm1d(3))
    tensors = state(module)
    del tensors["0.num_batches_tracked"]
    made = build_module(read_layers({"input_shape": [3], "layers": [{"BatchNorm1d": 3}]}))
    fill_module(made, tensors)
    assert torch.equal(made.eval()(torch.ones(2, 3)), module.eval()(torch.ones(2, 3)))


def test_missing_empty_truncated_and_pickled_weights_are_told_apart(net, tmp_path):
    folder, module = net
    whole = (folder / "net.safetensors").read_bytes()
    torch.save(module.state_dict(), tmp_path / "pickled.safetensors")
    for name, content, words in [
        ("none.safetensors", None, "no weights file"),
        ("empty.safetensors", b"", "is empty"),
        ("half.safetensors", whole[: len(whole) // 2], "cut short"),
        ("few.safetensors", whole[:5], "not a safetensors file"),
        ("pickled.safetensors", None, "PyTorch pickle"),
        ("text.safetensors", b"layers: [1, 2, 3]", "not a safetensors file"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=words):
            load_classifier(tmp_path / name, folder / "net.yaml")


def test_weights_alone_ask_for_their_layer_list(net):
    folder, _ = net
    (folder / "net.yaml").rename(folder / "layers.yaml")
    assert load_classifier(folder / "net.safetensors").classes[0] == "no"
    (folder / "layers.yaml").unlink()
    with pytest.raises(BadInput, match="give its layer list"):
        load_classifier(folder / "net.safetensors")


def test_layers_that_do_not_fit_each_other_are_told(net):
    folder, _ = net
    lines = document(
        layers=[
            "Flatten",
            {"Linear": [16, 6]},
            "ELU",
            {"Linear": {"in_features": 5, "out_features": 3}},
        ]
    )
    module = build_module(read_layers(lines))
    tensors = {k: torch.zeros(v.shape) for k, v in module.state_dict().items()}
    save_file(tensors, folder / "net.safetensors")
    with pytest.raises(BadInput, match="does not accept a batch of 2 inputs"):
        load_classifier(folder / "net.safetensors", lines)


def test_read_tensors_equals_what_was_saved(net):
    folder, module = net
    for name, tensor in read_tensors(folder / "net.safetensors").items():
        assert np.array_equal(tensor.numpy(), module.state_dict()[name].numpy())
