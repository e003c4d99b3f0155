"""Sizes in ONNX: lists known beforehand, or small tensors computed from the input's shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

Tensor = torch.Tensor
Sizes = Any
"""A list of numbers, or a tensor of them in main memory."""

ROOM = 2**28
"""Most elements that an operator may make of little."""

MADE = 2**24
"""Most elements that an operator may make of nothing, in main memory."""

LONGEST = 65_536
"""Longest list of sizes or places."""


def whole(sizes: Sizes) -> list[int]:
    """The numbers of a list or of a tensor, as whole ones."""
    if isinstance(sizes, Tensor) and sizes.numel() > LONGEST:
        raise ValueError(f"a list of {sizes.numel()} sizes is too long")
    given = sizes.reshape(-1).tolist() if isinstance(sizes, Tensor) else sizes
    return [int(v) for v in (given if isinstance(given, list) else [given])]


def room(sizes: Sequence[int], most: int = ROOM) -> list[int]:
    if any(side < 0 for side in sizes) or math.prod(sizes) > most:
        raise ValueError(f"a tensor of shape {list(sizes)} is too large")
    return list(sizes)


def beside(value: Any, other: Any) -> Any:
    """The value where the other is: sizes live in main memory, activations perhaps elsewhere."""
    if isinstance(value, Tensor) and isinstance(other, Tensor) and value.device != other.device:
        return value.to(other.device) if value.device.type == "cpu" else value
    return value
