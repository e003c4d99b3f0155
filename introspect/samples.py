"""Samples: labelled inputs, from a bundled name, a file, a folder, or arrays in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64, UInt8

from introspect.datafile import Columns, read_columns
from introspect.datasets import DATASETS, read_dataset
from introspect.errors import BadInput

if TYPE_CHECKING:
    import torch

SPLITS = ("train", "validation", "test")
"""What the codes of `Samples.split` mean."""

_CHUNK = 1 << 24


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled inputs of a classifier; arrays are read-only and may be memory-mapped.

    `x` is uint8 `(n, c, h, w)`, where 0..255 stands for 0..1, or float32 `(n, *input)`.
    `y` is the class of each sample, -1 where it has none; `split` indexes `SPLITS`; `ids` name a
    sample for good (bundled sets: place in the official order, test pictures from 60,000 on).
    `notes` tell, in sentences, what the loader changed or left out.
    """

    x: np.ndarray
    y: Int64[np.ndarray, " n"]
    split: UInt8[np.ndarray, " n"]
    classes: tuple[str, ...]
    ids: Int64[np.ndarray, " n"]
    name: str
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for array in (self.x, self.y, self.split, self.ids):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> Samples:
        """The chosen rows (slice, indices or mask) as Samples; a slice copies nothing."""
        if isinstance(rows, int | np.integer):
            rows = [rows]
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
        return replace(
            self, x=self.x[rows], y=self.y[rows], split=self.split[rows], ids=self.ids[rows]
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        return self.x.shape[1:]

    def floats(self, rows: Any = slice(None)) -> torch.Tensor:
        """Inputs as a classifier takes them: float32 `(m, *input)`, pictures in [0, 1]."""
        import torch

        chosen = self.x[rows]
        if chosen.dtype == np.uint8:
            return torch.from_numpy(np.array(chosen)).to(torch.float32).div_(255)
        return torch.from_numpy(np.array(chosen, np.float32))

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """All inputs in order, at most `size` at a time, as `floats`."""
        for start in range(0, len(self), size):
            yield self.floats(slice(start, start + size))

    def of(self, split: str) -> Samples:
        """The samples of one split: "train", "validation" or "test"."""
        rows = np.flatnonzero(self.split == _code(split))
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            return self[int(rows[0]) : int(rows[-1]) + 1]
        return self[rows]

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 of inputs and labels: the same data have the same, wherever they came from."""
        digest = hashlib.sha256(repr((self.x.shape, self.x.dtype.str)).encode())
        step = max(1, _CHUNK // max(1, int(np.prod(self.shape))))
        for start in range(0, len(self), step):
            digest.update(np.ascontiguousarray(self.x[start : start + step]))
        digest.update(np.ascontiguousarray(self.y))
        return digest.hexdigest()


def _code(split: str) -> int:
    if split not in SPLITS:
        raise BadInput(f"There is no split {split!r}: choose train, validation or test.")
    return SPLITS.index(split)


def load_samples(
    source: str | Path | Samples,
    *,
    split: str | None = None,
    classes: Sequence[str] | None = None,
) -> Samples:
    """Labelled inputs by name (`mnist`, `mnist:test`) or from a file.

    Args:
        source: a bundled name, a path, or Samples; `:train`, `:validation`, `:test` choose a split.
        split: keep this split only.
        classes: class names, when the data do not tell.
    """
    if isinstance(source, Samples):
        return source.of(split) if split else source
    text = str(source)
    base, colon, suffix = text.rpartition(":")
    if colon and suffix in SPLITS:
        text, split = base, suffix
    if text in DATASETS:
        columns = read_dataset(text)
        name = text
    else:
        columns = read_columns(Path(text).expanduser())
        name = Path(text).stem
    samples = make_samples(columns, name=name, classes=classes)
    if split:
        return replace(samples.of(split), name=f"{name}:{split}")
    return samples


def make_samples(
    columns: Columns, *, name: str = "data", classes: Sequence[str] | None = None
) -> Samples:
    """Checks raw arrays and makes them Samples."""
    x = columns.x
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.dtype != np.uint8:
        x = np.asarray(x, np.float32)
    n = len(x)
    y = np.full(n, -1) if columns.y is None else np.asarray(columns.y).astype(np.int64)
    names = classes or columns.classes or tuple(str(i) for i in range(int(y.max()) + 1))
    split = stratified_split(y) if columns.split is None else np.asarray(columns.split, np.uint8)
    ids = np.arange(n) if columns.ids is None else np.asarray(columns.ids, np.int64)
    return Samples(x, y, split, tuple(names), ids, name, columns.notes)


def stratified_split(y: Int64[np.ndarray, " n"], seed: int = 0) -> UInt8[np.ndarray, " n"]:
    """Seeded 80/10/10 split with the classes balanced between the parts."""
    rng = np.random.default_rng(seed)
    split = np.zeros(len(y), np.uint8)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        tenth = round(len(rows) / 10)
        split[rows[:tenth]] = 1
        split[rows[tenth : 2 * tenth]] = 2
    return split
