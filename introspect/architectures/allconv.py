"""All-convolutional networks: strides instead of pooling, then a global mean."""

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
    chained,
    find_parts,
    pauses,
)

LEAST = 4
HALVED = (3, 6)
"""Which convolutions, counted from 1, have a stride of 2."""


def make_allconv(
    channels: int,
    filters: Sequence[Sequence[int]],
    sizes: Sequence[int],
    norm: bool,
    activation: str,
) -> nn.Sequential:
    """Convolutions conv1, conv2, …, the mean over positions, and dense layers if there are any.

    Args:
        filters: number and side of the filters of every convolution.
        sizes: of the dense layers, the number of averaged maps first; empty where the last
            convolution gives one map a class.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    given = channels
    for number, (made, side) in enumerate(filters, 1):
        stride = 2 if number in HALVED and side > 1 else 1
        layers[f"conv{number}"] = nn.Conv2d(given, made, side, stride, side // 2)
        if number < len(filters) or sizes:
            if norm:
                layers[f"bn{number}"] = nn.BatchNorm2d(made)
            layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
        given = made
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    for number, (given, made) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        layers[f"fc{number}"] = nn.Linear(given, made)
        if number < len(sizes) - 1:
            layers[f"{activation}{len(filters) + number}"] = ACTIVATIONS[activation]()
    return nn.Sequential(layers)


@dataclass(frozen=True)
class AllConv(AbstractArchitecture):
    """Springenberg et al. 2014, Striving for simplicity; Net2 of Pardo et al. 2020 (ELU)."""

    make: ClassVar = staticmethod(make_allconv)
    variants: ClassVar = {
        "net2": {"activation": "elu"},
        "allconv": {"activation": "relu"},
    }
    hidden: ClassVar = ("activation",)

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        parts = find_parts(shapes)
        convs = chained(parts.convs)
        denses = chained(parts.denses) or ()
        square = all(part.shape[2] == part.shape[3] for part in parts.convs)
        if convs is None or len(convs) < LEAST or not square or len(denses) < len(parts.denses):
            return None
        norms = len(convs) if denses else len(convs) - 1
        norm = len(parts.norms) == norms
        owners = {part.name.rpartition(".")[0] for part in convs}
        # convolutions in parts of parts are blocks, and skipped numbers are poolings
        if len(owners) > 1 or any(pauses(parts.convs, norm) or ()):
            return None
        rename = {}
        for letters, found in (("conv", convs), ("fc", denses)):
            for number, part in enumerate(found, 1):
                rename |= part.names(f"{letters}{number}")
        for number, part in enumerate(parts.norms if norm else (), 1):
            rename |= part.names(f"bn{number}", norm=True)
        settings = {
            "channels": convs[0].shape[1],
            "filters": [[part.shape[0], part.shape[2]] for part in convs],
            "sizes": [convs[-1].shape[0], *(part.shape[0] for part in denses)] if denses else [],
            "norm": norm,
            # Net2 has dense layers and ELU, All-CNN neither
            "activation": "elu" if denses else "relu",
        }
        return Plan(settings, (convs[0].shape[1], 32, 32), rename)
