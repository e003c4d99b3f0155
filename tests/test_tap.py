"""The tap: literal activations, alone and in a batch, with and without gradients, in threads."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
import torch.nn.functional as F
from networks import Functional, Wrapped, seeded
from torch import nn

from introspect.classifier import Classifier
from introspect.errors import BadInput
from introspect.recording import Tap


def test_tap_equals_the_literal_activations_of_a_functional_network():
    module = seeded(Functional)
    classifier = Classifier.of(module, input_shape=(1, 6, 6))
    x = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        a = F.conv2d(x, module.conv.weight, module.conv.bias).clamp(min=0).mean((2, 3))
        b = (a @ module.first.weight.T + module.first.bias).clamp(min=0)
        c = (b @ module.tied.weight.T + module.tied.bias).clamp(min=0)
        d = torch.tanh(c @ module.tied.weight.T + module.tied.bias)
        e = 1 / (1 + torch.exp(-(d[:, :4] @ module.first.weight.T + module.first.bias)))
        wanted = e @ module.last.weight.T + module.last.bias
    h, logits = Tap(classifier)(x)
    torch.testing.assert_close(h, torch.cat([a, b, c, d, e], 1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(logits, wanted, atol=1e-6, rtol=1e-5)


def test_an_in_place_activation_does_not_spoil_the_layer_before_it():
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)))
    classifier = Classifier.of(module, input_shape=(4,))
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    heard = Classifier.of(Wrapped(lambda s, x: s.parts[0](x), module), input_shape=(4,))
    for tap in (Tap(classifier, ["0", "1"]), Tap(heard, ["parts.0.0", "parts.0.1"])):
        with torch.inference_mode():
            h, _ = tap(x)
        before = x @ module[0].weight.T + module[0].bias
        torch.testing.assert_close(h[:, :5], before.detach())
        assert (h[:, :5] < 0).any() and (h[:, 5:] >= 0).all()
    both = Tap(Classifier.of(seeded(Functional), input_shape=(1, 6, 6)), ["tied#1", "tanh"])
    h, _ = both(torch.rand(4, 1, 6, 6))
    torch.testing.assert_close(torch.tanh(h[:, :6]), h[:, 6:])
    assert not torch.allclose(h[:, :6], h[:, 6:])


def test_transformer_blocks_are_heard_and_averaged_over_tokens():
    block = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
    module = seeded(
        lambda: Wrapped(lambda s, x: s.parts[1](s.parts[0](x).mean(1)), block, nn.Linear(8, 3))
    )
    classifier = Classifier.of(module, input_shape=(5, 8))
    (layer,) = [layer for layer in classifier.layers if layer.hidden]
    assert (layer.op, layer.shape, layer.units) == ("gelu", (5, 16), 16)
    x = torch.rand(3, 5, 8)
    h, _ = Tap(classifier)(x)
    seen = []
    own = classifier.module.parts[0]
    handle = own.linear2.register_forward_pre_hook(lambda part, given: seen.append(given[0]))
    own(x)
    handle.remove()
    torch.testing.assert_close(h, seen[0].mean(1))


def test_one_by_one_equals_batch(mlp, cnn, digits):
    for classifier in (mlp, cnn):
        tap = Tap(classifier)
        x = digits.floats(slice(0, 20))
        h, logits = tap(x)
        alone = [tap(x[i : i + 1]) for i in range(20)]
        torch.testing.assert_close(torch.cat([a for a, _ in alone]), h, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(torch.cat([b for _, b in alone]), logits, atol=1e-5, rtol=1e-5)
        assert torch.equal(tap(x[:1])[0], alone[0][0])


def test_gradients_reach_the_input_and_nothing_else(mlp):
    x = torch.rand(2, 1, 8, 8, dtype=torch.float32, requires_grad=True)
    h, logits = Tap(mlp)(x)
    (slope,) = torch.autograd.grad(logits[:, 3].sum(), x, retain_graph=True)
    (through_h,) = torch.autograd.grad(h.sum(), x)
    assert slope.abs().sum() > 0 and through_h.abs().sum() > 0
    own = copy.deepcopy(mlp.module).double()
    torch.autograd.gradcheck(own, x.detach().double().requires_grad_())
    point, step = x.detach().double(), torch.randn(2, 1, 8, 8).double() * 1e-6
    rise = (own(point + step) - own(point - step))[:, 3].sum() / 2
    torch.testing.assert_close((slope.double() * step).sum(), rise, rtol=1e-3, atol=1e-12)


def test_both_ways_of_running_agree_with_and_without_gradients(cnn):
    tap, x = Tap(cnn), torch.rand(3, 1, 8, 8)
    listening = Tap(cnn)
    listening._steps = None
    with torch.inference_mode():
        lean, heard = tap(x), listening(x)
    free = tap(x)
    for other in (heard, free):
        assert torch.equal(lean[0], other[0]) and torch.equal(lean[1], other[1])


def test_many_threads_share_one_tap_and_one_classifier():
    tap = Tap(Classifier.of(seeded(Functional), input_shape=(1, 6, 6)))
    inputs = [torch.rand(2 + i, 1, 6, 6) for i in range(6)]
    wanted = [tap(x)[0] for x in inputs]
    wrong = []

    def work(i: int) -> None:
        for _ in range(30):
            if not torch.equal(tap(inputs[i])[0], wanted[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_reductions_of_maps_have_their_closed_form():
    module = seeded(
        lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    )
    classifier = Classifier.of(module, input_shape=(1, 4, 4))
    x = torch.rand(3, 1, 4, 4)
    maps = module[:2](x).detach()
    mean, _ = Tap(classifier, reduction="mean")(x)
    torch.testing.assert_close(mean, maps.sum((2, 3)) / 16)
    grid, _ = Tap(classifier, reduction="grid2")(x)
    places = [(c, i, j) for c in (0, 1) for i in (0, 2) for j in (0, 2)]
    quarters = [maps[:, c, i : i + 2, j : j + 2].sum((1, 2)) / 4 for c, i, j in places]
    torch.testing.assert_close(grid, torch.stack(quarters, 1))
    whole, _ = Tap(classifier, reduction="none")(x)
    assert torch.equal(whole, maps.reshape(3, 32))
    with pytest.raises(BadInput, match="reduction"):
        Tap(classifier, reduction="median")


def test_features_of_sequences_lie_where_the_layer_before_puts_them():
    conv = seeded(
        lambda: nn.Sequential(nn.Conv1d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(15, 2))
    )
    x = torch.rand(4, 2, 5)
    h, _ = Tap(Classifier.of(conv, input_shape=(2, 5)))(x)
    torch.testing.assert_close(h, conv[:2](x).detach().mean(2))
    linear = seeded(
        lambda: nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2))
    )
    h, _ = Tap(Classifier.of(linear, input_shape=(2, 5)))(x)
    torch.testing.assert_close(h, linear[:2](x).detach().mean(1))
