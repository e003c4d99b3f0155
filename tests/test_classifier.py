"""The classifier: our own frozen copy, every activation found, clear words otherwise."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import Functional, Wrapped, seeded, small
from torch import nn

from introspect.classifier import (
    Classifier,
    Preprocessing,
    load_classifier,
    read_classifier,
    save_classifier,
)
from introspect.errors import BadInput
from introspect.recording import Tap


def hidden(classifier: Classifier) -> list[str]:
    return [layer.name for layer in classifier.layers if layer.hidden]


def test_every_activation_is_found_however_it_is_called():
    classifier = Classifier.of(seeded(Functional), input_shape=(1, 6, 6))
    found = [(layer.name, layer.op, layer.shape) for layer in classifier.layers if layer.hidden]
    assert found == [
        ("relu", "relu", (4, 4, 4)),
        ("shared#0", "relu", (6,)),
        ("shared#1", "relu", (6,)),
        ("tanh", "tanh", (6,)),
        ("sigmoid", "sigmoid", (6,)),
    ]
    assert [layer.name for layer in classifier.layers if not layer.hidden] == [
        "conv",
        "first#0",
        "tied#0",
        "tied#1",
        "first#1",
        "last",
    ]


def test_a_network_without_activations_records_its_linear_layers_but_the_last():
    module = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 3))
    classifier = Classifier.of(module, input_shape=(4,))
    assert hidden(classifier) == ["0", "1"]
    alone = Classifier.of(nn.Linear(4, 3), input_shape=(4,))
    assert hidden(alone) == []
    with pytest.raises(BadInput, match="no hidden layer"):
        Tap(alone)


def test_the_users_module_is_neither_trained_nor_switched_nor_hooked():
    module = seeded(
        lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    ).train()
    before = copy.deepcopy(module.state_dict())
    state = torch.random.get_rng_state()
    classifier = Classifier.of(module, input_shape=(4,))
    Tap(classifier)(torch.ones(3, 4))
    assert module.training and all(part.training for part in module)
    assert all(p.requires_grad for p in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
    own = classifier.module
    assert not own.training and not any(p.requires_grad for p in own.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in own.modules())
    with torch.no_grad():
        module[0].weight.zero_()
    assert own[0].weight.abs().sum() > 0


@pytest.mark.parametrize(
    "tail, link",
    [
        ((), "softmax"),
        ((nn.Sigmoid(),), "probabilities"),
        ((nn.Softmax(1),), "probabilities"),
        ((nn.LogSoftmax(1),), "softmax"),
        ((nn.Softmax(1), nn.Flatten()), "probabilities"),
    ],
)
def test_auto_link_reads_the_last_activation(tail, link):
    classifier = Classifier.of(small(*tail), input_shape=(4,))
    assert classifier.link == link
    assert hidden(classifier) == ["1"]
    x = torch.rand(6, 4)
    plain = small()(x).detach()
    wanted = torch.sigmoid(plain) if tail and isinstance(tail[0], nn.Sigmoid) else plain.softmax(1)
    torch.testing.assert_close(classifier.outputs(x), wanted)


@pytest.mark.parametrize("link", ["auto", "softmax", "sigmoid", "probabilities"])
def test_one_logit_is_two_classes_that_share_one(link):
    tail = (nn.Sigmoid(),) if link == "probabilities" else ()
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.ELU(), nn.Linear(5, 1), *tail))
    classifier = Classifier.of(module, input_shape=(4,), link=link)
    assert classifier.classes == ("0", "1")
    x = torch.rand(6, 4)
    o = module[:3](x).detach().double()[:, 0]
    share = 1 / (1 + torch.exp(-o))
    wanted = torch.stack([1 - share, share], 1).float()
    torch.testing.assert_close(classifier.outputs(x), wanted)
    assert classifier(x).shape == (6, 2)


def test_preprocessing_happens_inside_per_channel():
    module = seeded(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ELU(), nn.Linear(5, 3))
    )
    given = Preprocessing((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    classifier = Classifier.of(module, input_shape=(3, 2, 2), preprocessing=given)
    x = torch.rand(4, 3, 2, 2)
    by_hand = torch.stack([(x[:, c] - given.mean[c]) / given.std[c] for c in range(3)], 1)
    torch.testing.assert_close(classifier(x), module(by_hand).detach())
    plain = Classifier.of(module, input_shape=(3, 2, 2))
    assert plain.fingerprint != classifier.fingerprint
    torch.testing.assert_close(plain(x), module(x).detach())


def test_outputs_inside_tuples_and_dicts_are_found():
    for pack in (
        lambda y: (y, y * 2),
        lambda y: {"logits": y},
        lambda y: {"ids": y.long(), "y": y},
    ):
        module = Wrapped(lambda s, x, pack=pack: pack(s.parts[0](x)), small())
        x = torch.rand(3, 4)
        torch.testing.assert_close(Classifier.of(module, input_shape=(4,))(x), small()(x).detach())


@pytest.mark.parametrize(
    "module, shape, words",
    [
        (nn.Identity(), (1, 4, 4), r"one row of class scores.*\(2, 1, 4, 4\)"),
        (Wrapped(lambda s, x: None), (4,), "no tensor"),
        (nn.Linear(4, 3), (5,), "does not accept a batch of 2 inputs of shape \\(5,\\)"),
        (nn.Linear(4, 3), (), "input shape"),
        (Wrapped(lambda s, x: s.parts[0](x[:2].reshape(2, 4)), nn.Linear(4, 3)), (4,), "for m = 3"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            (4,),
            "of 1",
        ),
        (Wrapped(lambda s, x: F.dropout(s.parts[0](x)), nn.Linear(4, 3)), (4,), "dropout"),
        (Wrapped(lambda s, x: x.relu() if x.sum() > 0 else x), (4,), "another path"),
        (Wrapped(lambda s, x: x - x.mean(0)), (4,), "alone and in a batch"),
        (nn.LazyLinear(3), (4,), "have no values yet"),
        (Wrapped(lambda s, x: F.relu_(x.sub_(0.5))), (4,), "overwrites its input"),
    ],
)
def test_networks_that_cannot_be_studied_are_refused_in_a_sentence(module, shape, words):
    with pytest.raises(BadInput, match=words):
        Classifier.of(module, input_shape=shape)


def test_an_in_place_first_layer_leaves_the_input_alone():
    module = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(4, 3))
    classifier = Classifier.of(module, input_shape=(4,))
    x = torch.randn(5, 4)
    kept = x.clone()
    classifier(x)
    with torch.inference_mode():
        Tap(classifier)(x)
    assert torch.equal(x, kept) and module[1].inplace


def test_a_classifier_made_under_inference_mode_still_has_gradients():
    module = small()
    with torch.inference_mode():
        classifier = Classifier.of(module, input_shape=(4,))
    x = torch.rand(2, 4, requires_grad=True)
    classifier(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_weights_that_are_not_finite_are_named():
    for value, word in ((torch.nan, "NaN"), (torch.inf, "infinite")):
        module = small()
        with torch.no_grad():
            module[2].bias[1] = value
        with pytest.raises(BadInput, match=f'"2.bias" contain {word}'):
            Classifier.of(module, input_shape=(4,))


def test_wrong_settings_are_refused_in_a_sentence():
    module = small()
    for wrong, words in [
        ({"classes": ["a", "b"]}, "2 class names .* 3 classes"),
        ({"link": "tanh"}, "link"),
        ({"bounds": (1.0, 0.0)}, "bounds"),
        ({"preprocessing": Preprocessing((0.0, 0.0), (1.0, 1.0))}, "mean needs 1 or 4"),
        ({"preprocessing": Preprocessing((0.0,), (0.0,))}, "above 0"),
    ]:
        with pytest.raises(BadInput, match=words):
            Classifier.of(module, input_shape=(4,), **wrong)
    with pytest.raises(BadInput, match='no layer "7"'):
        Tap(Classifier.of(module, input_shape=(4,)), ["7"])


def test_wrong_inputs_are_refused_in_a_sentence(mlp):
    with pytest.raises(BadInput, match=r"\(1, 8, 8\) in a batch; got \(1, 8, 8\)"):
        mlp.prepare(torch.zeros(1, 8, 8))
    with pytest.raises(BadInput, match=r"got \(2, 3, 8, 8\)"):
        Tap(mlp).run(torch.zeros(2, 3, 8, 8), lambda slot, activation: None)
    with pytest.raises(BadInput, match="divide by 255"):
        mlp.prepare(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))


def test_saved_and_read_is_the_same_classifier(mlp, cnn, tmp_path):
    for name, classifier in (("mlp", mlp), ("cnn", cnn)):
        changed = dataclasses.replace(classifier, bounds=(-1.0, 2.0))
        assert save_classifier(changed, tmp_path / name)
        again = read_classifier(tmp_path / name)
        x = torch.rand(5, 1, 8, 8)
        assert torch.equal(again(x), classifier(x))
        for field in ("layers", "classes", "input_shape", "preprocessing", "link", "fingerprint"):
            assert getattr(again, field) == getattr(classifier, field), field
        assert again.bounds == (-1.0, 2.0)
        assert load_classifier(tmp_path / name).fingerprint == classifier.fingerprint


def test_what_a_layer_list_cannot_say_is_not_saved(tmp_path):
    tied = nn.Linear(4, 4)
    for module in (
        Functional().eval(),
        nn.Sequential(tied, nn.ReLU(), tied),
        nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 4), Wrapped(lambda s, x: x)),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
    ):
        shape = (1, 6, 6) if isinstance(module, Functional) else (4,)
        assert not save_classifier(Classifier.of(module, input_shape=shape), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_fingerprint_follows_weights_structure_and_link_but_not_the_batch():
    base = Classifier.of(small(), input_shape=(4,))
    assert base.fingerprint == Classifier.of(small(), input_shape=(4,)).fingerprint
    other = small()
    with torch.no_grad():
        other[0].weight[0, 0] += 1e-6
    steeper = small()
    steeper[1] = nn.ELU(0.5)
    prints = {
        base.fingerprint,
        Classifier.of(other, input_shape=(4,)).fingerprint,
        Classifier.of(steeper, input_shape=(4,)).fingerprint,
        Classifier.of(small(), input_shape=(4,), link="sigmoid").fingerprint,
        Classifier.of(small(nn.Sigmoid()), input_shape=(4,)).fingerprint,
    }
    assert len(prints) == 5


def test_double_precision_wrapped_modules_are_studied_in_float32():
    module = nn.DataParallel(small().double())
    classifier = Classifier.of(module, input_shape=(4,))
    assert isinstance(classifier.module, nn.Sequential)
    x = np.random.default_rng(0).random((3, 4))
    torch.testing.assert_close(
        classifier(torch.from_numpy(x)), small()(torch.from_numpy(x).float()).detach()
    )


def test_moving_makes_another_classifier_and_leaves_this_one(mlp):
    assert mlp.to("cpu") is mlp and mlp.device == torch.device("cpu")
    given = Preprocessing((0.5,), (2.0,))
    here = Classifier.of(small(), input_shape=(4,), preprocessing=given)
    there = here.to("meta")
    assert there.device.type == "meta" and there(torch.rand(2, 4)).is_meta
    assert here.device.type == "cpu" and not here(torch.rand(2, 4)).is_meta
    assert there.fingerprint == here.fingerprint and there.lock is not here.lock
