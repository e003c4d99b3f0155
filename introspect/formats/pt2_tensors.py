"""The tensors of a .pt2 file: raw bytes of members, seen in the shape that the file states."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.graph import WEIGHTS

SIDE = 2**40
STRIDED = 7
PAYLOAD = re.compile(r"(weight|tensor|constant)_[0-9]{1,9}")
AGAIN = 'export it again with "introspect export my_module:build model.pt2"'

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip


def read_payloads(
    path: Path,
    archive: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    folder: str,
    config: Mapping[str, Any],
) -> dict[str, torch.Tensor]:
    """Tensors by their name in the module; each is a view of the raw bytes of a member."""
    if len(config) > WEIGHTS:
        raise BadInput(f"{path.name} lists {len(config):,} tensors; at most {WEIGHTS:,} are read.")
    raw: dict[tuple[str, torch.dtype], torch.Tensor] = {}
    found = {}
    for name, entry in config.items():
        payload, shown = entry["path_name"], str(name)[:80]
        if entry["use_pickle"] is not False or not PAYLOAD.fullmatch(payload):
            raise BadInput(
                f'{path.name} keeps "{shown}" as a Python object, which could run code when read, '
                "so Introspect refuses it; save plain tensors only."
            )
        meta = entry["tensor_meta"]
        kind = DTYPES.get(meta["dtype"])
        if kind is None or meta["layout"] != STRIDED:
            raise BadInput(f'{path.name}: the tensor "{shown}" is of a type that is not read.')
        size, stride = [_whole(v) for v in meta["sizes"]], [_whole(v) for v in meta["strides"]]
        offset = _whole(meta["storage_offset"])
        if len(size) != len(stride) or len(size) > 8:
            raise BadInput(f'{path.name}: the tensor "{shown}" has an impossible shape.')
        key = (payload, kind)
        if key not in raw:
            raw[key] = _read_raw(path, archive, members.get(folder + payload), kind)
        count = math.prod(size)
        reach = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        # More elements than bytes are a view that repeats itself: small here, huge when copied.
        if count and (reach >= raw[key].numel() or count > raw[key].numel()):
            raise BadInput(
                f'{path.name}: the tensor "{shown}" is larger than what is stored of it; {AGAIN}.'
            )
        view = raw[key].as_strided(size, stride, offset) if count else raw[key].new_zeros(size)
        if view.is_floating_point() and not torch.isfinite(view).all():
            if entry.get("is_param"):
                raise BadInput(
                    f'{path.name}: the weights "{shown}" contain NaN or infinite values; the '
                    "training went wrong or the file is damaged."
                )
        found[str(name)] = view
    return found


def _whole(value: Any) -> int:
    """A size that is a plain number; expressions are never evaluated."""
    number = value["as_int"]
    if type(number) is not int or not 0 <= number < SIDE or len(value) != 1:
        raise ValueError("size")
    return number


def _read_raw(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo | None, kind: torch.dtype
) -> torch.Tensor:
    if member is None:
        raise BadInput(f"{path.name} is incomplete: a tensor is missing; {AGAIN}.")
    if member.file_size % kind.itemsize:
        raise BadInput(f"{path.name} is damaged: a tensor is cut short; {AGAIN}.")
    if not member.file_size:
        return torch.empty(0, dtype=kind)
    return torch.frombuffer(bytearray(archive.read(member)), dtype=kind)
