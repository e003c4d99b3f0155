"""LeNet-5 and its kin: two 5 x 5 convolutions, each pooled by two, then dense layers."""

from __future__ import annotations

import math
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
    chained,
    find_parts,
)

SIDE = 5


def make_lenet(
    channels: int,
    filters: Sequence[int],
    sizes: Sequence[int],
    padding: int,
    activation: str,
    pool: str,
) -> nn.Sequential:
    """conv1, conv2, fc1, … with the names of the public checkpoints.

    Args:
        filters: of the two convolutions.
        sizes: of the dense layers, the flattened maps first.
        padding: of the first convolution; 2 makes 28 x 28 pictures 32 x 32.
        pool: max, or average as in the original.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    pools = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
    for number, (given, made) in enumerate(((channels, filters[0]), tuple(filters)), 1):
        layers[f"conv{number}"] = nn.Conv2d(
            given, made, SIDE, padding=padding if number == 1 else 0
        )
        layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
        layers[f"pool{number}"] = pools[pool](2)
    layers["flatten"] = nn.Flatten()
    for number, (given, made) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        layers[f"fc{number}"] = nn.Linear(given, made)
        if number < len(sizes) - 1:
            layers[f"{activation}{number + 2}"] = ACTIVATIONS[activation]()
    return nn.Sequential(layers)


@dataclass(frozen=True)
class LeNet(AbstractArchitecture):
    """LeCun et al. 1998, Gradient-based learning applied to document recognition: LeNet-5."""

    make: ClassVar = staticmethod(make_lenet)
    variants: ClassVar = {
        "lenet5": {"activation": "relu", "pool": "max"},
        "lenet5-tanh": {"activation": "tanh", "pool": "average"},
        "lenet5-sigmoid": {"activation": "sigmoid", "pool": "average"},
        "lenet5-32": {"activation": "relu", "pool": "max", "padding": 0},
    }
    hidden: ClassVar = ("activation", "pool", "padding")

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        parts = find_parts(shapes)
        convs, denses = chained(parts.convs), chained(parts.denses)
        if convs is None or denses is None or len(convs) != 2:
            return None
        filters = [part.shape[0] for part in convs]
        channels = convs[0].shape[1]
        side = max(1, math.isqrt(denses[0].shape[1] // filters[1]))
        # a map of 5 x 5 comes from 32 x 32, and grey pictures are 28 x 28 wherever this net is
        padding = 2 if side == 5 and channels == 1 else 0
        if variant == "lenet5-32":
            padding = 0
        sizes = [filters[1] * side * side, *(part.shape[0] for part in denses)]
        rename = {}
        for letters, found in (("conv", convs), ("fc", denses)):
            for number, part in enumerate(found, 1):
                rename |= part.names(f"{letters}{number}")
        settings = {
            "channels": channels,
            "filters": filters,
            "sizes": sizes,
            "padding": padding,
            "activation": "relu",
            "pool": "max",
        }
        seen = (2 * side + 4) * 2 + 4 - 2 * padding
        return Plan(settings, (channels, seen, seen), rename)
