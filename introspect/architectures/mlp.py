"""Multilayer perceptrons: dense layers one after another, whatever they are called."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from introspect.architectures.base import (
    ACTIVATIONS,
    AbstractArchitecture,
    Plan,
    Shapes,
    alike,
    chained,
    find_parts,
    flat_input,
)


def make_mlp(sizes: Sequence[int], activation: str, norm: bool, bias: bool) -> nn.Sequential:
    """Dense layers fc1, fc2, … of the given sizes with one activation between them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, (given, made) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        layers[f"fc{number}"] = nn.Linear(given, made, bias)
        if number < len(sizes) - 1:
            if norm:
                layers[f"bn{number}"] = nn.BatchNorm1d(made)
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
    return nn.Sequential(layers)


@dataclass(frozen=True)
class MLP(AbstractArchitecture):
    """Dense layers with an activation, and perhaps batch norm, after all but the last."""

    make: ClassVar = staticmethod(make_mlp)
    variants: ClassVar = {
        "mlp": {"activation": "relu"},
        "mlp-elu": {"activation": "elu"},
        "mlp-tanh": {"activation": "tanh"},
        "mlp-sigmoid": {"activation": "sigmoid"},
        "mlp-gelu": {"activation": "gelu"},
    }
    hidden: ClassVar = ("activation",)

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        parts = find_parts(shapes)
        denses = chained(parts.denses)
        if denses is None or parts.convs or not alike(denses):
            return None
        sizes = [denses[0].shape[1], *(part.shape[0] for part in denses)]
        norm = len(parts.norms) == len(denses) - 1 > 0
        rename = {}
        for number, part in enumerate(denses, 1):
            rename |= part.names(f"fc{number}")
        for number, part in enumerate(parts.norms if norm else (), 1):
            rename |= part.names(f"bn{number}", norm=True)
        settings = {
            "sizes": sizes,
            "activation": "relu",
            "norm": norm,
            "bias": denses[0].bias,
        }
        return Plan(settings, flat_input(sizes[0]), rename)
