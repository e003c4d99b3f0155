"""What arrays does a data file hold? npz, npy and idx, read without running anything."""

from __future__ import annotations

import gzip
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from introspect.errors import BadInput
from introspect.intake import MAX_CLASSES, shown
from introspect.recipe import Recipe

MAX_BYTES = 16 << 30
"""Largest array data taken from one file, in bytes after decompression."""

_FREE_BYTES = 64 << 20
_SIDE = 1 << 50
_MAX_RATIO = 300
# zipfile raises RuntimeError for a password and for methods it does not know
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError)
# numpy evaluates the header as a literal, which may be nested without end
_BAD_HEADER = (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, RecursionError,
               MemoryError)  # fmt: skip
FIELDS = {
    "x": ("x", "x_train", "images", "data", "arr_0"),
    "y": ("y", "y_train", "labels", "label", "target", "arr_1"),
    "split": ("split",),
    "classes": ("classes", "class_names"),
    "ids": ("ids", "id"),
}
"""The names under which a file may keep each array, best first."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Arrays as a file holds them, before `samples` checks and converts them."""

    x: np.ndarray
    y: np.ndarray | None = None
    split: np.ndarray | None = None
    classes: Sequence[str] | None = None
    ids: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    recipe: Recipe = Recipe()


def read_columns(path: Path) -> Columns:
    """Arrays of one .npz, .npy or idx(.gz) file, told apart by their first bytes.

    Raises:
        BadInput: the file is missing, empty, truncated, a bomb, or holds Python objects.
    """
    head = read_head(path)
    if head.startswith(b"PK"):
        return read_npz(path)
    if head.startswith(b"\x93NUMPY"):
        return read_npy_pair(path)
    if head.startswith(b"\x1f\x8b") or head.startswith(b"\x00\x00"):
        return read_idx_pair(path)
    raise BadInput(
        f"{path.name} is not a data file Introspect can read: give .npz, .npy, idx.gz or "
        ".safetensors arrays, or a folder or zip of pictures with one folder for each class."
    )


def read_head(path: Path, count: int = 16) -> bytes:
    """First bytes of a file; a missing or empty file is said in one sentence."""
    if not path.exists():
        raise BadInput(f"There is no file or folder {path}: check the name.")
    try:
        with path.open("rb") as file:
            head = file.read(count)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}.") from error
    if not head:
        raise BadInput(f"{path.name} is empty (0 bytes): save or upload it again.")
    return head


def check_sizes(name: str, packed: int, unpacked: int) -> None:
    """Refuses an archive that would unpack to far more than any honest data does.

    Args:
        name: the file, for the sentence.
        packed: its size on disk in bytes.
        unpacked: the sizes its directory declares, summed.
    """
    if unpacked > MAX_BYTES or (unpacked > _FREE_BYTES and unpacked > _MAX_RATIO * packed):
        raise BadInput(
            f"{name} ({packed:,} bytes) would unpack to {unpacked:,} bytes, which looks like a "
            "zip bomb: save the data without compression or in smaller files."
        )


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip whose damage, found at any time while it is open, is one sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise BadInput(f"{path.name} is damaged or cut short: save or upload it again.") from error


def read_npz(path: Path) -> Columns:
    """Arrays `x`, `y`, `split`, `classes`, `ids` of an .npz; stored ones are memory-mapped."""
    with open_zip(path) as archive:
        infos = archive.infolist()
        check_sizes(path.name, path.stat().st_size, sum(info.file_size for info in infos))
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        if len(members) < len(infos):
            raise BadInput(f"{path.name} holds two arrays of the same name: save it again.")
        found: dict[str, np.ndarray] = {}
        for field, names in FIELDS.items():
            key = next((name for name in names if name in members), None)
            if key is not None:
                found[field] = _read_member(path, archive, members[key])
        if "x" not in found:
            raise BadInput(
                f"{path.name} holds {listed(members)} but no array named "
                "x: save it with np.savez(file, x=inputs, y=labels)."
            )
        if "x_train" in members and "x" not in members and "x_test" in members:
            found = _join_parts(path, archive, members, found)
    classes = _as_names(found["classes"], path.name) if "classes" in found else None
    return Columns(found["x"], found.get("y"), found.get("split"), classes, found.get("ids"))


def listed(names: Iterable[str]) -> str:
    """The first few of the names that a file holds, for a sentence."""
    return ", ".join(shown(name, 30) for name in list(names)[:8]) or "nothing"


def _as_names(names: np.ndarray, where: str) -> list[str]:
    if names.dtype.kind not in "USiu" or names.ndim > 1:
        raise BadInput(f"The class names in {where} are no list of texts: save them as texts.")
    if names.size > MAX_CLASSES or names.dtype.itemsize > 1 << 16:
        raise BadInput(f"{where} names too many classes, or by endless names: check its classes.")
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "replace")
    return [str(name) for name in names.reshape(-1)]


