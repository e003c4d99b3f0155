"""One door for model files of unknown origin: a reader a kind, imported when such a file comes.

A reader takes the path and gives a `Canonical`; it runs in the quarantine child and nowhere else.
A new format is one file in this folder and one line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from introspect.errors import BadInput
from introspect.formats.canonical import Canonical, write_canonical

if TYPE_CHECKING:
    import torch

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

GROWTH, SLACK = 8, 512 << 20
"""How much more than the file its tensors may take, and bytes allowed anyway: float32 made of less
wide numbers, shared weights, constants that were worked out."""


def parse(path: Path, kind: str) -> Canonical:
    """What a model file holds, read by the reader of its kind.

    Raises:
        BadInput: there is no reader of this kind, or the reader refuses the file.
    """
    if kind in READERS:
        found = _reader(READERS[kind])(path)
        check_growth(path, found.tensors)
        return found
    if kind not in GRAPHS:
        raise BadInput(f"{path.name} is of a kind that cannot be read: {kind or 'unknown'}.")
    from introspect.formats.graph import document

    graph, tensors = _reader(GRAPHS[kind])(path)
    check_growth(path, {name: tensors[name] for name in graph.weights.values()})
    kept = {name: tensors[name].contiguous().clone() for name in graph.weights.values()}
    return Canonical(kept, document(graph), tuple(graph.notes))


def check_growth(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Bounds what is kept of a file by its size: many names may stand for the same bytes in it.

    Raises:
        BadInput: the tensors, each with bytes of its own, take far more room than the file.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if size > GROWTH * path.stat().st_size + SLACK:
        raise BadInput(
            f"{path.name} would unpack to {size >> 20:,} MB, far more than it has: it names the "
            "same weights again and again; save every tensor once."
        )


def _reader(place: str) -> Callable[[Path], Any]:
    module, name = place.split(":")
    return getattr(import_module(module), name)


def parse_upload(path: Path, folder: Path, kind: str) -> dict[str, Any]:
    """What the quarantine child runs on a model file: see `write_canonical` for its answer."""
    return write_canonical(parse(path, kind), folder)
