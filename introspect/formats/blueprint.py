"""The documents that say what network a set of weights is, and how its inputs and outputs go.

Three kinds, told apart by their first word: `layers` (a layer list), `architecture` (a known
network and its sizes) and `graph` (operations, as read from other formats).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from introspect.errors import BadInput
from introspect.formats.layers import (
    LayerList,
    build_module,
    list_layers,
    read_layers,
    write_layers,
)
from introspect.formats.safetensors import fill_module, write_tensors
from introspect.preprocessing import Preprocessing

DOCUMENT_BYTES = 64 << 20
KINDS = ("layers", "architecture", "graph")
LINKS = ("auto", "sigmoid", "softmax", "probabilities")


@dataclass(frozen=True)
class Reading:
    """How a network's inputs and outputs are to be read; `None` where the document leaves it."""

    input_shape: tuple[int, ...]
    classes: tuple[str, ...] | None
    link: str
    preprocessing: Preprocessing | None
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Blueprint:
    """A network's document: how it is read, and `make`, which fills it with weights."""

    reading: Reading
    make: Callable[[Mapping[str, torch.Tensor]], nn.Module]


def read_blueprint(document: str | Path | Mapping[str, Any]) -> Blueprint:
    """The blueprint in a file, or in a document already parsed.

    Raises:
        NewerFormat: a newer version of Introspect wrote it.
        BadInput: anything else that is wrong.
    """
    given = _parsed(document)
    kind = "layers" if given is None else str(given.get("introspect", "layers")).partition("/")[0]
    if given is None or kind not in ("architecture", "graph"):
        return _of_layers(read_layers(document))
    reading = _reading(given)
    if kind == "architecture":
        from introspect import architecture

        module = architecture.read(given)
        return Blueprint(reading, lambda tensors: _filled(module, tensors))
    return Blueprint(reading, lambda tensors: _graph(given, tensors))


def _parsed(document: str | Path | Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A JSON object; None for what only `read_layers` can tell about."""
    if isinstance(document, Mapping):
        return document
    path = Path(document)
    if not path.is_file() or path.stat().st_size > DOCUMENT_BYTES:
        return None
    raw = path.read_bytes()
    if not raw.lstrip()[:1] == b"{":
        return None
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _of_layers(listed: LayerList) -> Blueprint:
    reading = Reading(
        listed.input_shape, listed.classes, listed.link, listed.preprocessing, listed.bounds
    )
    module = build_module(listed)
    _measure(module, listed.input_shape)
    return Blueprint(reading, lambda tensors: _filled(build_module(listed), tensors))


def _measure(module: nn.Sequential, input_shape: tuple[int, ...]) -> None:
    """Makes sure that no layer makes far more of one input than any machine has room for.

    Raises:
        BadInput: naming the layer.
    """
    from introspect.formats.sizes import LARGEST

    x = torch.empty(1, *input_shape, device="meta")
    module.eval()  # norms in training want more than one input
    with torch.no_grad():
        for name, layer in module.named_children():
            try:
                x = layer(x)
            except Exception:
                return  # layers that do not fit are told of where they are run
            if x.numel() * x.itemsize > LARGEST:
                raise BadInput(
                    f'The layer "{name[:60]}" makes {x.numel() * x.itemsize >> 20:,} MB of one '
                    "input; such a network is not run."
                )


def _filled(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    fill_module(module, dict(tensors))
    return module


def _graph(given: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    from introspect.formats.graph import parse_graph
    from introspect.formats.network import GraphNetwork
    from introspect.formats.rewriting import evaluate_only
    from introspect.formats.sizes import check_sizes

    # a reader of ours has done this already, but the document may be a stranger's
    graph = evaluate_only(parse_graph(given, tensors))
    if not check_sizes(graph, tensors):
        raise BadInput("The network's document does not fit its weights; convert the model again.")
    return GraphNetwork(graph, tensors)


def _reading(given: Mapping[str, Any]) -> Reading:
    """The part that all kinds but layer lists write alike."""
    shape, classes = given.get("input_shape"), given.get("classes")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 4:
        raise BadInput("The network's document has no input shape.")
    if not all(type(side) is int and 1 <= side <= 1 << 24 for side in shape):
        raise BadInput("The network's document has an impossible input shape.")
    if classes is not None and not (isinstance(classes, list) and 2 <= len(classes) <= 100_000):
        raise BadInput("The network's document has no list of at least two classes.")
    link, bounds = given.get("link", "auto"), given.get("bounds", [0.0, 1.0])
    if link not in LINKS or not isinstance(bounds, list) or len(bounds) != 2:
        raise BadInput("The network's document has an unknown link or impossible bounds.")
    if not all(type(v) in (int, float) and math.isfinite(v) for v in bounds):
        raise BadInput("The network's document has impossible bounds.")
    low, high = map(float, bounds)
    told = given.get("preprocessing")
    return Reading(
        input_shape=tuple(shape),
        classes=None if classes is None else tuple(map(str, classes)),
        link=link,
        preprocessing=None if told is None else Preprocessing.parse(told),
        bounds=(low, high),
    )


def write_blueprint(module: nn.Module, reading: Reading, folder: Path) -> bool:
    """Writes graph.json and model.safetensors; False, and nothing, where no document says all."""
    listed = list_layers(module)
    document = None if listed is not None else _describe(module)
    if listed is None and document is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    if listed is not None:
        write_layers(
            LayerList(
                input_shape=reading.input_shape,
                layers=listed,
                classes=reading.classes,
                link=reading.link,
                preprocessing=reading.preprocessing,
                bounds=reading.bounds,
            ),
            folder / "graph.json",
        )
        write_tensors(module.state_dict(), folder / "model.safetensors")
        return True
    assert document is not None  # one of the two is there
    told = {
        "input_shape": list(reading.input_shape),
        "classes": None if reading.classes is None else list(reading.classes),
        "link": reading.link,
        "bounds": list(reading.bounds),
    }
    if reading.preprocessing is not None:
        told["preprocessing"] = reading.preprocessing.document()
    text = json.dumps({**document, **told}, separators=(",", ":"), allow_nan=False)
    (folder / "graph.json").write_text(text, encoding="utf-8")
    write_tensors(_weights(module), folder / "model.safetensors")
    return True


def _describe(module: nn.Module) -> dict[str, Any] | None:
    from introspect import architecture
    from introspect.formats.graph import document
    from introspect.formats.network import GraphNetwork

    if type(module) is GraphNetwork:
        return document(module.graph)
    return architecture.describe(module)


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    from introspect.formats.network import GraphNetwork

    return module.tensors() if isinstance(module, GraphNetwork) else module.state_dict()
