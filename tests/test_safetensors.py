"""Safetensors files of unknown origin: refused before the library sees them."""

from __future__ import annotations

import json
import struct
import time

import pytest

from introspect.errors import BadInput
from introspect.formats.safetensors import check_header, read_tensors


def raw_file(path, header: bytes, data: bytes = b"", length: int | None = None):
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entry(**changes) -> bytes:
    return json.dumps(
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}
    ).encode()


@pytest.mark.parametrize(
    "header, data, length, words",
    [
        (entry(), bytes(8), 2**40, "not a safetensors file"),
        (entry(), bytes(8), 2**20, "cut short"),
        (entry(), bytes(4), None, "cut short"),
        (entry(shape=[2**62]), bytes(8), None, "impossible"),
        (entry(shape=[-1]), bytes(8), None, "impossible"),
        (entry(shape=[0, 2**50]), bytes(8), None, "impossible"),
        (entry(dtype="OBJ"), bytes(8), None, "impossible"),
        (entry(shape="x"), bytes(8), None, "impossible"),
        (entry(shape=None), bytes(8), None, "damaged header"),
        (entry(shape=[3]), bytes(8), None, "damaged"),
        (entry(), bytes(80), None, "damaged"),
        (b"{not json" * 3, b"", None, "damaged header"),
        (b"[1, 2]", b"", None, "damaged header"),
        (b"[" * 5000, b"", None, "damaged header"),
        (b"{}", b"", None, "no tensor"),
    ],
)
def test_damaged_and_hostile_weights_are_refused(tmp_path, header, data, length, words):
    with pytest.raises(BadInput, match=words):
        read_tensors(raw_file(tmp_path / "w.safetensors", header, data, length))


def test_a_hundred_thousand_tensors_are_refused_before_they_are_read(tmp_path):
    many = {f"{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(100_001)}
    start = time.perf_counter()
    with pytest.raises(BadInput, match="100001 tensors"):
        check_header(
            raw_file(tmp_path / "w.safetensors", json.dumps(many, separators=(",", ":")).encode())
        )
    assert time.perf_counter() - start < 5
