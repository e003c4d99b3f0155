"""Makes a network that was exported for a fixed number of inputs take any number.

An export for one picture has its 1 baked into reshapes and into tensors that were repeated to the
batch. The graph is followed with seven times as many inputs: where a size does not grow with them
it is made to, and where one number could stand for either of two axes, both are tried.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.graph import Batch, Graph, Node, Ref, replace_refs
from introspect.formats.operators import base
from introspect.formats.sizes import Misfit, run_node, shapes

MORE = 7
TRIES = 400
_RESHAPING = frozenset("view reshape _unsafe_view onnx.Reshape".split())
_EXPANDING = frozenset("expand broadcast_to onnx.Expand".split())
_JOINING = frozenset("cat concat concatenate onnx.Concat stack".split())
_STARTED = {"lstm": 1, "gru": 1, "rnn_tanh": 1, "rnn_relu": 1, "onnx.Recurrent": 1}
"""Recurrent layers, and the axis of the batch in the states they start from."""

Place = tuple[int, int]
"""Axis that holds the batch, and how many elements of that axis lie outside of it."""


def free_batch(graph: Graph, tensors: Mapping[str, torch.Tensor], batch: int) -> Graph:
    """The same network for any number of inputs.

    Args:
        batch: how many inputs it was exported for.

    Raises:
        BadInput: it cannot be made to; the sentence says how to export it instead.
    """
    try:
        known = shapes(graph, tensors, batch)
    except Misfit as error:
        raise BadInput(f"{error} Export the model again.") from error
    found = _Search(graph, tensors, batch, known).run()
    if found is None:
        raise BadInput(
            f"The network was exported for exactly {batch} input{'s' * (batch > 1)} at a time and "
            "cannot be led to take more; export it with a dynamic batch: "
            '"introspect export my_module:build model.pt2" does.'
        )
    return dataclasses.replace(graph, nodes=tuple(found), batch=None)


class _Search:
    """Goes through the nodes in order, and back to the last choice where it does not go on."""

    def __init__(
        self, graph: Graph, tensors: Mapping[str, torch.Tensor], batch: int, known: dict[str, Any]
    ) -> None:
        self.graph = graph
        self.batch = batch
        self.known = known
        self.device = torch.device("meta")
        self.m = MORE * batch
        self.values: dict[str, Any] = {
            name: tensors[stored].to(self.device) for name, stored in graph.weights.items()
        }
        x = torch.empty(self.m, *graph.input_shape, device=self.device)
        self.values[graph.input] = x
        self.places: dict[str, Place] = {graph.input: (0, 1)}
        self.nodes: list[Node] = []

    def run(self) -> list[Node] | None:
        k, tries = 0, 0
        choices = self._ways(0)
        undo: list[tuple[int, Iterator[list[Node]], dict, dict, int]] = []
        total = len(self.graph.nodes)
        with torch.no_grad():
            while k < total:
                way = next(choices, None)
                if way is None:
                    if not undo or tries > TRIES:
                        return None
                    tries += 1
                    k, choices, self.values, self.places, length = undo.pop()
                    del self.nodes[length:]
                    continue
                values, places, length = self.values, self.places, len(self.nodes)
                if self._try(k, way):
                    other = _Peek(choices)
                    if other.more:
                        undo.append((k, other, dict(values), dict(places), length))
                    self.nodes += way
                    k += 1
                    choices = self._ways(k) if k < total else iter(())
                    if k == total and not self._ends_well():
                        choices, k = iter(()), k - 1
                        self.nodes = self.nodes[:length]
        return self.nodes

    def _ends_well(self) -> bool:
        end, known = self.values[self.graph.output], self.known[self.graph.output]
        return end.dim() > 0 and list(end.shape) == [self.m, *known.shape[1:]]

    def _ways(self, k: int) -> Iterator[list[Node]]:
        """The node as it is or with sizes that grow, the likeliest first."""
        node = self.graph.nodes[k]
        name = base(node.op)
        first = node.args[0].name if node.args and isinstance(node.args[0], Ref) else ""
        if name in _RESHAPING and first in self.places and _all_plain(node.args[1]):
            yield from ([self._resized(node, axis)] for axis in self._axes(node, first))
        elif name in _EXPANDING and first in self.places and _all_plain(node.args[1]):
            axis = self.places[first][0] - self.known[first].dim()
            yield [self._resized(node, axis)]
        elif name in _JOINING or name in _STARTED:
            yield from self._joined(node, name)
        else:
            yield [node]

    def _resized(self, node: Node, axis: int) -> Node:
        """The node with the size it had and one axis of that growing."""
        size: list[Any] = list(self.known[str(node.results[0])].shape)
        size[axis] = Batch(size[axis], self.batch)
        kwargs = {k: v for k, v in node.kwargs.items() if k != "allowzero"}
        args = (node.args[0], size, *node.args[2:])
        return dataclasses.replace(node, args=args, kwargs=kwargs)

    def _axes(self, node: Node, first: str) -> list[int]:
        """The axes of a reshape's result in which the batch may lie, by its place in memory."""
        axis, outer = self.places[first]
        before = math.prod(self.known[first].shape[:axis]) * outer
        size = list(self.known[str(node.results[0])].shape)
        fitting, start = [], 1
        for i, side in enumerate(size):
            # The batch begins this axis, ends it, or lies inside it.
            if side % self.batch == 0 and start <= before <= start * side // self.batch:
                if before % start == 0 and (start * side) % before == 0:
                    fitting.append((side != self.batch or before != start, before != start, i))
            start *= side
        return [i for *_, i in sorted(fitting)]

    def _joined(self, node: Node, name: str) -> Iterator[list[Node]]:
        """The node, and with tensors repeated to the batch that were made for one input."""
        yield [node]
        listed = list(node.args) if name in ("onnx.Concat", "onnx.Recurrent") else node.args[0]
        if name in _STARTED:
            axis = _STARTED[name]
            starts = node.args[1:3] if name == "onnx.Recurrent" else node.args[1]
            wanted = [v.name for v in _refs(starts)]
        else:
            wanted = [v.name for v in _refs(listed)]
            axis = next((self.places[v][0] for v in wanted if v in self.places), 0)
        before, names = [], {}
        for value in wanted:
            shape = list(self.known[value].shape) if value in self.known else []
            if value in self.places or axis >= len(shape) or shape[axis] != 1 or self.batch != 1:
                continue
            repeated = f"{value}-{len(self.nodes)}-each"
            size: list[Any] = [-1] * len(shape)
            size[axis] = Batch(1, 1)
            before.append(
                Node(op="aten.expand.default", args=(Ref(value), size), results=(repeated,))
            )
            names[value] = repeated
        if before:
            yield [*before, dataclasses.replace(node, args=replace_refs(node.args, names))]

    def _try(self, k: int, way: list[Node]) -> bool:
        """Whether the nodes can be computed, and each result grows in one axis or in none."""
        values, places = dict(self.values), dict(self.places)
        try:
            for node in way:
                run_node(node, values, self.m, self.device)
        except BadInput:
            return False
        for name in self.graph.nodes[k].results:
            if name is None or not isinstance(values[name], torch.Tensor):
                continue
            now, then = list(values[name].shape), list(self.known[name].shape)
            grown = [i for i, (a, b) in enumerate(zip(now, then, strict=False)) if a != b]
            fits = len(now) == len(then) and len(grown) <= 1
            if not fits or (grown and now[grown[0]] != MORE * then[grown[0]]):
                return False
            if grown:
                places[name] = grown[0], self._outer(way[-1], name, grown[0], then)
        self.values, self.places = values, places
        return True

    def _outer(self, node: Node, name: str, axis: int, shape: list[int]) -> int:
        first = next((v.name for v in _refs(node.args) if v.name in self.places), None)
        if first is None:
            return 1
        at, outer = self.places[first]
        given = self.known[first].shape
        if base(node.op) in _RESHAPING:
            return max(1, math.prod(given[:at]) * outer // max(1, math.prod(shape[:axis])))
        return outer if given[at] == shape[axis] else 1


class _Peek(Iterator[list[Node]]):
    """An iterator that knows whether there is more."""

    def __init__(self, inner: Iterator[list[Node]]) -> None:
        self._inner = inner
        self._next = next(inner, None)

    @property
    def more(self) -> bool:
        return self._next is not None

    def __next__(self) -> list[Node]:
        if self._next is None:
            raise StopIteration
        found, self._next = self._next, next(self._inner, None)
        return found


def _all_plain(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(part) is int for part in value)


def _refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _refs(part)
