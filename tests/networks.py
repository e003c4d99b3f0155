"""Small networks and samples for tests, and what a recording of them wrote."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from introspect.atlas import Atlas
from introspect.samples import Samples


def seeded(make):
    """The module that `make()` gives under a fixed seed, without touching the global one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


class Functional(nn.Module):
    """Activations as functions, as methods, as a shared in-place module, and tied linear layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.shared = nn.ReLU(inplace=True)
        self.first = nn.Linear(4, 6)
        self.tied = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.shared(self.first(x.mean((2, 3))))
        x = self.shared(self.tied(x))
        x = torch.tanh_(self.tied(x))
        return self.last(self.first(x[:, :4]).sigmoid())


class Wrapped(nn.Module):
    """Calls a function of a module and a tensor, to build one odd network a line."""

    def __init__(self, forward, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.call = forward

    def forward(self, x):
        return self.call(self, x)


def small(*tail: nn.Module) -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.ELU(), nn.Linear(5, 3), *tail))


def table_atlas() -> Atlas:
    """A table of six columns and two classes, and a small network that reads it."""
    from introspect.building import build_atlas
    from introspect.classifier import Classifier
    from introspect.samples import load_samples

    x = np.random.default_rng(0).random((160, 6)).astype(np.float32)
    module = seeded(lambda: nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2)))
    samples = load_samples((x, (x.sum(1) > 3).astype(np.int64)))
    classifier = Classifier.of(module, input_shape=(6,), classes=samples.classes, link="softmax")
    return build_atlas(classifier, samples, name="rows", epochs=2)


def make_samples(x: np.ndarray, y: np.ndarray | None = None) -> Samples:
    """Samples of given inputs whose ids start at 1000."""
    n = len(x)
    return Samples(
        x=x,
        y=np.zeros(n, np.int64) if y is None else y,
        split=np.zeros(n, np.uint8),
        classes=("0", "1", "2"),
        ids=np.arange(n, dtype=np.int64) + 1000,
        name="made",
    )


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every array of a recording."""
    return {
        a: hashlib.sha256((folder / f"{a}.npy").read_bytes()).hexdigest()
        for a in ("h", "logits", "outputs", "y")
    }
