"""The residual network behind both families: for large pictures and for those of CIFAR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from introspect.architectures.base import Network, Shapes

EXPANSION = 4
BLOCKS, STAGES = 200, 8


class Padded(nn.Module):
    """A shortcut without weights: every second position, new channels filled with zeros."""

    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.stride, self.before = stride, (made - given) // 2
        self.after = made - given - self.before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


class Block(nn.Module):
    """Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1 (bottleneck), beside a shortcut."""

    def __init__(self, given: int, width: int, stride: int, bottleneck: bool, shortcut: str):
        super().__init__()
        made = width * EXPANSION if bottleneck else width
        shapes = [(given, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            shapes = [(given, width, 1, 1), (width, width, 3, stride), (width, made, 1, 1)]
        self.count, self.shortcut_name = len(shapes), ""
        for number, (i, o, side, step) in enumerate(shapes, 1):
            self.add_module(f"conv{number}", nn.Conv2d(i, o, side, step, side // 2, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(o))
            self.add_module(f"relu{number}", nn.ReLU())
        if stride != 1 or given != made:
            self.shortcut_name = shortcut if shortcut != "pad" else "shortcut"
            self.add_module(
                self.shortcut_name,
                Padded(given, made, stride)
                if shortcut == "pad"
                else nn.Sequential(
                    nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made)
                ),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self._modules
        given = x
        for number in range(1, self.count + 1):
            x = parts[f"bn{number}"](parts[f"conv{number}"](x))  # type: ignore[misc]
            if number == self.count:
                x = x + (parts[self.shortcut_name](given) if self.shortcut_name else given)  # type: ignore[misc]
            x = parts[f"relu{number}"](x)  # type: ignore[misc]
        return x


class ResidualNetwork(Network):
    """He et al. 2015, Deep residual learning; stride on the 3 x 3 convolution as in torchvision.

    Args:
        channels: of the pictures.
        stem: filters and side of the first convolution; side 7 is followed by a pooling by two.
        widths: of every stage; all but the first halve the positions.
        blocks: how many in every stage.
        bottleneck: whether blocks have three convolutions, the last four times as wide.
        shortcut: name of the convolution beside a block that changes size, or "pad" for none.
        head: name of the last layer.
    """

    def __init__(
        self,
        channels: int,
        stem: Sequence[int],
        widths: Sequence[int],
        blocks: Sequence[int],
        bottleneck: bool,
        shortcut: str,
        head: str,
        classes: int,
    ) -> None:
        super().__init__()
        self.settings = {
            "channels": channels,
            "stem": list(stem),
            "widths": list(widths),
            "blocks": list(blocks),
            "bottleneck": bottleneck,
            "shortcut": shortcut,
            "head": head,
            "classes": classes,
        }
        if shortcut not in ("downsample", "shortcut", "pad") or head not in ("fc", "linear"):
            raise ValueError("unknown name of a shortcut or head")
        if len(blocks) > STAGES or max(blocks) > BLOCKS or len(blocks) != len(widths):
            raise ValueError("too many blocks")
        given, side = stem
        large = side == 7
        self.conv1 = nn.Conv2d(channels, given, side, 2 if large else 1, side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(given)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages: list[str] = []
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
            stage = nn.Sequential()
            for at in range(count):
                stride = 2 if number > 1 and at == 0 else 1
                stage.append(Block(given, width, stride, bottleneck, shortcut))
                given = width * EXPANSION if bottleneck else width
            self.add_module(f"layer{number}", stage)
            self.stages.append(f"layer{number}")
        self.head = head
        self.add_module(head, nn.Linear(given, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = self._modules[stage](x)  # type: ignore[misc]
        return self._modules[self.head](x.mean((2, 3)))  # type: ignore[misc]


def read_residual(shapes: Shapes) -> dict[str, Any] | None:
    """The settings that the shapes tell; None where there are no stages of blocks."""
    counts: dict[int, int] = {}
    for name in shapes:
        found = re.match(r"layer([1-8])\.(\d{1,3})\.conv1\.weight$", name)
        if found:
            stage, block = int(found[1]), int(found[2])
            counts[stage] = max(counts.get(stage, 0), min(block, BLOCKS - 1) + 1)
    stem = shapes.get("conv1.weight", ())
    stages = sorted(counts)
    if len(stem) != 4 or not stages or stages != list(range(1, len(stages) + 1)):
        return None
    head = "linear" if "linear.weight" in shapes else "fc"
    shortcuts = [
        word
        for word in ("downsample", "shortcut")
        if any(f".{word}.0.weight" in name for name in shapes)
    ]
    widths = [_side(shapes, f"layer{stage}.0.conv1.weight") for stage in stages]
    return {
        "channels": max(1, stem[1]),
        "stem": [max(1, stem[0]), stem[2]],
        "widths": widths,
        "blocks": [counts[stage] for stage in stages],
        "bottleneck": "layer1.0.conv3.weight" in shapes,
        "shortcut": shortcuts[0] if shortcuts else "pad",
        "head": head,
        "classes": _side(shapes, f"{head}.weight"),
    }


def _side(shapes: Shapes, name: str) -> int:
    shape = shapes.get(name, ())
    return max(1, shape[0]) if shape else 1
