"""Attacks: every step as the papers' equations say, alone and in a batch, within their limits."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import reference
import torch
from networks import Wrapped, seeded
from torch import Tensor, nn

from introspect.attacks.base import AbstractAttack, attacks, gradient, make_attack
from introspect.attacks.evasive import Evasive
from introspect.attacks.fgsm import Fgsm
from introspect.attacks.pgd import Pgd
from introspect.classifier import Classifier
from introspect.errors import BadInput
from introspect.samples import Samples


@dataclass
class Double:
    """The small network in float64, so that rounding flips no sign."""

    module: nn.Module
    bounds: tuple[float, float] = (0.0, 1.0)
    link: str = "sigmoid"

    def __call__(self, x: Tensor) -> Tensor:
        return self.module(x)

    def link_outputs(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


def linear_layers(module: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (part.weight.detach().double().numpy(), part.bias.detach().double().numpy())
        for part in module.modules()
        if isinstance(part, nn.Linear)
    ]


@pytest.fixture(scope="module")
def digit(digits: Samples) -> Tensor:
    return digits.floats([1500])


def towards_all(x: Tensor, k: int = 10) -> tuple[Tensor, Tensor]:
    return x.expand(k, *x.shape[1:]).contiguous(), torch.arange(k)


def test_the_family_is_found_by_its_files() -> None:
    assert attacks() == {"evasive": Evasive, "fgsm": Fgsm, "pgd": Pgd}
    assert all(issubclass(one, AbstractAttack) and one.__doc__ for one in attacks().values())


@pytest.mark.parametrize(
    ("attack", "ball"),
    [
        (Fgsm(steps=25, epsilon=0.03), math.inf),
        (Pgd(steps=25, step=0.03, epsilon=0.2, random_start=False), 0.2),
    ],
)
def test_path_equals_the_equation_value_by_value(
    attack: AbstractAttack, ball: float, mlp: Classifier, digit: Tensor
) -> None:
    x, target = towards_all(digit.double())
    found = attack.path(Double(copy.deepcopy(mlp.module).double()), x, target)
    layers = linear_layers(mlp.module)
    for k in range(10):
        wanted = reference.attack_path(layers, digit.double().numpy().ravel(), k, 25, 0.03, ball)
        np.testing.assert_allclose(found[:, k].flatten(1).numpy(), wanted, rtol=0, atol=1e-12)
    assert not torch.equal(found[-1, 0], found[-1, 1])


def test_steps_in_float32_are_those_of_the_equation_where_the_gradient_is_not_nothing(
    mlp: Classifier, digit: Tensor
) -> None:
    x, target = towards_all(digit)
    path = Fgsm(steps=30).path(mlp, x, target)
    layers = linear_layers(mlp.module)
    for step in range(30):
        for k in range(10):
            here = path[step, k].double().numpy().ravel()
            slope = reference.attack_gradient(layers, here, k)
            wanted = np.clip(here - 0.01 * np.sign(slope), 0, 1)
            clear = np.abs(slope) > 1e-4 * np.abs(slope).max()
            found = path[step + 1, k].double().numpy().ravel()
            np.testing.assert_allclose(found[clear], wanted[clear], rtol=0, atol=1e-7)
            assert clear.mean() > 0.9


def test_a_linear_network_is_followed_along_the_signs_of_its_weights() -> None:
    weight = torch.tensor([[1.0, -2.0, 0.0, 0.5], [-1.0, 2.0, 0.0, -0.5]])
    module = nn.Linear(4, 2, bias=False)
    module.weight = nn.Parameter(weight)
    classifier = Classifier.of(module, input_shape=(4,), link="sigmoid")
    x = torch.full((2, 4), 0.5)
    path = Fgsm(steps=10, epsilon=0.02).path(classifier, x, torch.tensor([0, 1]))
    for step in range(11):
        torch.testing.assert_close(path[step, 0], 0.5 + 0.02 * step * weight[0].sign())
        torch.testing.assert_close(path[step, 1], 0.5 + 0.02 * step * weight[1].sign())


@pytest.mark.parametrize("link", ["sigmoid", "softmax", "probabilities"])
def test_gradient_is_that_of_the_squared_error_for_every_link(
    link: str, mlp: Classifier, digit: Tensor
) -> None:
    tail = nn.Softmax(1) if link == "probabilities" else nn.Identity()
    module = nn.Sequential(mlp.module, tail)
    classifier = Classifier.of(module, input_shape=(1, 8, 8), link=link)
    x, target = towards_all(digit)
    leaf = x.clone().requires_grad_()
    wanted = nn.functional.one_hot(target, 10)
    (0.5 * (wanted - classifier.outputs(leaf)).square().sum()).backward()
    assert leaf.grad is not None and leaf.grad.abs().max() > 1e-6
    torch.testing.assert_close(
        gradient(classifier, x, target, "squared"), leaf.grad, rtol=1e-3, atol=1e-7
    )


def test_logits_form_is_the_gradient_of_the_cross_entropy(cnn: Classifier, digit: Tensor) -> None:
    x, target = towards_all(digit)
    leaf = x.clone().requires_grad_()
    nn.functional.cross_entropy(cnn(leaf), target, reduction="sum").backward()
    torch.testing.assert_close(gradient(cnn, x, target, "logits"), leaf.grad)


@pytest.mark.parametrize("attack", [Fgsm(steps=20), Pgd(steps=20, epsilon=0.08)])
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_a_batch_of_targets_walks_as_each_alone(
    attack: AbstractAttack, network: str, digit: Tensor, request: pytest.FixtureRequest
) -> None:
    classifier = request.getfixturevalue(network)
    x, target = towards_all(digit)
    together = attack.path(classifier, x, target)
    assert together.shape == (21, 10, 1, 8, 8)
    for k in range(10):
        alone = attack.path(classifier, digit, target[k : k + 1])[:, 0]
        same = torch.isclose(alone, together[:, k], atol=1e-6)
        # A gradient of next to nothing may change its sign with the batch size.
        assert same.float().mean() > 0.98


def test_targets_are_reached_and_the_classifier_stays_as_it_was(
    mlp: Classifier, digit: Tensor
) -> None:
    before = {name: value.clone() for name, value in mlp.module.state_dict().items()}
    x, target = towards_all(digit)
    path = Fgsm(steps=60).path(mlp, x, target)
    assert (mlp(path[-1]).argmax(1) == target).float().sum() >= 5
    assert (mlp(path[0]).argmax(1) == target).float().sum() == 1
    assert all(torch.equal(mlp.module.state_dict()[name], before[name]) for name in before)
    assert not mlp.module.training
    assert all(p.grad is None and not p.requires_grad for p in mlp.module.parameters())
    assert not path.requires_grad


def test_no_step_moves_a_value_by_more_than_epsilon(mlp: Classifier, digit: Tensor) -> None:
    x, target = towards_all(digit)
    path = Fgsm(steps=40, epsilon=0.02).path(mlp, x, target)
    assert torch.equal(path[0], x)
    for step in range(41):
        assert (path[step] - x).abs().max() <= step * 0.02 + 1e-6
    assert (path[-1] - x).abs().max() > 0.2


@pytest.mark.parametrize("attack", [Fgsm(steps=5, epsilon=0.0), Pgd(steps=5, epsilon=0.0)])
def test_epsilon_zero_stays_where_it_is(
    attack: AbstractAttack, mlp: Classifier, digit: Tensor
) -> None:
    x, target = towards_all(digit)
    assert torch.equal(attack.path(mlp, x, target), x.expand(6, *x.shape))


def test_epsilon_one_jumps_to_the_corners_of_the_box(mlp: Classifier, digit: Tensor) -> None:
    x, target = towards_all(digit)
    path = Fgsm(steps=3, epsilon=1.0).path(mlp, x, target)
    assert ((path[1] == 0) | (path[1] == 1)).all() and path.min() == 0 and path.max() == 1


def test_pgd_stays_in_ball_and_box_and_begins_at_its_seed(mlp: Classifier, digit: Tensor) -> None:
    x, target = towards_all(digit)
    path = Pgd(steps=30, step=0.02, epsilon=0.1).path(mlp, x, target)
    assert (path - x).abs().max() <= 0.1 + 1e-6
    assert path.min() >= 0 and path.max() <= 1
    assert (path[-1] - x).abs().max() > 0.09
    start = path[0]
    assert not torch.equal(start, x) and (start == start[0]).all()
    again = Pgd(steps=30, step=0.02, epsilon=0.1).path(mlp, x, target)
    assert torch.equal(path, again)
    other = Pgd(steps=1, step=0.02, epsilon=0.1, seed=1).path(mlp, x, target)
    assert not torch.equal(other[0], start)


def test_bounds_are_those_of_the_classifier(mlp: Classifier, digit: Tensor) -> None:
    classifier = Classifier.of(
        mlp.module, input_shape=(1, 8, 8), link="sigmoid", bounds=(-0.25, 1.25)
    )
    x, target = towards_all(digit)
    path = Fgsm(steps=60).path(classifier, x, target)
    assert path.min() == pytest.approx(-0.25) and path.max() == pytest.approx(1.25)


def saturated(classifier: Classifier, factor: float) -> Classifier:
    """The network with logits so many times larger."""
    module = copy.deepcopy(classifier.module)
    with torch.no_grad():
        module[-1].weight.mul_(factor)  # type: ignore[index]
        module[-1].bias.mul_(factor)  # type: ignore[index]
    return Classifier.of(module, input_shape=classifier.input_shape, link="sigmoid")


def test_a_saturated_sigmoid_stalls_and_the_logits_form_goes_on(
    mlp: Classifier, digit: Tensor
) -> None:
    sure = saturated(mlp, 1e4)
    x, target = towards_all(digit)
    assert torch.equal(Fgsm(steps=3).path(sure, x, target)[-1], x)
    moved = Fgsm(steps=3, loss="logits").path(sure, x, target)[-1] != x
    other = sure(x[:1]).argmax() != target
    assert moved[other].flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("fgsm", {"epsilon": -0.1}, "The epsilon -0.1 does not fit"),
        ("fgsm", {"epsilon": 1.5}, "choose a value from 0 to 1"),
        ("fgsm", {"epsilon": math.nan}, "The epsilon nan does not fit"),
        ("fgsm", {"steps": 0}, "at least 1 step; got 0"),
        ("fgsm", {"loss": "hinge"}, "There is no loss 'hinge'"),
        ("fgsm", {"step": 0.1}, "The attack fgsm has no step"),
        ("pgd", {"step": 2.0}, "The step 2 does not fit"),
        ("pgd", {"epsilon": math.inf}, "The epsilon inf does not fit"),
        ("deepfool", {}, "There is no attack 'deepfool': choose one of evasive, fgsm, pgd"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    name: str, settings: dict[str, Any], sentence: str, mlp: Classifier, digit: Tensor
) -> None:
    with pytest.raises(BadInput, match=sentence):
        make_attack(name, **settings).path(mlp, digit, torch.tensor([0]))


def test_settings_left_out_keep_their_defaults() -> None:
    assert make_attack("fgsm", steps=None, epsilon=0.2) == Fgsm(epsilon=0.2)


def test_a_network_without_gradients_is_refused() -> None:
    rounding = Wrapped(lambda own, x: own.parts[0](x.detach()), seeded(lambda: nn.Linear(4, 3)))
    classifier = Classifier.of(rounding, input_shape=(4,), link="softmax")
    with pytest.raises(BadInput, match="gives no gradient"):
        Fgsm().path(classifier, torch.rand(1, 4), torch.tensor([0]))


def test_logits_form_needs_logits(digit: Tensor) -> None:
    module = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Softmax(1)))
    classifier = Classifier.of(module, input_shape=(1, 8, 8))
    with pytest.raises(BadInput, match="no logits"):
        Fgsm(loss="logits").path(classifier, digit, torch.tensor([0]))


def test_a_network_of_one_output_is_attacked_towards_both_classes() -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 1)))
    classifier = Classifier.of(module, input_shape=(6,), link="sigmoid")
    x = torch.full((2, 6), 0.5)
    path = Fgsm(steps=50).path(classifier, x, torch.tensor([0, 1]))
    share = classifier.outputs(path.flatten(0, 1))[:, 1].reshape(51, 2)
    assert share[-1, 0] < share[0, 0] - 0.01 and share[-1, 1] > share[0, 1] + 0.01
    assert torch.equal(path[0], x)


# ---------------------------------------------------------------- peers
class Squared(nn.Module):
    """½‖onehot − σ(o)‖² summed over the batch."""

    def forward(self, logits: Tensor, wanted: Tensor) -> Tensor:
        if wanted.dim() == 1:
            wanted = nn.functional.one_hot(wanted, logits.shape[1]).float()
        return 0.5 * (wanted - logits.sigmoid()).square().sum()


def test_five_steps_equal_foolbox(mlp: Classifier, digits: Samples) -> None:
    foolbox, eagerpy = pytest.importorskip("foolbox"), pytest.importorskip("eagerpy")

    class Ours(foolbox.attacks.LinfBasicIterativeAttack):
        def get_loss_fn(self, model: Any, labels: Any) -> Any:
            return lambda x: eagerpy.astensor(-Squared()(model(x).raw, labels.raw))

    x = digits.floats(slice(1500, 1532))
    target = (torch.arange(32) + 3) % 10
    model = foolbox.PyTorchModel(mlp.module, bounds=(0, 1))
    peer = Ours(abs_stepsize=0.01, steps=5, random_start=False)
    _, wanted, _ = peer(model, x, target, epsilons=1.0)
    found = Fgsm(steps=5).path(mlp, x, target)[-1]
    assert (found - wanted).abs().max() <= 1e-6
    ball = Ours(abs_stepsize=0.02, steps=12, random_start=False)
    _, clipped, _ = ball(model, x, target, epsilons=0.1)
    ours = Pgd(steps=12, step=0.02, epsilon=0.1, random_start=False).path(mlp, x, target)[-1]
    assert (torch.isclose(ours, clipped, atol=1e-6)).float().mean() > 0.999


def test_logits_form_on_softmax_equals_foolbox_own_targeted_attack(
    cnn: Classifier, digits: Samples
) -> None:
    foolbox = pytest.importorskip("foolbox")
    x = digits.floats(slice(1500, 1532))
    target = (torch.arange(32) + 3) % 10
    model = foolbox.PyTorchModel(cnn.module, bounds=(0, 1))
    peer = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=0.01, steps=5, random_start=False
    )
    wanted, _, _ = peer(model, x, foolbox.TargetedMisclassification(target), epsilons=0.03)
    attack = Pgd(steps=5, step=0.01, epsilon=0.03, random_start=False, loss="logits")
    found = attack.path(cnn, x, target)[-1]
    assert torch.isclose(found, wanted, atol=1e-6).float().mean() > 0.999
    assert (found - x).abs().max() > 0.02


def test_one_step_and_a_walk_equal_the_adversarial_robustness_toolbox(
    mlp: Classifier, digits: Samples
) -> None:
    estimators = pytest.importorskip("art.estimators.classification")
    evasion = pytest.importorskip("art.attacks.evasion")
    x = digits.floats(slice(1500, 1532))
    target = (torch.arange(32) + 3) % 10
    peer = estimators.PyTorchClassifier(
        mlp.module, loss=Squared(), input_shape=(1, 8, 8), nb_classes=10, clip_values=(0.0, 1.0)
    )
    step = evasion.FastGradientMethod(peer, eps=0.03, targeted=True, batch_size=32)
    wanted = step.generate(x.numpy(), y=nn.functional.one_hot(target, 10).float().numpy())
    found = Fgsm(steps=1, epsilon=0.03).path(mlp, x, target)[-1]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-6)
    walk = evasion.ProjectedGradientDescent(
        peer, eps=0.1, eps_step=0.02, max_iter=12, targeted=True, batch_size=32, verbose=False
    )
    wanted = walk.generate(x.numpy(), y=nn.functional.one_hot(target, 10).float().numpy())
    attack = Pgd(steps=12, step=0.02, epsilon=0.1, random_start=False)
    found = attack.path(mlp, x, target)[-1].numpy()
    assert np.isclose(found, wanted, rtol=0, atol=1e-6).mean() > 0.999
