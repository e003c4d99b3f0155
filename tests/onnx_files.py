"""Writes .onnx files field by field, right ones and wrong ones, without the onnx package."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import torch

CODES = {
    torch.float32: 1, torch.uint8: 2, torch.int8: 3, torch.int32: 6, torch.int64: 7, torch.bool: 9,
    torch.float16: 10, torch.float64: 11,
}  # fmt: skip


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: bytes | int | str) -> bytes:
    """One field: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def ints(*numbers: int) -> bytes:
    """A setting that is a list of whole numbers."""
    return field(8, b"".join(map(varint, numbers))) + field(20, 7)


def floats(*numbers: float) -> bytes:
    """A setting that is a list of numbers."""
    return field(7, struct.pack(f"<{len(numbers)}f", *numbers)) + field(20, 6)


def setting(name: str, given: bytes | int | float | str) -> bytes:
    """One attribute; bytes are its fields as they are."""
    if isinstance(given, float):
        body = varint(2 << 3 | 5) + struct.pack("<f", given) + field(20, 1)
    elif isinstance(given, int):
        body = field(3, given) + field(20, 2)
    else:
        body = given if isinstance(given, bytes) else field(4, given) + field(20, 3)
    return field(1, name) + body


def node(kind: str, inputs: str, outputs: str, domain: str = "", **settings) -> bytes:
    """One operator; names are separated by spaces."""
    out = b"".join(field(1, name) for name in inputs.split())
    out += b"".join(field(2, name) for name in outputs.split(" "))
    out += field(4, kind)
    out += b"".join(field(5, setting(name, given)) for name, given in settings.items())
    return out + (field(7, domain) if domain else b"")


def tensor(
    name: str, given: torch.Tensor, dims: Sequence[int] | None = None, as_list: bool = False
) -> bytes:
    """One tensor, with other dimensions than its own if wanted."""
    out = b"".join(field(1, side) for side in (given.shape if dims is None else dims))
    out += field(2, CODES[given.dtype]) + field(8, name)
    if as_list:
        numbers = given.reshape(-1).tolist()
        return out + field(4, struct.pack(f"<{len(numbers)}f", *numbers))
    return out + field(9, given.contiguous().numpy().tobytes())


def value(name: str, shape: Sequence[int | str]) -> bytes:
    """An input or output; a word is a side left open."""
    sides = b"".join(
        field(1, field(2, side) if isinstance(side, str) else field(1, side)) for side in shape
    )
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, sides)))


def model(
    nodes: Sequence[bytes],
    tensors: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    opset: int = 17,
    extra: bytes = b"",
) -> bytes:
    """A whole file; `extra` are further fields of the outermost message."""
    graph = b"".join(field(1, one) for one in nodes) + field(2, "graph")
    graph += b"".join(field(5, one) for one in tensors)
    graph += b"".join(field(11, one) for one in inputs)
    graph += b"".join(field(12, one) for one in outputs)
    return field(1, 8) + field(7, graph) + field(8, field(2, opset)) + extra
