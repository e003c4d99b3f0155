"""Safetensors made to do harm; see `weight_files`, in whose list they stand."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from hostile.weight_files import hostile


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(shape: list[int], stop: int, kind: str = "F32", start: int = 0) -> dict:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}


@hostile("w.safetensors", r"not a safetensors file|cut short|of no kind")
def header_of_2_to_the_60_bytes(folder: Path, marker: Path) -> bytes:
    return safetensors(b"{}", length=2**60)


@hostile("w.safetensors", r"not a safetensors file")
def nine_hundred_thousand_tensors(folder: Path, marker: Path) -> bytes:
    one = b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'
    return safetensors(
        b"{" + b",".join(one % (i, i, i + 1) for i in range(900_000)) + b"}", bytes(900_000)
    )


@hostile("w.safetensors", r"impossible type or shape")
def side_of_2_to_the_62(folder: Path, marker: Path) -> bytes:
    return safetensors(json.dumps({"w": entry([0, 2**62], 0)}).encode())


@hostile("w.safetensors", r"damaged|impossible|cut short|in an unknown way")
def shape_of_2_to_the_40_numbers(folder: Path, marker: Path) -> bytes:
    return safetensors(json.dumps({"w": entry([2**20, 2**20], 16)}).encode(), bytes(16))


@hostile("w.safetensors", r"damaged")
def tensors_that_overlap(folder: Path, marker: Path) -> bytes:
    header = {"a": entry([2, 2], 16), "b": entry([2, 2], 16)}
    return safetensors(json.dumps(header).encode(), bytes(16))


@hostile("w.safetensors", r"damaged header")
def header_nested_beyond_reason(folder: Path, marker: Path) -> bytes:
    return safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@hostile("w.safetensors", r"weights only|of no network|no matrix")
def metadata_that_looks_like_a_command(folder: Path, marker: Path) -> bytes:
    header = {"__metadata__": {"format": f"$(touch {marker})"}, "a": entry([2, 2], 16)}
    return safetensors(json.dumps(header).encode(), bytes(16))


@hostile("w.safetensors", r"empty file")
def nothing(folder: Path, marker: Path) -> bytes:
    return b""


@hostile("net.pt", r"is damaged|no model file")
def noise(folder: Path, marker: Path) -> bytes:
    return b"\x80\x02" + bytes(range(256)) * 64