def _join_parts(path, archive, members, found) -> dict[str, np.ndarray]:
    """Keras layout: x_train, y_train, x_test, y_test in one file become one set with a split."""
    test_x = _read_member(path, archive, members["x_test"])
    split = np.repeat(np.array([0, 2], np.uint8), [len(found["x"]), len(test_x)])
    joined = {**found, "x": np.concatenate([found["x"], test_x]), "split": split}
    if "y" in found and "y_test" in members:
        test_y = _read_member(path, archive, members["y_test"])
        joined["y"] = np.concatenate([found["y"], test_y])
    return joined


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    where = f"{shown(info.filename)} in {path.name}"
    with archive.open(info) as file:
        shape, fortran, dtype, start = _read_npy_header(file, where)
        _check_npy_size(where, shape, dtype, info.file_size - start)
        if info.compress_type == zipfile.ZIP_STORED and not fortran:
            return _map_member(path, info, start, shape, dtype)
        order = "F" if fortran else "C"
        body = file.read(info.file_size - start)
        return np.frombuffer(body, dtype).reshape(shape, order=order)


def _map_member(path, info, start, shape, dtype) -> np.ndarray:
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    offset = info.header_offset + 30 + int(lengths.sum()) + start
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape)


def _read_npy_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    try:
        version = np.lib.format.read_magic(file)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = reader(file)
    except _BAD_HEADER as error:
        raise BadInput(f"{where} is not a whole NumPy array: save or upload it again.") from error
    if dtype.hasobject:
        raise BadInput(
            f"{where} holds Python objects, which Introspect never unpickles: save it as a plain "
            "number array, for example with np.asarray(values, dtype='float32')."
        )
    if any(type(side) is not int or not 0 <= side < _SIDE for side in shape) or len(shape) > 8:
        raise BadInput(f"{where} says it has the shape {shown(shape)}: it is damaged.")
    if dtype.kind not in "buifcUSmM":
        raise BadInput(f"{where} holds records of type {shown(dtype)}: save plain numbers.")
    return shape, fortran, dtype, file.tell()


def _check_npy_size(where: str, shape: tuple[int, ...], dtype: np.dtype, size: int) -> None:
    declared = math.prod(shape) * dtype.itemsize
    if declared != size:
        raise BadInput(
            f"{where} says it holds {declared:,} bytes but {size:,} are there: the file is "
            "damaged or cut short, save or upload it again."
        )


def read_npy(path: Path) -> np.ndarray:
    """One .npy, memory-mapped read-only."""
    read_head(path)
    with path.open("rb") as file:
        shape, fortran, dtype, start = _read_npy_header(file, path.name)
    _check_npy_size(path.name, shape, dtype, path.stat().st_size - start)
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def read_npy_pair(path: Path) -> Columns:
    """x.npy with the labels beside it: y.npy, <name>_labels.npy or labels.npy, when there."""
    stem = path.stem
    names = [f"{stem}_labels.npy", f"{stem}-labels.npy", "labels.npy"]
    if stem.lower().startswith("x"):
        names.insert(0, ("y" if stem[0] == "x" else "Y") + stem[1:] + ".npy")
    beside = next((path.with_name(n) for n in names if path.with_name(n).exists()), None)
    return Columns(read_npy(path), read_npy(beside) if beside and beside != path else None)


def read_idx(path: Path) -> np.ndarray:
    """One idx or idx.gz file of unsigned bytes (LeCun's format: big-endian sizes, then values)."""
    head = read_head(path)
    opener = gzip.open if head.startswith(b"\x1f\x8b") else open
    try:
        with opener(path, "rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != 8 or not 1 <= magic[3] <= 4:
                raise BadInput(f"{path.name} is not an idx file of unsigned bytes: check the file.")
            shape = tuple(int(v) for v in np.frombuffer(file.read(4 * magic[3]), ">u4"))
            size = math.prod(shape)
            check_sizes(path.name, path.stat().st_size, size)
            body = file.read(size + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadInput(f"{path.name} is damaged or cut short: download it again.") from error
    if len(body) != size or len(shape) != magic[3]:
        raise BadInput(
            f"{path.name} should hold {size:,} values but does not: the file is damaged or cut "
            "short, download it again."
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def read_idx_pair(path: Path) -> Columns:
    """Pictures of an idx file with the labels found beside it by the usual naming."""
    x = read_idx(path)
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for beside in (path.with_name(name), path.with_name(f"{name}.gz")):
        if beside.exists() and beside.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            return Columns(x, read_idx(beside))
    return Columns(x)
