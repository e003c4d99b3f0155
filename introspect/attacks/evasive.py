"""The attack that knows who is watching: it fools the network and its introspector together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from introspect.attacks.base import (
    AbstractAttack,
    Introspected,
    Network,
    check_settings,
    push_towards,
)
from introspect.errors import BadInput
from introspect.plugin import knob


@dataclass(frozen=True)
class Evasive(AbstractAttack):
    """Steps within a ball as PGD without its random start, by an attacker who has the introspector
    as well: every step also lowers the estimated errors ê(z) and ê(h), and the error with which
    the map rebuilds the activations, so that no alarm may sound (adaptive attack, Carlini & Wagner
    2017, arXiv 1705.07263).

        x ← clip(Π(x − step · sign(g + hide_error · gₑ + hide_distance · g_d)))

    g is the gradient of the loss of PGD, gₑ that of ê(z) + ê(h), g_d that of log10 of the error of
    rebuilding, each divided by its own mean size, so that the two weights mean the same for every
    network. While the network is not yet fooled it goes along g alone; there is nothing to hide
    before. With both weights at 0 it is PGD: an attacker to whom the introspector is a private
    key (Pardo et al. 2020, §4).
    """

    steps: int = knob(40, 1, 1000, "How many steps the walk has.")
    step: float = knob(0.01, 0.0, 1.0, "How far every value of the input moves in one step.")
    epsilon: float = knob(0.1, 0.0, 1.0, "How far a value may ever be from where it was.")
    hide_error: float = knob(
        1.0, 0.0, 10.0, "How hard it keeps the estimated errors low; 0: it does not know of them."
    )
    hide_distance: float = knob(
        1.0, 0.0, 10.0, "How hard it stays like recorded activations; 0: it does not know the map."
    )
    loss: str = knob(
        "squared", help="squared: the network's own loss; logits: does not stall at sure answers."
    )

    def path(
        self, classifier: Network, x: Float[Tensor, " b *input"], target: Int64[Tensor, " b"]
    ) -> Float[Tensor, "t b *input"]:
        """Every point of every walk; point 0 is x itself.

        Raises:
            BadInput: as other attacks; or the network comes without its introspector.
        """
        check_settings(self, classifier, "step", "epsilon")
        for name in ("hide_error", "hide_distance"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadInput(f"The weight {name} is {getattr(self, name):g}: choose 0 or more.")
        if not isinstance(classifier, Introspected):
            raise BadInput(
                "This attack hides from an atlas: start it from one (trace, fan or introspect "
                "attack), not from a bare network."
            )
        low, high = classifier.bounds
        below = torch.clamp(x - self.epsilon, low, high)
        above = torch.clamp(x + self.epsilon, low, high)
        path = x.new_empty((self.steps + 1, *x.shape))
        path[0] = x
        for number, point in enumerate(path):
            slope = self._slope(classifier, point, target)
            if number < self.steps:
                torch.add(point, slope.sign_(), alpha=-self.step, out=path[number + 1])
                torch.clamp(path[number + 1], below, above, out=path[number + 1])
        return path

    def _slope(self, network: Introspected, x: Tensor, target: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        logits, told, distance = network.notice(x)
        push = push_towards(network, logits, target, self.loss)
        slope = _even(torch.autograd.grad(logits, x, push, retain_graph=True)[0])
        fooled = (logits.argmax(1) == target).reshape(-1, *[1] * (x.dim() - 1))
        if self.hide_error and fooled.any():
            lower = torch.autograd.grad(told.sum(), x, retain_graph=True)[0]
            slope = slope + fooled * self.hide_error * _even(lower)
        if self.hide_distance and fooled.any():
            nearer = torch.autograd.grad(distance.log10().sum(), x)[0]
            slope = slope + fooled * self.hide_distance * _even(nearer)
        return slope


def _even(slope: Tensor) -> Tensor:
    """Every row divided by the mean size of its values; rows of zeros stay zeros."""
    size = slope.flatten(1).abs().mean(1).clamp_min(1e-30)
    return slope / size.reshape(-1, *[1] * (slope.dim() - 1))
