"""VGG-like networks: 3 x 3 convolutions, pooled now and then, then dense layers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from introspect.architectures.base import (
    AbstractArchitecture,
    Plan,
    Shapes,
    chained,
    find_parts,
    pauses,
)

POOL = 0
"""Stands for a pooling by two in a list of filters."""

_PLANS = {
    11: (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL),
    13: (64, 64, POOL, 128, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL),
    16: (64, 64, POOL, 128, 128, POOL, *(256,) * 3, POOL, *(512,) * 3, POOL, *(512,) * 3, POOL),
    19: (64, 64, POOL, 128, 128, POOL, *(256,) * 4, POOL, *(512,) * 4, POOL, *(512,) * 4, POOL),
}


def make_vgg(
    channels: int, filters: Sequence[int], grid: int, sizes: Sequence[int], norm: bool, bias: bool
) -> nn.Sequential:
    """conv1, relu1, …, a mean onto grid x grid positions, and dense layers fc1, ….

    Args:
        filters: of every convolution in turn, `POOL` for a pooling by two.
        sizes: of the dense layers, the flattened maps first.
        bias: of the convolutions.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    given, number, pools = channels, 0, 0
    for made in filters:
        if made == POOL:
            pools += 1
            layers[f"pool{pools}"] = nn.MaxPool2d(2)
            continue
        number += 1
        layers[f"conv{number}"] = nn.Conv2d(given, made, 3, padding=1, bias=bias)
        if norm:
            layers[f"bn{number}"] = nn.BatchNorm2d(made)
        layers[f"relu{number}"] = nn.ReLU()
        given = made
    layers["mean"] = nn.AdaptiveAvgPool2d(grid)
    layers["flatten"] = nn.Flatten()
    for dense, (given, made) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        layers[f"fc{dense}"] = nn.Linear(given, made)
        if dense < len(sizes) - 1:
            layers[f"relu{number + dense}"] = nn.ReLU()
    return nn.Sequential(layers)


@dataclass(frozen=True)
class VGG(AbstractArchitecture):
    """Simonyan and Zisserman 2014, Very deep convolutional networks; torchvision's names.

    Where the pooling is follows from the gaps in the numbers of `features.N`.
    """

    make: ClassVar = staticmethod(make_vgg)
    variants: ClassVar = {
        f"vgg{depth}{'_bn' if norm else ''}": {"filters": list(plan), "norm": norm}
        for norm in (False, True)
        for depth, plan in _PLANS.items()
    }

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        parts = find_parts(shapes)
        convs, denses = parts.convs, chained(parts.denses)
        norm = len(parts.norms) == len(convs)
        pooled = pauses(convs, norm)
        if denses is None or pooled is None or not any(pooled):
            return None
        filters = [
            size
            for part, pause in zip(convs, (*pooled, True), strict=True)
            for size in (part.shape[0], *((POOL,) if pause else ()))
        ]
        grid = max(1, math.isqrt(denses[0].shape[1] // convs[-1].shape[0]))
        rename = {}
        for letters, found in (("conv", convs), ("fc", denses)):
            for number, part in enumerate(found, 1):
                rename |= part.names(f"{letters}{number}")
        for number, part in enumerate(parts.norms if norm else (), 1):
            rename |= part.names(f"bn{number}", norm=True)
        settings = {
            "channels": convs[0].shape[1],
            "filters": filters,
            "grid": grid,
            "sizes": [convs[-1].shape[0] * grid**2, *(part.shape[0] for part in denses)],
            "norm": norm,
            "bias": convs[0].bias,
        }
        side = 32 if grid == 1 else 32 * grid
        return Plan(settings, (convs[0].shape[1], side, side), rename)
