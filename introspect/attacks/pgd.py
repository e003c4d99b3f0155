"""The attack that most defences are measured against: steps within a ball around the input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from introspect.attacks.base import AbstractAttack, Network, check_settings, descend
from introspect.plugin import knob


@dataclass(frozen=True)
class Pgd(AbstractAttack):
    """Steps by the sign of the gradient as FGSM, but no value of the input ever moves by more than
    ε from where it was, and the walk begins at a random place of that ball (Madry et al. 2018).

        x ← clip(Π(x − step · sign ∇ ½‖onehot(t) − ŷ(x)‖²)),   Π: |x − x₀| ≤ ε

    The start is drawn once by the seed and is the same for every row and target, so that a walk
    does not depend on what else is in the batch. Usual ε: 0.3 for MNIST, 8/255 for CIFAR-10.
    """

    steps: int = knob(40, 1, 1000, "How many steps the walk has.")
    step: float = knob(0.01, 0.0, 1.0, "How far every value of the input moves in one step.")
    epsilon: float = knob(0.1, 0.0, 1.0, "How far a value may ever be from where it was.")
    random_start: bool = knob(True, help="Begin at a random place of the ball.")
    seed: int = knob(0, 0, 2**31 - 1, "Decides the random place.")
    loss: str = knob(
        "squared", help="squared: the network's own loss; logits: does not stall at sure answers."
    )

    def path(
        self, classifier: Network, x: Float[Tensor, " b *input"], target: Int64[Tensor, " b"]
    ) -> Float[Tensor, "t b *input"]:
        """Every point of every walk; point 0 is the random start where there is one."""
        check_settings(self, classifier, "step", "epsilon")
        low, high = classifier.bounds
        below = torch.clamp(x - self.epsilon, low, high)
        above = torch.clamp(x + self.epsilon, low, high)

        def keep(point: Tensor) -> Tensor:
            return torch.clamp(point, below, above, out=point)

        start = x
        if self.random_start:
            generator = torch.Generator().manual_seed(self.seed)
            noise = 2 * torch.rand(x.shape[1:], generator=generator) - 1
            start = keep(x + self.epsilon * noise.to(x.device))
        return descend(classifier, start, target, self.steps, self.step, self.loss, keep)
