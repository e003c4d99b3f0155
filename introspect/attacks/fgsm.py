"""The paper's attack: the sign of the gradient, again and again."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from introspect.attacks.base import AbstractAttack, Network, check_settings, descend
from introspect.plugin import knob


@dataclass(frozen=True)
class Fgsm(AbstractAttack):
    """Every step moves every value of the input by ε, up or down, whichever brings the network
    closer to the target class (Goodfellow et al. 2015, repeated as in Pardo et al. 2020, §2.4).

        x ← clip(x − ε · sign ∇ ½‖onehot(t) − ŷ(x)‖²)

    Only the range of the inputs limits the walk: after N steps a value may have moved by N · ε.
    For a limit on the whole change use PGD; without its random start it is this attack in a ball.
    """

    steps: int = knob(100, 1, 1000, "How many steps the walk has.")
    epsilon: float = knob(0.01, 0.0, 1.0, "How far every value of the input moves in one step.")
    loss: str = knob(
        "squared", help="squared: the network's own loss; logits: does not stall at sure answers."
    )

    def path(
        self, classifier: Network, x: Float[Tensor, " b *input"], target: Int64[Tensor, " b"]
    ) -> Float[Tensor, "t b *input"]:
        """Every point of every walk; point 0 is x itself."""
        check_settings(self, classifier, "epsilon")
        low, high = classifier.bounds
        return descend(
            classifier,
            x,
            target,
            self.steps,
            self.epsilon,
            self.loss,
            lambda point: point.clamp_(low, high),
        )
