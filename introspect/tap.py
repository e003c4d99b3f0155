"""The tap: activations of chosen layers, one row an input, and the logits of the same pass."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import nn

from introspect.activation import WEIGHTED, Listener, Telling
from introspect.classifier import Classifier, Layer
from introspect.errors import BadInput

REDUCTIONS = ("mean", "grid2", "none")
Step = Callable[[torch.Tensor], torch.Tensor]
Take = Callable[[int, torch.Tensor], None]


def choose_layers(classifier: Classifier, layers: Sequence[str] | None = None) -> tuple[Layer, ...]:
    """The named layers in execution order; those hidden by default when none are named.

    Raises:
        BadInput: a name is unknown, or the network has no hidden layer.
    """
    if layers is None:
        chosen = tuple(layer for layer in classifier.layers if layer.hidden)
        if not chosen:
            raise BadInput("The network has no hidden layer, so there are no activations to map.")
        return chosen
    known = {layer.name for layer in classifier.layers}
    strange = next((name for name in layers if name not in known), None)
    if strange is not None or not layers:
        raise BadInput(f'The network has no layer "{strange}"; it has {", ".join(sorted(known))}.')
    return tuple(layer for layer in classifier.layers if layer.name in layers)


def count_units(layer: Layer, reduction: str) -> int:
    """How many numbers an input has in this layer after the reduction."""
    if reduction == "none":
        return math.prod(layer.shape)
    spatial = len(layer.shape) - 1
    if reduction == "grid2" and 1 <= spatial <= 3 and (spatial > 1 or layer.channel == 0):
        return layer.units * 2**spatial
    return layer.units


def _reducer(layer: Layer, reduction: str) -> Step | None:
    """From `m *shape` to `m units`; None where the activation has that shape already."""
    dims = len(layer.shape)
    if dims == 0:
        return lambda t: t.unsqueeze(1).clone()
    if dims == 1:
        return None
    if reduction == "none":
        return lambda t: t.flatten(1)
    if reduction == "grid2" and count_units(layer, "grid2") > layer.units:
        pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 2]
        if layer.channel == 0:
            return lambda t: pool(t, 2).flatten(1)
        return lambda t: pool(t.movedim(-1, 1), 2).flatten(1)
    axes = tuple(range(2, dims + 1)) if layer.channel == 0 else tuple(range(1, dims))
    return lambda t: t.mean(axes)


class Tap:
    """Runs a classifier and hands over activations with the logits; one object serves every thread.

    The plan (which call is which layer) is made once. A plain `nn.Sequential` runs layer by layer
    without any listening; other modules run under a function mode, which belongs to the thread.
    Nothing is hooked, so no lock is held.

    Args:
        classifier: stays as it is.
        layers: names from `classifier.layers`; the hidden ones when left out.
        reduction: of maps and token sequences: "mean" over positions (the default), "grid2" a
            2x2 adaptive average, "none" every value. Sequences of tokens are averaged by both.
    """

    def __init__(
        self, classifier: Classifier, layers: Sequence[str] | None = None, reduction: str = "mean"
    ) -> None:
        if reduction not in REDUCTIONS:
            raise BadInput(f'The reduction "{reduction}" is unknown; use mean, grid2 or none.')
        self.classifier = classifier
        self.reduction = reduction
        self.layers = choose_layers(classifier, layers)
        self.spans: dict[str, slice] = {}
        start = 0
        for layer in self.layers:
            stop = start + count_units(layer, reduction)
            self.spans[layer.name] = slice(start, stop)
            start = stop
        self.p = start
        self._reducers = [_reducer(layer, reduction) for layer in self.layers]
        self._slots = {layer.call: i for i, layer in enumerate(self.layers)}
        self._lean: list[tuple[Step, int | None]] = []
        self._steps = self._plan_steps()

    def __call__(
        self, x: Float[torch.Tensor, " m *input"]
    ) -> tuple[Float[torch.Tensor, "m p"], Float[torch.Tensor, "m k"]]:
        """Activations and logits, float32; differentiable with respect to x."""
        parts: list[torch.Tensor] = []

        def take(slot: int, activation: torch.Tensor) -> None:
            reduce = self._reducers[slot]
            if reduce is not None:
                activation = reduce(activation)
            # What we do not run ourselves may overwrite its own activations later in the pass.
            if self._steps is None and (reduce is None or self.reduction == "none"):
                activation = activation.clone()
            parts.append(activation)

        logits = self.run(x, take)
        return (torch.cat(parts, 1) if len(parts) > 1 else parts[0]), logits

    def reduce(self, slot: int, activation: torch.Tensor) -> torch.Tensor:
        """The rows `m units` of one activation of the plan."""
        reducer = self._reducers[slot]
        return activation if reducer is None else reducer(activation)

    def run(self, x: torch.Tensor, take: Take) -> torch.Tensor:
        """Calls `take(slot, activation)` for every chosen layer in order; returns the logits.

        The activation is what the module itself works with: `take` must copy or reduce it at once.

        Raises:
            BadInput: the network ran other layers than when it was first seen.
        """
        x = self.classifier.prepare(x)
        if self._steps is not None:
            for step, slot in self._steps if torch.is_grad_enabled() else self._lean:
                x = step(x)
                if slot is not None:
                    take(slot, x)
            return self.classifier.logits_of(x)
        count = taken = 0
        m = len(x)

        def hear(op: str, result: torch.Tensor) -> None:
            nonlocal count, taken
            slot = self._slots.get(count)
            count += 1
            if slot is not None:
                layer = self.layers[slot]
                if op != layer.op or result.shape != (m, *layer.shape):
                    raise BadInput(
                        "The network took another path for these inputs; it cannot be mapped."
                    )
                taken += 1
                take(slot, result)

        module = self.classifier.module
        if isinstance(module, Telling):
            output = module.tell(x, hear)
        else:
            with Listener(hear):
                output = module(x)
        if taken != len(self.layers):
            raise BadInput("The network took another path for these inputs; it cannot be mapped.")
        return self.classifier.logits_of(output)

    def _plan_steps(self) -> list[tuple[Step, int | None]] | None:
        """The layer-by-layer plan of a plain `nn.Sequential`, or None for anything else."""
        children = _flat(self.classifier.module)
        if children is None:
            return None
        steps: list[tuple[Step, int | None]] = []
        fresh = False
        count = 0
        heard: list[str] = []
        x = torch.zeros(1, *self.classifier.input_shape, device=self.classifier.device)
        with torch.no_grad():
            for child in children:
                heard.clear()
                with Listener(lambda op, result: heard.append(op)):
                    x = child(x)
                if len(heard) > 1:
                    return None
                slot = self._slots.get(count) if heard else None
                count += len(heard)
                if isinstance(child, (nn.modules.dropout._DropoutNd, nn.Identity)):
                    continue
                steps.append((_step(child), slot))
                # Without gradients, what a weighted layer has just made may be overwritten.
                lean = copy.copy(child)
                if fresh and getattr(child, "inplace", None) is False:
                    setattr(lean, "inplace", True)  # noqa: B010  (nn.Module types it as a module)
                self._lean.append((_step(lean), slot))
                fresh = bool(heard) and heard[0] in WEIGHTED and slot is None
        return steps


def _step(child: nn.Module) -> Step:
    """One layer as a plain function, without what a module looks up at every call."""
    if type(child) is nn.Linear:
        weight, bias = child.weight, child.bias
        return lambda x: F.linear(x, weight, bias)
    if type(child) is nn.ELU:
        alpha, inplace = child.alpha, child.inplace
        return lambda x: F.elu(x, alpha, inplace)
    return child.forward


def _flat(module: nn.Module) -> list[nn.Module] | None:
    """The layers of an `nn.Sequential` of torch's own leaves without hooks, nested ones opened."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return None
    if type(module) is nn.Sequential:
        parts = [_flat(child) for child in module]
        return None if None in parts else [leaf for part in parts if part for leaf in part]
    own = type(module).__module__.startswith("torch.nn.modules")
    return [module] if own and not list(module.children()) else None
