"""Source: the raw arrays behind whatever a person points at, a path or objects in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from introspect.datafile import (
    FIELDS,
    Columns,
    listed,
    open_zip,
    read_columns,
    read_head,
    read_idx_pair,
    read_npy,
)
from introspect.datasets import IDX_FILES
from introspect.errors import BadInput
from introspect.intake import shown
from introspect.pictures import (
    MAX_MEMBER,
    Stack,
    decode_picture,
    read_picture_folder,
    read_picture_zip,
)
from introspect.recipe import Recipe
from introspect.tables import read_csv

PARQUET = b"PAR1"
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM")
TABLES = (".csv", ".tsv", ".txt")


def read_path(path: Path, recipe: Recipe | None = None) -> Columns:
    """Arrays of a data file, of a folder of arrays or idx files, or of pictures by class.

    Args:
        recipe: what to do with tables, and pictures of many sizes.

    Raises:
        BadInput: there is nothing, or it cannot be read; one sentence says why.
    """
    if not path.is_dir():
        head = read_head(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if head.startswith(b"PK") and not holds_arrays(path):
            return read_picture_zip(path, recipe)
        if head.startswith(PARQUET):
            from introspect.parquet import read_parquet

            return read_parquet(path, recipe)
        if head.startswith(PICTURES) or head[8:12] == b"WEBP":
            return _read_picture(path, recipe or Recipe())
        if path.suffix.lower() in TABLES:
            return read_csv(path, recipe)
        return read_columns(path)
    if (path / "x.npy").exists():
        return _read_folder(path)
    pairs = [path / f"{IDX_FILES[i]}{end}" for i in (0, 2) for end in ("", ".gz")]
    found = [pair for pair in pairs if pair.exists()]
    if found:
        parts = [read_idx_pair(pair) for pair in found]
        split = np.repeat([2 * pair.name.startswith("t10k") for pair in found],
                          [len(part.x) for part in parts])  # fmt: skip
        labels = [part.y for part in parts if part.y is not None]
        y = np.concatenate(labels) if len(labels) == len(parts) else None
        whole = len(parts) == 2
        return Columns(np.concatenate([p.x for p in parts]), y, split if whole else None)
    if any(path.rglob("*.parquet")):
        from introspect.parquet import read_parquet_folder

        return read_parquet_folder(path, recipe)
    return read_picture_folder(path, recipe)


def _read_picture(path: Path, recipe: Recipe) -> Columns:
    if path.stat().st_size > MAX_MEMBER:
        raise BadInput(f"{path.name} is larger than {MAX_MEMBER >> 20} MB: make it smaller.")
    name = f"The picture {shown(path.name)}"
    stack = Stack(path.name, recipe)
    stack.add(decode_picture(path.read_bytes(), name), name)
    return Columns(stack.whole(), recipe=recipe)


def _read_folder(folder: Path) -> Columns:
    arrays = {
        name: read_npy(folder / f"{name}.npy")
        for name in ("x", "y", "split", "ids")
        if (folder / f"{name}.npy").exists()
    }
    classes, notes, recipe = None, (), Recipe()
    if (folder / "meta.json").exists():
        try:
            about = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            classes = [str(name) for name in about["classes"]] or None
            notes = tuple(str(note) for note in about.get("notes", ()))
            recipe = Recipe.parse(about.get("recipe", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"The meta.json in {folder.name} is damaged: save it again.") from error
    return Columns(**arrays, classes=classes, notes=notes, recipe=recipe)


def holds_arrays(path: Path) -> bool:
    """Whether a zip is an .npz, whatever it is called."""
    with open_zip(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def _read_safetensors(path: Path) -> Columns:
    from introspect.formats.safetensors import read_tensors

    return _pick(read_tensors(path), path.name)


def _pick(named: Mapping[str, Any], where: str) -> Columns:
    found = {
        field: next((_array(named[name]) for name in names if name in named), None)
        for field, names in FIELDS.items()
    }
    if found["x"] is None:
        raise BadInput(
            f"{where} holds {listed(named)} but no array named x: data need x (inputs) and y "
            "(labels)."
        )
    classes = None if found["classes"] is None else found["classes"].tolist()
    return Columns(found["x"], found["y"], found["split"], classes, found["ids"])


def _array(value: Any) -> np.ndarray:
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def read_memory(source: Any) -> Columns:
    """Arrays of `(x, y)`, `{"x": …, "y": …}`, x alone, a torch Dataset or a DataLoader.

    Raises:
        BadInput: it is none of these.
    """
    if isinstance(source, Mapping):
        return _pick(source, "The data")
    if isinstance(source, tuple | list) and len(source) == 2:
        return Columns(_array(source[0]), _array(source[1]))
    import torch

    if isinstance(source, torch.Tensor | np.ndarray):
        return Columns(_array(source))
    if isinstance(source, torch.utils.data.Dataset):
        source = torch.utils.data.DataLoader(source, batch_size=256)
    if isinstance(source, Iterable):
        pairs = [(_array(batch[0]), _array(batch[1])) for batch in source]
        if pairs:
            x, y = zip(*pairs, strict=True)
            return Columns(np.concatenate(x), np.concatenate(y))
    raise BadInput("Data are given as (x, y), a name, a path, a DataLoader or Samples.")
