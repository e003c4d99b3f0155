"""What every reader of a model file comes down to: plain tensors, and a document of the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WEIGHTS, DOCUMENT = "model.safetensors", "graph.json"
"""The two files of a model folder; the engine reads nothing else of an upload."""


@dataclass(frozen=True, eq=False)
class Canonical:
    """A model file as the quarantine child hands it over.

    Attributes:
        tensors: name to weights, on the CPU, strided, each with bytes of its own.
        document: what graph.json will say (`introspect: layers/1`, `graph/1`, …); None when the
            file holds weights alone and an architecture has to be found for them.
        notes: sentences worth telling, such as what was unwrapped.
    """

    tensors: Mapping[str, torch.Tensor]
    document: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = field(default=())


def write_canonical(canonical: Canonical, folder: Path) -> dict[str, Any]:
    """Writes model.safetensors and, where there is a document, graph.json into the folder.

    Returns:
        `tensors`, how many there are; `weights`, how many numbers they hold; `document`, whether
        graph.json was written; `notes`.
    """
    from safetensors.torch import save_file

    save_file(dict(canonical.tensors), str(folder / WEIGHTS))
    if canonical.document is not None:
        text = json.dumps(canonical.document, separators=(",", ":"), allow_nan=False)
        (folder / DOCUMENT).write_text(text, encoding="utf-8")
    return {
        "tensors": len(canonical.tensors),
        "weights": sum(tensor.numel() for tensor in canonical.tensors.values()),
        "document": canonical.document is not None,
        "notes": list(canonical.notes),
    }
