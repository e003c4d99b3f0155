"""Where are MNIST, Fashion-MNIST and CIFAR-10? On this machine, in the bundle, or on a mirror."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from introspect.datafile import Columns, read_idx
from introspect.errors import BadInput

DATASETS = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer",
        "dog", "frog", "horse", "ship", "truck",
    ),
}  # fmt: skip
"""Name of every data set known by name, and its class names."""

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip


def read_dataset(name: str) -> Columns:
    """All of a data set in official order, test pictures last, split as DESIGN.md says.

    Raises:
        BadInput: it is nowhere on this machine and cannot be downloaded; the sentence says where
            to put the files.
    """
    root = os.environ.get("INTROSPECT_DATA")
    folder = Path(root) / name if root else None
    if folder is None or not folder.exists():
        raise BadInput(f"{name} is not on this machine.")
    if name == "cifar10":
        x, y, train = _read_mosaics(folder)
    else:
        parts = [read_idx(_either(folder, part)) for part in _IDX]
        x = np.concatenate([parts[0], parts[2]])[:, None]
        y = np.concatenate([parts[1], parts[3]]).astype(np.int64)
        train = len(parts[0])
    return Columns(x, y, official_split(train, len(x)), DATASETS[name], np.arange(len(x)))


def official_split(train: int, total: int) -> np.ndarray:
    """Split of each row: 5,000 of the training rows, drawn with seed 0, are for validation."""
    split = np.zeros(total, np.uint8)
    split[train:] = 2
    split[np.random.default_rng(0).permutation(train)[:5000]] = 1
    return split


def _either(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else folder / f"{name}.gz"


def _read_mosaics(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    from PIL import Image

    def read(name: str) -> np.ndarray:
        sheet = np.asarray(Image.open(folder / name).convert("RGB"))
        tiles = sheet.reshape(-1, 32, 100, 32, 3).transpose(0, 2, 4, 1, 3)
        return tiles.reshape(-1, 3, 32, 32)

    names = [*(f"train_{i}.webp" for i in range(1, 6)), "test.webp"]
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        y = np.concatenate([labels["y_train"], labels["y_test"]]).astype(np.int64)
    return np.concatenate([read(name) for name in names]), y, 50_000
