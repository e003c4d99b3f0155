"""The canonical graph: any network as a list of known operations, kept as JSON and plain tensors.

Readers of foreign formats write it, the engine reads nothing else. Nothing in it is code: an
operation is a name looked up in a table, a value is a name looked up in a dictionary.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from introspect.errors import BadInput, NewerFormat
from introspect.formats.operators import FACTORIES, base, is_known

VERSION = 1
NODES = 50_000
WEIGHTS = 50_000
ITEMS = 4_096
DEPTH = 4
WHOLE = 2**63
NAME = re.compile(r"[A-Za-z0-9_./#:@-]{1,160}")
PATH = re.compile(r"[A-Za-z0-9_./#:@-]{0,160}")
WORD = re.compile(r"[A-Za-z0-9_,.> -]{0,200}")

DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8,
        torch.int8, torch.int16, torch.int32, torch.int64,
    )
}  # fmt: skip
FORMATS = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        torch.contiguous_format,
        torch.channels_last,
        torch.channels_last_3d,
        torch.preserve_format,
    )
}


@dataclass(frozen=True)
class Ref:
    """A value that an earlier operation made, an input, or a weight."""

    name: str


@dataclass(frozen=True)
class Batch:
    """A size that follows the batch: `times` for each `per` inputs."""

    times: int
    per: int


@dataclass(frozen=True)
class Here:
    """The device on which the input is."""


@dataclass(frozen=True)
class Numbers:
    """A small tensor of whole numbers that stays in main memory, such as a list of sizes."""

    values: tuple[int, ...]
    shape: tuple[int, ...]

    def tensor(self) -> torch.Tensor:
        """As int64 on the CPU."""
        return torch.tensor(self.values, dtype=torch.int64).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: `results` names what it makes; several where it gives a list or a tuple."""

    op: str
    args: tuple[Any, ...]
    results: tuple[str | None, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    unpack: bool = False
    word: str = ""
    """The name of the operation as a layer, such as relu; empty where it is none."""
    path: str = ""
    """The module it was called in, and the word where that module is more than this operation."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: from the input named `input` through `nodes` to the value named `output`."""

    input: str
    input_shape: tuple[int, ...]
    weights: Mapping[str, str]
    """Value name to the name of the tensor in the safetensors file."""
    nodes: tuple[Node, ...]
    output: str
    outputs: tuple[str, ...] = ()
    """Every output that could have been chosen."""
    classes: tuple[str, ...] | None = None
    link: str = "auto"
    notes: tuple[str, ...] = ()
    batch: int | None = None
    """How many inputs at once it was exported for, where that was fixed; not kept in the file."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        return self


def refs(value: Any) -> Iterator[str]:
    """The names that an argument refers to, however deep."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list | tuple):
        for part in value:
            yield from refs(part)


def used(node: Node) -> Iterator[str]:
    """The names that a node takes, repeated ones included."""
    yield from refs(node.args)
    for value in node.kwargs.values():
        yield from refs(value)


def replace_refs(value: Any, names: Mapping[str, str]) -> Any:
    """The argument with some names exchanged."""
    if isinstance(value, Ref):
        return Ref(names.get(value.name, value.name))
    if isinstance(value, list | tuple):
        return type(value)(replace_refs(part, names) for part in value)
    return value


def rename(node: Node, names: Mapping[str, str]) -> Node:
    """The node with some of the names it takes exchanged."""
    if not any(name in names for name in used(node)):
        return node
    kwargs = {key: replace_refs(value, names) for key, value in node.kwargs.items()}
    return dataclasses.replace(node, args=replace_refs(node.args, names), kwargs=kwargs)


def prune(graph: Graph, *wanted: str) -> Graph:
    """The graph without what does not lead to the wanted values."""
    needed, kept = set(wanted), []
    for node in reversed(graph.nodes):
        if any(name in needed for name in node.results):
            kept.append(node)
            needed.update(used(node))
    weights = {value: name for value, name in graph.weights.items() if value in needed}
    return dataclasses.replace(graph, nodes=tuple(reversed(kept)), weights=weights)


def choose_output(graph: Graph, output: str) -> Graph:
    """The graph up to one of its values: what does not lead there falls away.

    Raises:
        BadInput: no operation makes it, or it is the same for every input.
    """
    if not any(output in node.results for node in graph.nodes):
        raise BadInput(f'The network has no output "{output}"; give one that it computes.')
    cut = prune(graph, output)
    if not any(graph.input in used(node) for node in cut.nodes):
        raise BadInput("The output of this network does not depend on its input.")
    return dataclasses.replace(cut, output=output)


def check_graph(graph: Graph, tensors: Iterable[str]) -> None:
    """Makes sure that every name is made before it is used, once, by a known operation.

    Raises:
        BadInput: naming the first thing that is wrong.
    """
    if len(graph.nodes) > NODES or len(graph.weights) > WEIGHTS:
        raise BadInput(
            f"The network has {len(graph.nodes):,} operations and {len(graph.weights):,} tensors; "
            f"at most {NODES:,} of each are read."
        )
    shape = graph.input_shape
    if not 1 <= len(shape) <= 5 or not all(type(v) is int and 1 <= v <= 2**24 for v in shape):
        raise BadInput(f"The input shape {str(shape)[:80]} is impossible; export the model again.")
    known, held = {graph.input, *graph.weights}, set(tensors)
    missing = next((name for name in graph.weights.values() if name not in held), None)
    if missing is not None:
        raise BadInput(f'The tensor "{missing}" of the network is missing; export it again.')
    if graph.input in graph.weights:
        raise BadInput("The network's input is also one of its weights; export it again.")
    for node in graph.nodes:
        if not is_known(node.op):
            raise BadInput(f"The operation {node.op[:80]} is not known to Introspect.")
        if not PATH.fullmatch(node.path) or not PATH.fullmatch(node.word):
            raise BadInput(f"A layer has the impossible name {node.path[:60]!r}.")
        if "out" in node.kwargs:
            raise BadInput(f"{node.op[:80]} would write over a tensor that it is given.")
        if base(node.op) in FACTORIES and not isinstance(node.kwargs.get("device"), Here):
            raise BadInput(f"{node.op[:80]} must make its tensor where the input is.")
        for name in used(node):
            if name not in known:
                raise BadInput(
                    f'{node.op} uses "{name[:80]}" before it is made: '
                    "the network is damaged or runs in a circle."
                )
        for value in (*node.args, *node.kwargs.values()):
            _check_value(value, DEPTH)
        for name in node.results:
            if name is None:
                continue
            if not NAME.fullmatch(name):
                raise BadInput(f"A value has the impossible name {name[:60]!r}.")
            if name in known:
                raise BadInput(f'The value "{name}" is made twice; export the model again.')
            known.add(name)
    if graph.output not in known - {graph.input, *graph.weights}:
        raise BadInput(f'Nothing makes the output "{graph.output[:80]}"; export the model again.')


def _check_value(value: Any, depth: int) -> None:
    if isinstance(value, list | tuple):
        if depth == 0 or len(value) > ITEMS:
            raise BadInput("An operation has too long or too deep a list of arguments.")
        for part in value:
            _check_value(part, depth - 1)
    elif type(value) is int and abs(value) > WHOLE:
        raise BadInput("An operation has a number that is far too large.")
    elif isinstance(value, Batch):
        if not (1 <= value.times <= 2**31 and 1 <= value.per <= 2**20):
            raise BadInput("An operation has an impossible size.")
    elif isinstance(value, str) and not WORD.fullmatch(value):
        raise BadInput(f"An operation has the impossible setting {value[:60]!r}.")
    elif isinstance(value, Numbers) and (
        len(value.values) > ITEMS
        or math.prod(value.shape) != len(value.values)
        or any(abs(v) > WHOLE for v in value.values)
    ):
        raise BadInput("An operation has an impossible list of numbers.")


def encode(value: Any) -> Any:
    """An argument as JSON; `decode` reads it back."""
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, list | tuple):
        return [encode(part) for part in value]
    if isinstance(value, Batch):
        return {"batch": [value.times, value.per]}
    if isinstance(value, Here):
        return {"device": "input"}
    if isinstance(value, Numbers):
        return {"numbers": [list(value.values), list(value.shape)]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, torch.memory_format):
        return {"format": str(value).removeprefix("torch.")}
    if isinstance(value, torch.layout):
        return {"layout": "strided"}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def decode(value: Any) -> Any:
    """The argument that JSON stands for.

    Raises:
        BadInput: it stands for none.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [decode(part) for part in value]
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind == "ref" and isinstance(inner, str):
            return Ref(inner)
        if kind == "batch" and _are_whole(inner) and len(inner) == 2:
            return Batch(*inner)
        if kind == "numbers" and isinstance(inner, list) and len(inner) == 2:
            if all(map(_are_whole, inner)):
                return Numbers(tuple(inner[0]), tuple(inner[1]))
        if kind == "device":
            return Here()
        if kind == "layout":
            return torch.strided
        if kind == "dtype" and inner in DTYPES:
            return DTYPES[inner]
        if kind == "format" and inner in FORMATS:
            return FORMATS[inner]
        if kind == "float" and inner in ("inf", "-inf", "nan"):
            return float(inner)
    raise BadInput(f"The network's description holds {str(value)[:60]!r}, which means nothing.")


def _are_whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int for v in values)


def document(graph: Graph) -> dict[str, Any]:
    """The graph as a JSON object."""
    nodes = []
    for node in graph.nodes:
        entry: dict[str, Any] = {"op": node.op, "args": encode(node.args)}
        entry["results"] = list(node.results)
        if node.kwargs:
            entry["kwargs"] = {key: encode(value) for key, value in node.kwargs.items()}
        if node.unpack:
            entry["unpack"] = True
        if node.word:
            entry |= {"word": node.word, "path": node.path}
        nodes.append(entry)
    return {
        "introspect": f"graph/{VERSION}",
        "input": graph.input,
        "input_shape": list(graph.input_shape),
        "output": graph.output,
        "outputs": list(graph.outputs),
        "classes": None if graph.classes is None else list(graph.classes),
        "link": graph.link,
        "notes": list(graph.notes),
        "weights": dict(graph.weights),
        "nodes": nodes,
    }


def parse_graph(given: Any, tensors: Iterable[str]) -> Graph:
    """A checked graph from a JSON object.

    Raises:
        NewerFormat: the object says `introspect: graph/2` or later.
        BadInput: anything else that is wrong.
    """
    kind, _, version = str(given.get("introspect") if isinstance(given, dict) else "").partition(
        "/"
    )
    if kind != "graph" or not version.isdigit():
        raise BadInput("This is no network that Introspect wrote; convert the model again.")
    if int(version) > VERSION:
        raise NewerFormat("The network was written by a newer version of Introspect; update it.")
    try:
        graph = Graph(
            input=_text(given["input"]),
            input_shape=tuple(given["input_shape"]),
            weights={_text(k): _text(v) for k, v in given["weights"].items()},
            nodes=tuple(_parse_node(entry) for entry in given["nodes"][: NODES + 1]),
            output=_text(given["output"]),
            outputs=tuple(map(_text, given["outputs"])),
            classes=None if given["classes"] is None else tuple(map(_text, given["classes"])),
            link=_text(given["link"]),
            notes=tuple(map(_text, given["notes"])),
        )
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BadInput("The network's description is damaged; convert the model again.") from error
    check_graph(graph, tensors)
    return graph


def _parse_node(entry: Mapping[str, Any]) -> Node:
    results = entry["results"]
    if not all(name is None or isinstance(name, str) for name in results):
        raise ValueError("results")
    return Node(
        op=_text(entry["op"]),
        args=tuple(decode(value) for value in entry["args"]),
        results=tuple(results),
        kwargs={_text(key): decode(value) for key, value in entry.get("kwargs", {}).items()},
        unpack=entry.get("unpack") is True,
        word=_text(entry.get("word", "")),
        path=_text(entry.get("path", "")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("text")
    return value
