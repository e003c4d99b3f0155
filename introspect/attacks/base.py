"""What every attack offers: the whole path of every input, and the gradient that drives it."""

from __future__ import annotations

import abc
import dataclasses
import importlib
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from introspect.errors import BadInput
from introspect.plugin import discover

LOSSES = ("squared", "logits")


@runtime_checkable
class Network(Protocol):
    """As much of a `Classifier` as an attack may use."""

    bounds: tuple[float, float]
    link: str

    def __call__(self, x: Tensor) -> Tensor:
        """Logits `b k` of `b *input`, differentiable."""
        ...

    def link_outputs(self, logits: Tensor) -> Tensor:
        """ŷ of logits."""
        ...


@runtime_checkable
class Introspected(Network, Protocol):
    """A network together with what an atlas learnt about it: who attacks this knows both."""

    def notice(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits `b k`, ê(z) + ê(h) `b` in decades, error of rebuilding `b`; differentiable."""
        ...


class AbstractAttack(abc.ABC):
    """Settings of an attack, all targeted: the input is changed until it is taken for `target`."""

    steps: int

    @abc.abstractmethod
    def path(
        self, classifier: Network, x: Float[Tensor, " b *input"], target: Int64[Tensor, " b"]
    ) -> Float[Tensor, "t b *input"]:
        """Every point of every walk, the start first, t = steps + 1; rows do not see each other.

        The network is asked once at every point in order, the last one too: whoever passes it in
        can then watch the walk from its own forward passes.

        Args:
            classifier: asked for logits and their gradient; stays as it is.
            x: float32 within the classifier's bounds, on its device.
            target: class number wanted for each row; its own class is allowed.

        Raises:
            BadInput: a setting does not fit the inputs, or the network gives no gradient.
        """


def gradient(
    network: Network, x: Float[Tensor, " b *input"], target: Int64[Tensor, " b"], loss: str
) -> Float[Tensor, " b *input"]:
    """Gradient at every row of the loss that is smallest where the network says `target`.

    `squared` is ½‖onehot(t) − ŷ‖² (Pardo et al. 2020, the loss the network was trained on). Its
    gradient with respect to sigmoid logits carries ŷ(1 − ŷ), which float32 rounds to 0 from
    logits of about 17: the walk stalls. `logits` leaves that factor out, ŷ − onehot(t), which is
    the gradient of the cross-entropy, and does not stall while the answer is not the target.
    The rows' losses are summed, so that one pass gives the gradient of each.

    Raises:
        BadInput: the logits do not depend on x by anything differentiable.
    """
    x = x.detach().requires_grad_()
    logits = network(x)
    push = push_towards(network, logits, target, loss)
    return torch.autograd.grad(logits, x, push)[0]


def push_towards(
    network: Network, logits: Float[Tensor, "b k"], target: Int64[Tensor, " b"], loss: str
) -> Float[Tensor, "b k"]:
    """The gradient of the loss of `gradient` with respect to the logits.

    Raises:
        BadInput: the logits do not depend on their input by anything differentiable.
    """
    if not logits.requires_grad:
        raise BadInput(
            "The network gives no gradient for its inputs (a rounding or a detached tensor stands "
            "in the way), so it cannot be attacked by gradients."
        )
    with torch.no_grad():
        outputs = network.link_outputs(logits)
        push = outputs.scatter(1, target[:, None], -1, reduce="add")
        if loss == "squared" and network.link == "sigmoid":
            push *= torch.addcmul(outputs, outputs, outputs, value=-1)
        elif loss == "squared" and network.link == "softmax":
            push = outputs * (push - (push * outputs).sum(1, keepdim=True))
    return push


def descend(
    network: Network,
    start: Float[Tensor, " b *input"],
    target: Int64[Tensor, " b"],
    steps: int,
    size: float,
    loss: str,
    keep: Callable[[Tensor], Tensor],
) -> Float[Tensor, "t b *input"]:
    """The walk x ← keep(x − size · sign ∇loss), every point; sign(0) is 0.

    Args:
        keep: puts a point back where it is allowed to be, in place.
    """
    path = start.new_empty((steps + 1, *start.shape))
    path[0] = start
    for step, point in enumerate(path):
        slope = gradient(network, point, target, loss)
        if step < steps:
            torch.add(point, slope.sign_(), alpha=-size, out=path[step + 1])
            keep(path[step + 1])
    return path


def check_settings(attack: Any, network: Network, *sizes: str) -> None:
    """Refuses settings that no walk can be made with.

    Args:
        sizes: names of the settings that are distances in units of the input.

    Raises:
        BadInput: naming the first such setting.
    """
    low, high = network.bounds
    if attack.steps < 1:
        raise BadInput(f"An attack needs at least 1 step; got {attack.steps}.")
    for name in sizes:
        value = getattr(attack, name)
        if not math.isfinite(value) or not 0 <= value <= high - low:
            raise BadInput(
                f"The {name} {value:g} does not fit inputs between {low:g} and {high:g}: choose a "
                f"value from 0 to {high - low:g}."
            )
    if attack.loss not in LOSSES:
        raise BadInput(f"There is no loss {attack.loss!r}: choose squared or logits.")
    if attack.loss == "logits" and network.link == "probabilities":
        raise BadInput("This network gives shares and no logits: choose the squared loss.")


def attacks() -> dict[str, type[AbstractAttack]]:
    """The attacks there are, by name."""
    return discover(importlib.import_module("introspect.attacks"), "path")


def make_attack(name: str, **settings: Any) -> AbstractAttack:
    """The attack of a name; settings that are None keep their defaults.

    Raises:
        BadInput: there is no such attack, or it has no such setting.
    """
    known = attacks()
    if name not in known:
        raise BadInput(f"There is no attack {name!r}: choose one of {', '.join(known)}.")
    given = {key: value for key, value in settings.items() if value is not None}
    fields = [field.name for field in dataclasses.fields(known[name])]  # type: ignore[arg-type]
    strange = next((key for key in given if key not in fields), None)
    if strange is not None:
        raise BadInput(f"The attack {name} has no {strange}: it has {', '.join(fields)}.")
    return known[name](**given)
