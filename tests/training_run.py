"""Snapshots of a training without the time of one: weights on the way from chance to the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

STEPS = (0, 20, 100, 900, 1000)
"""In another order by their digits than by their letters."""


def weights_on_the_way(module: nn.Module, share: float) -> dict[str, torch.Tensor]:
    """Weights between seeded random ones (share 0) and those of the module (share 1)."""
    generator = torch.Generator().manual_seed(7)
    found = {}
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            start = torch.randn(value.shape, generator=generator) * 0.05
            if name.endswith("running_var"):
                start = 1 + start.abs()
            value = start * (1 - share) + value * share if share < 1 else value
        found[name] = value.clone()
    return found


def write_run(module: nn.Module, folder: Path, steps: Sequence[int] = STEPS) -> Path:
    """A folder of checkpoints, the last one the module itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, step in enumerate(steps):
        share = i / (len(steps) - 1)
        save_file(weights_on_the_way(module, share), folder / f"net3-step{step}.safetensors")
    return folder
