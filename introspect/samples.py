"""Samples: labelled inputs, from a bundled name, a file, a folder, or arrays in memory."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64, UInt8

from introspect.datafile import Columns
from introspect.datasets import DATASETS, read_dataset
from introspect.errors import BadInput
from introspect.inputs import as_input
from introspect.intake import (
    check_ids,
    check_inputs,
    check_labels,
    check_names,
    check_several,
    check_split,
)
from introspect.plugin import Progress
from introspect.recipe import Recipe
from introspect.sheets import read_sheets
from introspect.source import read_memory, read_path

if TYPE_CHECKING:
    import torch

__all__ = [
    "SPLITS",
    "Samples",
    "as_input",
    "decode_upload",
    "load_samples",
    "make_samples",
    "save_samples",
    "stratified_split",
]

SPLITS = ("train", "validation", "test")
"""What the codes of `Samples.split` mean."""

_CHUNK = 1 << 24
_BUNDLES = {"mnist": "mnist-net1"}


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled inputs of a classifier; arrays are read-only and may be memory-mapped.

    `x` is uint8 `(n, c, h, w)`, where 0..255 stands for 0..1, or float32 `(n, *input)`.
    `y` is the class of each sample, -1 where it has none; `split` indexes `SPLITS`; `ids` name a
    sample for good (bundled sets: place in the official order, test pictures from 60,000 on).
    `notes` tell, in sentences, what the loader changed or left out; `recipe`, how files became
    these inputs, so that new ones are read alike.
    """

    x: np.ndarray
    y: Int64[np.ndarray, " n"]
    split: UInt8[np.ndarray, " n"]
    classes: tuple[str, ...]
    ids: Int64[np.ndarray, " n"]
    name: str
    notes: tuple[str, ...] = field(default=())
    recipe: Recipe = field(default=Recipe())

    def __post_init__(self) -> None:
        for name in ("x", "y", "split", "ids"):
            # a view, so that the caller's own array stays writable
            array = getattr(self, name).view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)

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

    @property
    def pictures(self) -> bool:
        """Whether the inputs can be shown: `(n, c, h, w)` with 1 or 3 channels."""
        return self.x.ndim == 4 and self.x.shape[1] in (1, 3)

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
        if split not in SPLITS:
            raise BadInput(f"There is no split {split!r}: choose train, validation or test.")
        rows = np.flatnonzero(self.split == SPLITS.index(split))
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            return self[int(rows[0]) : int(rows[-1]) + 1]
        return self[rows]

    def joined(self, test: Samples) -> Samples:
        """These samples for training and validation, with another set as the test split.

        Rows of these that were the test split become training rows; ids of `test` follow on.
        """
        if test.shape != self.shape or test.classes != self.classes:
            raise BadInput(
                f"The test data (inputs {test.shape}, {len(test.classes)} classes) do not fit the "
                f"data (inputs {self.shape}, {len(self.classes)} classes): make them alike."
            )
        same = self.x.dtype == test.x.dtype
        parts = [s.x if same else s.floats().numpy() for s in (self, test)]
        own = np.where(self.split == SPLITS.index("test"), SPLITS.index("train"), self.split)
        return Samples(
            x=np.concatenate(parts),
            y=np.concatenate([self.y, test.y]),
            split=np.concatenate([own, np.full(len(test), SPLITS.index("test"))]).astype(np.uint8),
            classes=self.classes,
            ids=np.concatenate([self.ids, self.ids.max() + 1 + np.arange(len(test))]),
            name=self.name,
            notes=(*self.notes, *test.notes),
            recipe=self.recipe,
        )

    def fitted(self, input_shape: Sequence[int], classes: Sequence[str] | int) -> Samples:
        """The same samples in the shape a model takes, with its class names.

        Changes nothing of a value: axes are regrouped, a grey picture is repeated for a colour
        model, a colour picture whose channels are equal loses two; classes that both name, in
        another order, are matched by name. A note says so.

        Args:
            input_shape: one input of the model, channels first.
            classes: the model's class names, or how many classes it has.

        Raises:
            BadInput: another size or number of channels, or a label the model has no class for.
        """
        names = self._names(classes)
        x, note = _fit_shape(self.x, tuple(int(side) for side in input_shape))
        y, renamed = _fit_names(self.y, self.classes, names)
        notes = (*self.notes, *(said for said in (note, renamed) if said))
        return replace(self, x=x, y=y, classes=names, notes=notes)

    def _names(self, classes: Sequence[str] | int) -> tuple[str, ...]:
        count = classes if isinstance(classes, int) else len(classes)
        highest = int(self.y.max(initial=-1))
        if highest >= count:
            row = int(self.y.argmax())
            raise BadInput(
                f"Sample {row} has the label {highest} ({self.classes[highest]}), but the model "
                f"tells {count} classes apart, 0 to {count - 1}: are these the model's data?"
            )
        if not isinstance(classes, int):
            return tuple(str(name) for name in classes)
        return (*self.classes, *(str(code) for code in range(len(self.classes), count)))[:count]

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 of inputs and labels: the same data have the same, wherever they came from."""
        digest = hashlib.sha256(repr((self.x.shape, self.x.dtype.str)).encode())
        step = max(1, _CHUNK // max(1, math.prod(self.shape)))
        for start in range(0, len(self), step):
            digest.update(np.ascontiguousarray(self.x[start : start + step]).data)
        digest.update(np.ascontiguousarray(self.y).data)
        return digest.hexdigest()


def _fit_names(
    y: np.ndarray, own: tuple[str, ...], names: tuple[str, ...]
) -> tuple[np.ndarray, str]:
    """Labels by name where the model knows every name of the data, but in another order."""
    if own == names[: len(own)] or not set(own) <= set(names):
        return y, ""
    places = np.array([*(names.index(name) for name in own), -1], np.int64)
    return places[y], "Classes were put into the model's order by their names."


def _fit_shape(x: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    own = x.shape[1:]
    if own == shape:
        return x, ""
    if math.prod(own) == math.prod(shape) and (1 in (len(own), len(shape)) or own[0] == 1):
        return x.reshape(len(x), *shape), ""
    if len(own) == len(shape) == 3 and own[1:] == shape[1:]:
        if own[0] == 1:
            return np.broadcast_to(x, (len(x), *shape)), "Grey pictures were given as colour."
        if own[0] == 3 and shape[0] == 1 and (x[:, :1] == x[:, 1:]).all():
            return x[:, :1], "Colour pictures without colour were given as grey."
        raise BadInput(
            f"The pictures have {own[0]} channels but the model takes {shape[0]}: convert them "
            "first (red, green and blue differ, so Introspect will not choose for you)."
        )
    what = "pictures are" if len(own) == 3 else "inputs are"
    raise BadInput(f"The {what} {_say(own)} but the model takes {_say(shape)}: are these its data?")


def _say(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return f"{shape[2]} x {shape[1]} with {shape[0]} channel{'s' * (shape[0] != 1)}"
    return " x ".join(str(side) for side in shape) + (" values" if len(shape) == 1 else "")


def load_samples(
    source: Any,
    *,
    split: str | None = None,
    classes: Sequence[str] | None = None,
    recipe: Recipe | None = None,
    on_bytes: Progress | None = None,
) -> Samples:
    """Labelled inputs, from wherever they are.

    Args:
        source: `mnist`, `fashion_mnist` or `cifar10`; the path of an .npz, .npy, idx, safetensors,
            parquet or CSV file, or of a folder or zip of pictures by class; arrays or tensors
            `(x, y)`, `{"x": …, "y": …}` or x alone; a DataLoader or Dataset; Samples. A name or
            path may end in `:train`, `:validation` or `:test`.
        split: keep this split only.
        classes: names of all classes, for data that do not tell or hold some of them only.
        recipe: which columns of a table are read, and how pictures are fitted to one size.
        on_bytes: told the progress of a download.

    Raises:
        BadInput: one sentence on what is wrong with the data and what to do.
    """
    if isinstance(source, Samples):
        return source.of(split) if split else source
    if not isinstance(source, str | Path):
        samples = make_samples(read_memory(source), classes=classes)
        return samples.of(split) if split else samples
    text = str(source)
    base, colon, suffix = text.rpartition(":")
    if colon and suffix in SPLITS:
        text, split = base, suffix
    name = text if text in DATASETS else Path(text).name.split(".")[0] or text
    if text in DATASETS:
        columns = read_dataset(text, _cache(), lambda: _bundled(text), on_bytes)
    else:
        columns = read_path(Path(text).expanduser(), recipe)
    samples = make_samples(columns, name=name, classes=classes)
    return replace(samples.of(split), name=f"{name}:{split}") if split else samples


def make_samples(
    columns: Columns, *, name: str = "data", classes: Sequence[str] | None = None
) -> Samples:
    """Samples from raw arrays, checked; without a split, 80/10/10 by class with seed 0.

    Args:
        columns: what a reader found.
        name: what to call them.
        classes: the names of all classes, for example a model's; the data may then lack some.
            Where the data name their own, equal names are matched.

    Raises:
        BadInput: as `check_inputs` and `check_labels`, or one class only and no `classes`.
    """
    x, notes = check_inputs(columns.x)
    n = len(x)
    own = columns.classes or columns.recipe.classes or None
    own = None if own is None else check_names([str(name) for name in own])
    y, names = check_labels(columns.y, n, classes if own is None else own)
    if classes is None and (own is None or len(names) == 1):
        check_several(y, names)
    if classes is not None and own is not None:
        given = tuple(str(name) for name in classes)
        y, note = _fit_names(y, names, given)
        y, names = check_labels(y, n, given)
        notes = (*notes, note) if note else notes
    split = stratified_split(y) if columns.split is None else check_split(columns.split, n)
    ids = np.arange(n) if columns.ids is None else check_ids(columns.ids, n)
    return Samples(x, y, split, names, ids, name, (*columns.notes, *notes), columns.recipe)


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


def save_samples(samples: Samples, folder: Path) -> None:
    """Writes the folder of plain arrays that `load_samples` maps into memory."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("x", "y", "split", "ids"):
        _write_npy(folder / f"{name}.npy", getattr(samples, name))
    about = {
        "classes": samples.classes,
        "name": samples.name,
        "notes": samples.notes,
        "fingerprint": samples.fingerprint,
        "recipe": samples.recipe.document(),
    }
    (folder / "meta.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _write_npy(path: Path, array: np.ndarray) -> None:
    """One .npy in pieces; numpy's own writer hides why a disk takes no more."""
    step = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(array), step):
            file.write(np.ascontiguousarray(array[start : start + step]).data)


