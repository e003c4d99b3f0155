"""The wire format of protocol buffers: numbered fields, read one message at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from introspect.errors import BadInput

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | memoryview
Field = tuple[int, int, Value]
"""Number of the field, its wire type, and its value; numbers of fixed width as raw bytes."""


class Damaged(BadInput):
    """The bytes are no message."""


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of one message in order; messages inside it come as bytes.

    Raises:
        Damaged: a field is cut short or of a type that is not used any more.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        value: Value
        if wire == VARINT:
            value, at = _varint(message, at)
        elif wire == BYTES:
            length, at = _varint(message, at)
            value = message[at : at + length]
            at += length
        elif wire in (FIXED64, FIXED32):
            width = 8 if wire == FIXED64 else 4
            value = message[at : at + width]
            at += width
        else:
            raise Damaged("The file is damaged: a field is of an unknown type.")
        if at > end or number == 0:
            raise Damaged("The file is damaged: it is cut short.")
        yield number, wire, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Damaged("The file is damaged: it is cut short.")


def signed(value: Value) -> int:
    """An int64 field."""
    if not isinstance(value, int):
        raise Damaged("The file is damaged: a number is missing.")
    return value - (1 << 64) if value >= 1 << 63 else value


def text(value: Value) -> str:
    """A string field; bytes that are no text are replaced."""
    if isinstance(value, int):
        raise Damaged("The file is damaged: a name is missing.")
    return bytes(value[:100_000]).decode("utf-8", "replace")


def single(value: Value) -> float:
    """A float field."""
    if isinstance(value, int) or len(value) != 4:
        raise Damaged("The file is damaged: a number is missing.")
    return struct.unpack("<f", value)[0]


def packed_ints(wire: int, value: Value) -> list[int]:
    """What one occurrence of a repeated int64 field adds: one number, or many packed."""
    if isinstance(value, int):
        return [signed(value)]
    if wire != BYTES:
        raise Damaged("The file is damaged: a list of numbers is of another type.")
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(signed(number))
    return found


def packed_floats(value: Value) -> list[float]:
    """What one occurrence of a repeated float field adds: one number, or many packed."""
    if isinstance(value, int) or len(value) % 4:
        raise Damaged("The file is damaged: a list of numbers is cut short.")
    return list(struct.unpack(f"<{len(value) // 4}f", value))


def message(value: Value) -> memoryview:
    """A field that holds a message or bytes."""
    if isinstance(value, int):
        raise Damaged("The file is damaged: a part is missing.")
    return value
