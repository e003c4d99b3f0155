"""Shapes of a graph without computing anything: does it fit together, and how large does it get?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from introspect.activation import first_line
from introspect.errors import BadInput
from introspect.formats.graph import Batch, Graph, Here, Node, Numbers, Ref, used
from introspect.formats.operators import function_of

LARGEST = 1 << 30
"""Most bytes that one value may take for one input."""

HOST = 256 << 20
"""Most bytes that all values together may take that are computed to tell shapes: lists of sizes,
masks, states to start from."""


class Misfit(BadInput):
    """An operation cannot work on what it is given."""


def fill(value: Any, values: Mapping[str, Any], m: int, device: torch.device) -> Any:
    """An argument with everything it refers to in its place, for a batch of m."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, list | tuple):
        return [fill(part, values, m, device) for part in value]
    if isinstance(value, Batch):
        return m * value.times // value.per
    if isinstance(value, Here):
        return device
    return value.tensor() if isinstance(value, Numbers) else value


def run_node(node: Node, values: dict[str, Any], m: int, device: torch.device) -> None:
    """Computes one node and puts its results to the values.

    Raises:
        Misfit: it cannot be computed, or its result is too large.
    """
    function = function_of(node.op)
    assert function is not None  # `check_graph` made sure
    try:
        args = fill(node.args, values, m, device)
        kwargs = {key: fill(value, values, m, device) for key, value in node.kwargs.items()}
        result = function(*args, **kwargs)
        parts = list(result) if node.unpack else [result]
    except MemoryError:
        raise
    except Exception as error:
        raise Misfit(
            f"The operation {node.op} does not fit the rest of the network ({first_line(error)})."
        ) from error
    if len(parts) < len(node.results):
        raise Misfit(
            f"The operation {node.op} gives {len(parts)} results, not {len(node.results)}."
        )
    for name, part in zip(node.results, parts, strict=False):
        if isinstance(part, torch.Tensor) and part.numel() * part.itemsize > m * LARGEST:
            raise BadInput(
                f"The operation {node.op} makes a tensor of shape {tuple(part.shape)[:6]}, more "
                f"than {LARGEST >> 20:,} MB for one input; such a network is not run."
            )
        if name is not None:
            values[name] = part


def shapes(graph: Graph, tensors: Mapping[str, torch.Tensor], m: int) -> dict[str, Any]:
    """Every value for a batch of m, on the meta device: shapes and types without memory.

    Raises:
        BadInput: an operation does not fit the others, or a value is too large.
    """
    meta = torch.device("meta")
    values: dict[str, Any] = {
        name: tensors[stored].to(meta) for name, stored in graph.weights.items()
    }
    values[graph.input] = torch.empty(m, *graph.input_shape, device=meta)
    held = 0
    with torch.no_grad():
        for node in graph.nodes:
            _check_held(node, held + _foretold(node, values, m))
            run_node(node, values, m, meta)
            held += sum(_held(values[name]) for name in node.results if name is not None)
            _check_held(node, held)
    return values


def _held(value: Any) -> int:
    """Bytes that a value takes in main memory, as those do that tell sizes; 0 for shapes alone."""
    if not isinstance(value, torch.Tensor) or value.device.type != "cpu":
        return 0
    return min(value.untyped_storage().nbytes(), value.numel() * value.itemsize)


def _foretold(node: Node, values: Mapping[str, Any], m: int) -> int:
    """Bytes that a node on values in main memory will make, as far as shapes alone tell it."""
    given = {name: values[name] for name in used(node)}
    if not any(map(_held, given.values())):
        return 0
    meta = torch.device("meta")
    moved = {
        name: value.to(meta) if isinstance(value, torch.Tensor) else value
        for name, value in given.items()
    }
    try:
        run_node(node, moved, m, meta)
    except Misfit:
        return 0  # it wants to know the values: what it makes is bounded there
    made = [moved[name] for name in node.results if name is not None]
    return sum(one.numel() * one.itemsize for one in made if isinstance(one, torch.Tensor))


def _check_held(node: Node, size: int) -> None:
    if size > HOST:
        raise BadInput(
            f"The operation {node.op[:80]} makes {size >> 20:,} MB of numbers only to tell sizes; "
            "such a network is not run."
        )


def check_sizes(graph: Graph, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether the network takes two inputs and three alike: rows in, rows of numbers out.

    Raises:
        BadInput: a value is too large for any machine.
    """
    ends = []
    for m in (2, 3):
        try:
            ends.append(shapes(graph, tensors, m)[graph.output])
        except Misfit:
            return False
    return all(
        isinstance(end, torch.Tensor) and end.dim() > 0 and end.shape[0] == m
        for m, end in zip((2, 3), ends, strict=True)
    ) and (ends[0].shape[1:] == ends[1].shape[1:])
