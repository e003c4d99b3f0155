"""One door for model files of unknown origin: a reader a kind, imported when such a file comes.

A reader takes the path and gives a `Canonical`; it runs in the quarantine child and nowhere else.
A new format is one file in this folder and one line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from introspect.errors import BadInput
from introspect.formats.canonical import Canonical, write_canonical

READERS = {
    "safetensors": "introspect.formats.checkpoint:read_weights",
    "checkpoint": "introspect.formats.checkpoint:read_checkpoint",
}
"""Kind of file to what reads weights from it: `read(path) -> Canonical`."""

GRAPHS = {
    "pt2": "introspect.formats.pt2:read_pt2",
    "onnx": "introspect.formats.onnx:read_onnx",
}
"""Kind of file to what reads a whole network from it: `read(path) -> (Graph, tensors)`."""


def parse(path: Path, kind: str) -> Canonical:
    """What a model file holds, read by the reader of its kind.

    Raises:
        BadInput: there is no reader of this kind, or the reader refuses the file.
    """
    if kind in READERS:
        return _reader(READERS[kind])(path)
    if kind not in GRAPHS:
        raise BadInput(f"{path.name} is of a kind that cannot be read: {kind or 'unknown'}.")
    from introspect.formats.graph import document

    graph, tensors = _reader(GRAPHS[kind])(path)
    kept = {name: tensors[name].contiguous().clone() for name in graph.weights.values()}
    return Canonical(kept, document(graph), tuple(graph.notes))


def _reader(place: str) -> Callable[[Path], Any]:
    module, name = place.split(":")
    return getattr(import_module(module), name)


def parse_upload(path: Path, folder: Path, kind: str) -> dict[str, Any]:
    """What the quarantine child runs on a model file: see `write_canonical` for its answer."""
    return write_canonical(parse(path, kind), folder)