def decode_upload(path: Path, folder: Path, chosen: str = "{}") -> dict[str, Any]:
    """What the quarantine child runs on an upload: any data file becomes `save_samples`' folder.

    The file's name carries no meaning here, so a name like "mnist" is never looked up.

    Args:
        chosen: a recipe, as JSON.
    """
    columns = read_path(path, Recipe.parse(json.loads(chosen)))
    samples = make_samples(columns, name=path.name.split(".")[0])
    save_samples(samples, folder)
    return {
        "n": len(samples),
        "shape": list(samples.shape),
        "notes": list(samples.notes),
        "classes": len(samples.classes),
        "labelled": int((samples.y >= 0).sum()),
    }


def _cache() -> Path:
    from introspect.store import cache_dir

    return cache_dir() / "datasets"


def _bundled(name: str) -> Columns | None:
    """The data set out of the bundled atlas whose lossless thumbnails are all of its pictures."""
    from introspect.bundled import sample_atlases
    from introspect.store import open_folder

    atlas = sample_atlases().get(_BUNDLES.get(name, ""))
    if atlas is None:
        return None
    import pyarrow.parquet as parquet

    version = open_folder(atlas)
    points = parquet.read_table(version / "points.parquet", columns=["id", "label", "split"])
    ids, y = (points[column].to_numpy() for column in ("id", "label"))
    names = points["split"].to_pylist()
    split = np.array([SPLITS.index(name) for name in names], np.uint8)
    order = np.argsort(ids, kind="stable")
    x = read_sheets(version / "thumbs")
    return Columns(x[order], y[order], split[order], DATASETS[name], ids[order])
