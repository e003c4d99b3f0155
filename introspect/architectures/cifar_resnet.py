"""Residual networks for pictures of 32 x 32: a 3 x 3 convolution first, no pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from introspect.architectures.base import AbstractArchitecture, Plan, Shapes
from introspect.architectures.residual import ResidualNetwork, read_residual

STEM = 3


@dataclass(frozen=True)
class CifarResNet(AbstractArchitecture):
    """He et al. 2015, section 4.2: three stages of 16, 32, 64 filters; also four stages of 64 on.

    Shortcuts without weights (option A) and with them, heads called fc or linear: as in the
    common public checkpoints.
    """

    make: ClassVar = ResidualNetwork
    variants: ClassVar = {
        **{
            f"resnet{6 * count + 2}": {"blocks": [count] * 3, "bottleneck": False}
            for count in (3, 5, 7, 9, 18)
        },
        "cifar-resnet18": {"blocks": [2, 2, 2, 2], "bottleneck": False},
        "cifar-resnet34": {"blocks": [3, 4, 6, 3], "bottleneck": False},
        "cifar-resnet50": {"blocks": [3, 4, 6, 3], "bottleneck": True},
    }

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        settings = read_residual(shapes)
        if settings is None:
            return None
        settings |= {"stem": [settings["stem"][0], STEM]}
        return Plan(settings, (settings["channels"], 32, 32))
