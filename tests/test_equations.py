"""What the papers' equations say, from their literal twins and from other people's attacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
import torch
from torch import nn

from introspect.atlas import Atlas
from introspect.attacks.base import gradient
from introspect.attacks.fgsm import Fgsm
from introspect.brainbow import find_centres, find_means, sort_units
from introspect.classifier import Classifier
from introspect.recording import Recording, half_squared_error
from introspect.samples import Samples

EPSILON = 0.03


# ---------------------------------------------------------------- eqs. 6, 7 and 9
@pytest.mark.parametrize("label", [0, 7])
def test_expected_activation_of_a_class_is_equation_6_over_its_training_samples(
    atlas: Atlas, label: int
) -> None:
    points = atlas.points
    rows = np.flatnonzero((points.label == label) & (points.split == 0))
    wanted = reference.expectation(np.asarray(atlas.recording.h[rows], np.float64))
    np.testing.assert_allclose(find_means(atlas)[label], wanted, atol=2e-3)


def test_expected_place_of_every_class_is_equation_7_within_two_hundredths(atlas: Atlas) -> None:
    points, centres = atlas.points, find_centres(atlas)
    for label in range(10):
        rows = (points.label == label) & (points.split == 0)
        wanted = reference.expectation(points.z[rows].astype(np.float64))
        assert np.abs(centres.z[label] - wanted).max() <= 0.02


def test_expected_activation_by_the_decoder_is_equation_9_written_out(atlas: Atlas) -> None:
    layers = [
        (part.weight.double().numpy(), part.bias.double().numpy())
        for part in atlas.projector.decoder
        if isinstance(part, nn.Linear)
    ]
    centres, found = find_centres(atlas), sort_units(atlas, "decoder")
    for label in (1, 8):
        wanted = reference.decode(layers, centres.z[label])
        np.testing.assert_allclose(found.expected[label], wanted, rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- the target of ê, section 2.7
@pytest.mark.parametrize("logits", [[-30.0, 30.0, -50.0], [50.0, -50.0, 50.0], [0.3, -1.2, 2.0]])
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("floor", [1e-8, 1e-60])
def test_target_of_the_estimate_equals_sixty_digits(
    logits: list[float], label: int, floor: float
) -> None:
    made = Recording(
        h=np.zeros((1, 1), np.float16),
        outputs=1 / (1 + np.exp(-np.array([logits]))),
        logits=np.array([logits]),
        y=np.array([label]),
        spans={"a": slice(0, 1)},
        reduction="mean",
        link="sigmoid",
    )
    wanted = reference.error_target(logits, label, floor)
    [found] = made.log_error_target(floor)
    assert np.isfinite(found) and found == pytest.approx(wanted, rel=1e-12)
    assert found >= np.log10(floor)


def test_error_is_a_half_for_one_wrong_unit_and_one_for_a_confident_swap() -> None:
    logits = np.array([[50.0, 50.0, -50.0], [-50.0, 50.0, -50.0]])
    found = half_squared_error(logits, np.array([0, 0]), "sigmoid")
    np.testing.assert_allclose(found, [0.5, 1.0], rtol=1e-12)


# ---------------------------------------------------------------- peers: one step, cross-entropy
def _step(net: Classifier, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Goodfellow et al. 2015: up the slope of the cross-entropy of the true class."""
    return (x + EPSILON * gradient(net, x, label, "logits").sign()).clamp(0, 1)


def _agree(ours: torch.Tensor, theirs: Any, slope: torch.Tensor) -> None:
    """Equal wherever the gradient is not rounding alone."""
    clear = slope.abs() > 1e-12
    assert clear.float().mean() > 0.5
    wanted = torch.as_tensor(theirs)
    assert (ours - wanted)[clear].abs().max() <= 1e-6


def test_untargeted_and_targeted_step_equal_foolbox(cnn: Classifier, digits: Samples) -> None:
    foolbox = pytest.importorskip("foolbox")
    x = digits.floats(slice(1500, 1532))
    label = torch.from_numpy(np.array(digits.y[1500:1532]))
    model = foolbox.PyTorchModel(cnn.module, bounds=(0, 1))
    peer = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    _, theirs, _ = peer(model, x, label, epsilons=EPSILON)
    _agree(_step(cnn, x, label), theirs, gradient(cnn, x, label, "logits"))
    target = (label + 3) % 10
    once = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=EPSILON, steps=1, random_start=False
    )
    wanted = foolbox.TargetedMisclassification(target)
    _, theirs, _ = once(model, x, wanted, epsilons=EPSILON)
    ours = Fgsm(steps=1, epsilon=EPSILON, loss="logits").path(cnn, x, target)[-1]
    _agree(ours, theirs, gradient(cnn, x, target, "logits"))


def test_untargeted_and_targeted_step_equal_the_adversarial_robustness_toolbox(
    cnn: Classifier, digits: Samples
) -> None:
    estimators = pytest.importorskip("art.estimators.classification")
    evasion = pytest.importorskip("art.attacks.evasion")
    x = digits.floats(slice(1500, 1532))
    label = torch.from_numpy(np.array(digits.y[1500:1532]))
    target = (label + 3) % 10
    peer = estimators.PyTorchClassifier(
        cnn.module,
        loss=nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0.0, 1.0),
    )
    for aim, targeted in ((label, False), (target, True)):
        step = evasion.FastGradientMethod(peer, eps=EPSILON, targeted=targeted, batch_size=32)
        theirs = step.generate(x.numpy(), y=nn.functional.one_hot(aim, 10).float().numpy())
        ours = (
            Fgsm(steps=1, epsilon=EPSILON, loss="logits").path(cnn, x, aim)[-1]
            if targeted
            else _step(cnn, x, aim)
        )
        _agree(ours, theirs, gradient(cnn, x, aim, "logits"))
