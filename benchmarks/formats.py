"""How fast a network read from a file runs, beside the module it was exported from."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH = 256
ROUNDS = 15


def _modules() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """The paper's Net1, a VGG-like CNN and the CIFAR ResNet-20, in evaluation."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.down = nn.Sequential()
            if stride > 1:
                conv = nn.Conv2d(before, width, 1, stride, bias=False)
                self.down = nn.Sequential(conv, nn.BatchNorm2d(width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            y += self.down(x)
            return self.relu(y)

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn = nn.BatchNorm2d(16)
            plan = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2
            plan += [(32, 64, 2)] + [(64, 64, 1)] * 2
            self.blocks = nn.Sequential(*(Block(*sides) for sides in plan))
            self.fc = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.blocks(F.relu(self.bn(self.conv(x))))
            return self.fc(x.mean((2, 3)))

    torch.manual_seed(0)
    dense: list[nn.Module] = [nn.Flatten()]
    for width in [784] + [200] * 11:
        dense += [nn.Linear(width, 200), nn.ELU()]
    maps: list[nn.Module] = []
    for before, width in ((3, 32), (32, 64), (64, 128)):
        maps += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True)]
        maps.append(nn.MaxPool2d(2))
    head = [nn.Linear(2048, 128), nn.ReLU(True), nn.Linear(128, 10)]
    return {
        "mlp": (nn.Sequential(*dense, nn.Linear(200, 10)).eval(), (1, 28, 28)),
        "cnn": (nn.Sequential(*maps, nn.Flatten(), *head).eval(), (3, 32, 32)),
        "resnet": (ResNet().eval(), (3, 32, 32)),
    }


def _alternate(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds of each, called in turns: what disturbs the machine disturbs both."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 1):
        for work, seconds in zip((one, other), took, strict=True):
            start = time.perf_counter()
            work()
            if turn:  # the first turn warms caches and allocator
                seconds.append(time.perf_counter() - start)
    return statistics.median(took[0]), statistics.median(took[1])


def run() -> dict[str, Any]:
    """Exports, reads back, and alternates both: forward without gradients, and with the input's.

    The ratios are those of batch 256 without gradients, as in recording; `with_gradient` repeats
    them for one forward and backward pass, as in an attack.
    """
    import torch

    from introspect.export import export
    from introspect.formats.network import GraphNetwork
    from introspect.formats.pt2 import read_pt2

    ratios, values = {}, {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (module, shape) in _modules().items():
            file = Path(folder, f"{name}.pt2")
            export(module, file, shape)
            start = time.perf_counter()
            graph, tensors = read_pt2(file)
            values[f"{name}_read_s"] = time.perf_counter() - start
            net = GraphNetwork(graph, tensors)
            module.requires_grad_(False)
            x = torch.rand(BATCH, *shape)

            def forward(network: Any, x: torch.Tensor = x) -> Callable[[], None]:
                def work() -> None:
                    with torch.inference_mode():
                        network(x)

                return work

            def both(network: Any, x: torch.Tensor = x) -> Callable[[], None]:
                def work() -> None:
                    at = x.clone().requires_grad_()
                    network(at).square().sum().backward()

                return work

            mine, eager = _alternate(forward(net), forward(module))
            ratios[f"{name}_graph_over_eager"] = mine / eager
            values[f"{name}_eager_s"] = eager
            mine, eager = _alternate(both(net), both(module))
            values[f"{name}_with_gradient"] = mine / eager
    goals = {what: {"value": 1.05, "op": "<="} for what in ratios}
    return {"name": "formats", "ratios": ratios, "goals": goals, "values": values}
