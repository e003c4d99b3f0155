"""Which inputs of an atlas are at hand: all of them, or those that travelled along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from introspect.datasets import DATASETS, is_at_hand
from introspect.errors import BadInput
from introspect.samples import Samples, load_samples
from introspect.sheets import read_about, read_sheets, write_sheets
from introspect.store import cache_dir

ROWS = "rows.npy"


@dataclass(frozen=True, eq=False)
class Kept:
    """Rows of an atlas, ascending, and the samples of just these rows, in that order."""

    rows: Int64[np.ndarray, " m"]
    samples: Samples

    def __post_init__(self) -> None:
        self.rows.setflags(write=False)

    def __len__(self) -> int:
        return len(self.rows)

    def mask(self, n: int) -> Bool[np.ndarray, " n"]:
        """Which of n rows are among these."""
        found = np.zeros(n, bool)
        found[self.rows] = True
        return found

    def places(self, rows: Any) -> Int64[np.ndarray, " m"]:
        """Where rows of the atlas stand among these.

        Raises:
            BadInput: the input of one of them is not at hand.
        """
        rows = np.atleast_1d(np.asarray(rows, np.int64))
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        missing = rows[self.rows[places] != rows]
        if len(missing):
            name = self.samples.name
            where = f"put {name} on this machine" if name in DATASETS else "build the atlas here"
            raise BadInput(
                f"Only {len(self):,} inputs of this atlas travelled along, and that of row "
                f"{int(missing[0])} did not: choose a test sample, or {where} to have them all."
            )
        return places


def keep_rows(samples: Samples, rows: Int64[np.ndarray, " m"], folder: Path) -> None:
    """Writes the samples of some rows, which lose nothing, as `read_kept` finds them."""
    chosen = samples[rows]
    if chosen.pictures and chosen.x.dtype == np.uint8:
        write_sheets(chosen, folder, lossless=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "x.npy", chosen.x, allow_pickle=False)
    np.save(folder / ROWS, np.asarray(rows, np.int64), allow_pickle=False)


def read_kept(folder: Path, count: int) -> tuple[Int64[np.ndarray, " m"], np.ndarray] | None:
    """Rows and inputs in the version folder of an atlas of `count` rows; None without inputs.

    Raises:
        BadInput: the files are damaged or contradict each other.
    """
    own, thumbs = folder / "samples", folder / "thumbs"
    if (own / "thumbs.json").exists():
        x = _pictures(own, count)
    elif (own / "x.npy").exists():
        x = _mapped(own / "x.npy")
    elif (thumbs / "thumbs.json").exists() and read_about(thumbs)["lossless"]:
        x = _pictures(thumbs, count)
    else:
        return None
    rows = np.arange(count)
    if (own / ROWS).exists():
        rows = _mapped(own / ROWS)
    # ascending rows are no more than there are; this bounds what is read of a stranger's list
    fine = rows.ndim == 1 and rows.dtype == np.int64 and x.ndim > 0
    fine = fine and len(rows) == len(x) and 0 < len(rows) <= count
    rows = np.array(rows) if fine else rows
    if not fine or rows[0] < 0 or rows[-1] >= count or (np.diff(rows) <= 0).any():
        raise BadInput("The atlas has other inputs than rows: build or download it again.")
    return rows, x


def _pictures(folder: Path, count: int) -> np.ndarray:
    """The tiles of some sheets, no more than there are rows: blank sheets are small and many."""
    if read_about(folder)["count"] > count:
        raise BadInput("The atlas has other inputs than rows: build or download it again.")
    return read_sheets(folder)


def _mapped(file: Path) -> np.ndarray:
    """An array of plain numbers as the file has it; nothing is read yet.

    Raises:
        BadInput: it is none, or cut short.
    """
    try:
        with file.open("rb") as stream:
            # of a zip, `load` would make something else than an array
            whole = stream.read(6) == b"\x93NUMPY"
        array = np.load(file, mmap_mode="r", allow_pickle=False) if whole else None
    except (ValueError, EOFError, OSError, OverflowError, TypeError, SyntaxError) as error:
        raise BadInput("The list of inputs in this atlas is damaged: build it again.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise BadInput("The list of inputs in this atlas is damaged: build it again.")
    return array


def find_rest(
    kept: Kept, name: str, fingerprint: str, make: Callable[[Samples], Samples], count: int
) -> Kept:
    """All rows instead of some, where they are of a known data set that lies on this machine.

    Args:
        name: of the data set the atlas was built from.
        fingerprint: that its samples must have, so that no other data slip in.
        make: brings the loaded samples into the shape of the network.
    """
    if len(kept) == count or name not in DATASETS or not is_at_hand(name, cache_dir() / "datasets"):
        return kept
    try:
        whole = make(load_samples(name))
    except BadInput:
        return kept
    if len(whole) != count or whole.fingerprint != fingerprint:
        return kept
    return Kept(np.arange(count), whole)


def as_floats(kept: Kept | None, rows: Any) -> Float32[torch.Tensor, " m *input"]:
    """Inputs of rows of the atlas as a classifier takes them: a float32 tensor `m *input`.

    Raises:
        BadInput: the atlas came without inputs, or without those.
    """
    if kept is None:
        raise BadInput("This atlas came without its inputs, so nothing can be run on its samples.")
    return kept.samples.floats(kept.places(rows))
