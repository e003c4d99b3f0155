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
    open_zip,
    read_columns,
    read_head,
    read_idx_pair,
    read_npy,
)
from introspect.datasets import IDX_FILES
from introspect.errors import BadInput
from introspect.pictures import read_picture_folder, read_picture_zip


def read_path(path: Path) -> Columns:
    """Arrays of a data file, of a folder of arrays or idx files, or of pictures by class.

    Raises:
        BadInput: there is nothing, or it cannot be read; one sentence says why.
    """
    if not path.is_dir():
        head = read_head(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if head.startswith(b"PK") and not _holds_arrays(path):
            return read_picture_zip(path)
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
    return read_picture_folder(path)


def _read_folder(folder: Path) -> Columns:
    arrays = {
        name: read_npy(folder / f"{name}.npy")
        for name in ("x", "y", "split", "ids")
        if (folder / f"{name}.npy").exists()
    }
    classes, notes = None, ()
    if (folder / "meta.json").exists():
        try:
            about = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            classes = [str(name) for name in about["classes"]] or None
            notes = tuple(str(note) for note in about.get("notes", ()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"The meta.json in {folder.name} is damaged: save it again.") from error
    return Columns(**arrays, classes=classes, notes=notes)


def _holds_arrays(path: Path) -> bool:
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
            f"{where} holds {', '.join(list(named)[:8]) or 'nothing'} but no array named x: data "
            "need x (inputs) and y (labels)."
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
