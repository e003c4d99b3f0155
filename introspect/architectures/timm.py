"""Any architecture of the timm library, by its name there: `timm:resnet18`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from introspect.architectures.base import AbstractArchitecture, Network, Plan, Shapes
from introspect.errors import BadInput

_kept: list[Any] = []
"""Definitions live as long as the object that made them."""


def _library() -> Any:
    """timm, whose torchvision may be made for CUDA while torch is not.

    Such a torchvision stops at its import for want of two operators of object detection, which no
    classifier calls; once they are declared it imports.
    """
    try:
        return _import()
    except RuntimeError as error:
        if "torchvision::nms" not in str(error) or _kept:
            raise _absent() from error
    except ImportError as error:
        raise _absent() from error
    declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(declared)
    for name in [one for one in sys.modules if one.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    try:
        return _import()
    except (ImportError, RuntimeError) as error:
        raise _absent() from error


def _import() -> Any:
    import timm  # pyright: ignore[reportMissingImports]

    return timm


def _absent() -> BadInput:
    return BadInput(
        "Architectures of timm need the packages timm and torchvision, made for this torch: "
        "pip install introspect[timm]."
    )


class TimmNetwork(Network):
    """A network of timm, without its weights; nothing is downloaded."""

    def __init__(self, name: str, channels: int, classes: int) -> None:
        super().__init__()
        timm = _library()
        # a name with a prefix would reach out to the network or the disk
        if name not in timm.list_models():
            raise BadInput(f'timm has no architecture "{name[:60]}": see timm.list_models().')
        self.settings = {"name": name, "channels": channels, "classes": classes}
        self.net = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@dataclass(frozen=True)
class Timm(AbstractArchitecture):
    """Wightman, PyTorch image models: more than a thousand networks, each known by a name."""

    make: ClassVar = TimmNetwork

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        if not variant:
            return None
        timm = _library()
        if variant not in timm.list_models():
            raise BadInput(f'timm has no architecture "{variant[:60]}": see timm.list_models().')
        with torch.device("meta"):
            usual = timm.create_model(variant, pretrained=False).default_cfg
        first, last = (_only(usual[key]) for key in ("first_conv", "classifier"))
        stem, head = shapes.get(f"{first}.weight", ()), shapes.get(f"{last}.weight", ())
        channels = stem[1] if len(stem) == 4 else 3
        settings = {"name": variant, "channels": channels, "classes": head[0] if head else 1000}
        shape = (channels, *usual["input_size"][1:])
        return Plan(settings, shape, {name: f"net.{name}" for name in shapes})


def _only(name: Any) -> str:
    """Some networks name two heads or stems."""
    return name if isinstance(name, str) else str(name[0])
