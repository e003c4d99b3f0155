"""Safetensors files: the header is checked first, then the weights fill a module."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from torch import nn

from introspect.errors import BadInput

HEADER_BYTES = 8 * 2**20
TENSORS = 100_000
SIDE = 2**40
SIZES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


def check_header(file: str | Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name to (dtype, shape) of every tensor, read with the standard library alone.

    The library itself reads 900,000 one-element tensors for two minutes and believes a side of
    2^62; hence caps on the header's bytes, the count and the sides.

    Raises:
        BadInput: the file is missing, empty, cut short, not safetensors, or over a cap.
    """
    path = Path(file)
    if not path.is_file():
        raise BadInput(f"There is no weights file {path.name}; check the path.")
    size = path.stat().st_size
    if size == 0:
        raise BadInput(f"{path.name} is empty; export the weights again.")
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        # a header of 128 bytes starts with 0x80 too, so only an impossible length is a pickle's
        if length > HEADER_BYTES and (start[:2] == b"PK" or start[:1] == b"\x80"):
            raise BadInput(
                f"{path.name} is a PyTorch pickle, which could run code when read; "
                "save the weights with safetensors.torch.save_file."
            )
        if not 2 <= length <= min(HEADER_BYTES, size - 8):
            what = "is cut short" if 2 <= length <= HEADER_BYTES else "is not a safetensors file"
            raise BadInput(f"{path.name} {what}; export the weights again.")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        shapes = {
            name: (str(entry["dtype"]), tuple(entry["shape"]), tuple(entry["data_offsets"]))
            for name, entry in entries.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path.name} has a damaged header; export the weights again.") from error
    if len(shapes) > TENSORS:
        raise BadInput(f"{path.name} lists {len(shapes)} tensors; at most {TENSORS} are read.")
    for name, (kind, shape, offsets) in shapes.items():
        whole = all(type(v) is int and 0 <= v < SIDE for v in (*shape, *offsets))
        if kind not in SIZES or not whole or len(shape) > 8 or len(offsets) != 2:
            raise BadInput(
                f'{path.name}: the tensor "{name[:80]}" has an impossible type or shape.'
            )
        if 8 + length + offsets[1] > size:
            raise BadInput(f"{path.name} is cut short; copy or export the weights again.")
    return {name: (kind, shape) for name, (kind, shape, _) in shapes.items()}


def read_tensors(file: str | Path) -> dict[str, torch.Tensor]:
    """Every tensor of a safetensors file, on the CPU.

    Raises:
        BadInput: as `check_header`, or the library refuses the file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not check_header(file):
        raise BadInput(f"{Path(file).name} holds no tensor; export the weights again.")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(
            f"{Path(file).name} is damaged ({error}); export the weights again."
        ) from error


def write_tensors(tensors: dict[str, torch.Tensor], file: str | Path) -> None:
    """Writes tensors, each with storage of its own."""
    from safetensors.torch import save_file

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(own, str(file))


def fill_module(module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Gives a module built on the meta device its weights, without a second copy in memory.

    Floating-point weights become float32. Batch counters, which no prediction uses, may be missing.

    Raises:
        BadInput: naming the first tensor that is missing, unexpected, misshaped or not finite.
    """
    wanted = module.state_dict()
    found: dict[str, torch.Tensor] = {}
    for name, place in wanted.items():
        given = tensors.get(name)
        if given is None:
            if name.endswith("num_batches_tracked"):
                found[name] = torch.zeros_like(place, device="cpu")
                continue
            near = next((other for other in tensors if other not in wanted), None)
            hint = f'; the file has "{near}" instead' if near else ""
            raise BadInput(
                f'The weights lack "{name}" of shape {tuple(place.shape)}{hint}: '
                "the layer list and the weights file must name the same layers."
            )
        if given.shape != place.shape:
            raise BadInput(
                f'The tensor "{name}" has shape {tuple(given.shape)} in the file, '
                f"but the layer list needs {tuple(place.shape)}."
            )
        if given.is_floating_point() != place.is_floating_point():
            raise BadInput(
                f'The tensor "{name}" is {given.dtype} in the file; it must be {place.dtype}.'
            )
        given = given.to(place.dtype)
        if given.is_floating_point() and not torch.isfinite(given).all():
            raise BadInput(
                f'The tensor "{name}" contains NaN or infinite values; train or export again.'
            )
        found[name] = given
    extra = next((name for name in tensors if name not in wanted), None)
    if extra is not None:
        raise BadInput(
            f'The file holds a tensor "{extra}" of shape {tuple(tensors[extra].shape)} '
            "for which the layer list has no layer."
        )
    module.load_state_dict(found, assign=True, strict=True)
