"""Residual networks for large pictures, as torchvision names their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from introspect.architectures.base import AbstractArchitecture, Plan, Shapes
from introspect.architectures.residual import ResidualNetwork, read_residual

STEM = 7


@dataclass(frozen=True)
class ResNet(AbstractArchitecture):
    """He et al. 2015: a 7 x 7 convolution and a pooling, then four stages of blocks."""

    make: ClassVar = ResidualNetwork
    variants: ClassVar = {
        "resnet18": {"blocks": [2, 2, 2, 2], "bottleneck": False},
        "resnet34": {"blocks": [3, 4, 6, 3], "bottleneck": False},
        "resnet50": {"blocks": [3, 4, 6, 3], "bottleneck": True},
    }

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        settings = read_residual(shapes)
        if settings is None:
            return None
        width = settings["stem"][0]
        settings |= {"stem": [width, STEM]}
        if settings["shortcut"] == "pad":
            settings |= {"shortcut": "downsample"}
        if len(settings["widths"]) != 4:
            settings |= {"widths": [width, 2 * width, 4 * width, 8 * width]}
            settings |= {"blocks": [2, 2, 2, 2]}
        return Plan(settings, (settings["channels"], 224, 224))
