"""Checks every annotated call and field of the package while the tests run, shapes included."""

from __future__ import annotations

from typing import IO, Any, BinaryIO

from beartype import BeartypeConf, FrozenDict, beartype

# Files are duck-typed: a zip member or a spooled upload is read like any other; an int is a float.
check = beartype(
    conf=BeartypeConf(
        hint_overrides=FrozenDict({BinaryIO: Any, IO[bytes]: Any}), is_pep484_tower=True
    )
)
