"""What many tests share: scikit-learn's real digits, and two small classifiers of them.

torch and the package are imported where needed: tests of plain files start without them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from torch import Tensor, nn

    from introspect.atlas import Atlas
    from introspect.classifier import Classifier
    from introspect.samples import Samples

# Before torch is imported: idle threads that spin on two cores hold up the working one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

install_import_hook("introspect", "annotations.check")

CLASSES = tuple(str(digit) for digit in range(10))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop in this thread, others start one."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture(scope="session")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the user's data and cache folders during the tests."""
    return tmp_path_factory.mktemp("introspect-home")


@pytest.fixture(scope="session", autouse=True)
def isolated(own_home: Path) -> Iterator[None]:
    """No test reads or writes the atlases and the cache of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTROSPECT_HOME", str(own_home / "library"))
        patch.setenv("INTROSPECT_CACHE", str(own_home / "cache"))
        yield


@pytest.fixture(scope="session")
def digits() -> Samples:
    """1,797 digits of 8 x 8 grey values, split 1,200 / 297 / 300 (train, validation, test)."""
    from sklearn.datasets import load_digits

    from introspect.samples import SPLITS, Samples

    found = load_digits()
    x = np.round(found.images * (255 / 16)).astype(np.uint8)[:, None]
    y = found.target.astype(np.int64)
    split = np.zeros(len(y), np.uint8)
    order = np.random.default_rng(0).permutation(len(y))
    split[order[1200:1497]] = SPLITS.index("validation")
    split[order[1497:]] = SPLITS.index("test")
    ids = np.arange(len(y), dtype=np.int64)
    return Samples(x=x, y=y, split=split, classes=CLASSES, ids=ids, name="digits")


def half_squared_error(logits: Tensor, y: Tensor) -> Tensor:
    """½‖y − σ(o)‖² of a batch, the loss of the paper's Net1."""
    from torch import nn

    wanted = nn.functional.one_hot(y, logits.shape[1]).float()
    return 0.5 * (wanted - logits.sigmoid()).square().sum(1).mean()


def train(
    module: nn.Sequential,
    samples: Samples,
    loss: Callable[[Tensor, Tensor], Tensor],
    epochs: int,
    seed: int,
) -> nn.Sequential:
    """The module after a short training on the train split, in evaluation mode.

    A loop of its own: the tests of `introspect.training` must not stand on `introspect.training`.
    """
    import torch

    part = samples.of("train")
    x, y = part.floats(), torch.from_numpy(np.array(part.y))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    module.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(64):
            optimiser.zero_grad(set_to_none=True)
            loss(module(x[rows]), y[rows]).backward()
            optimiser.step()
    return module.eval()


@pytest.fixture(scope="session")
def mlp(digits: Samples) -> Classifier:
    """Three hidden layers of 32 ELU units with sigmoid outputs: the paper's Net1, small."""
    import torch
    from torch import nn

    from introspect.classifier import Classifier

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.ELU(),
            nn.Linear(32, 32),
            nn.ELU(),
            nn.Dropout(0.1),
            nn.Linear(32, 32),
            nn.ELU(),
            nn.Linear(32, 10),
        )
        train(module, digits, half_squared_error, epochs=20, seed=1)
    return Classifier.of(module, input_shape=(1, 8, 8), classes=CLASSES, link="sigmoid")


@pytest.fixture(scope="session")
def cnn(digits: Samples) -> Classifier:
    """Two small convolutions with batch normalisation and softmax outputs."""
    import torch
    from torch import nn

    from introspect.classifier import Classifier

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        )
        train(module, digits, nn.functional.cross_entropy, epochs=8, seed=2)
    return Classifier.of(module, input_shape=(1, 8, 8), classes=CLASSES, link="softmax")


@pytest.fixture(scope="session")
def atlas(mlp: Classifier, digits: Samples, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The map of the small network's 1,797 digits, saved and read again."""
    from introspect.atlas import Atlas
    from introspect.building import build_atlas

    folder = tmp_path_factory.mktemp("atlas") / "digits.atlas"
    build_atlas(mlp, digits, name="digits", epochs=60).save(folder)
    return Atlas.load(folder)
