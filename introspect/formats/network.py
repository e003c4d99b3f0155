"""Runs a canonical graph: a module whose forward pass is one flat list of bound calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from introspect.formats.graph import Batch, Graph, Here, Node, Numbers, Ref, document, used
from introspect.formats.operators import (
    FORGETFUL,
    FRESH,
    OVERWRITE,
    VIEWS,
    base,
    function_of,
    quick_function,
)

Hear = Callable[[str, torch.Tensor], None]

_BATCH, _DEVICE, _INPUT = 0, 1, 2


class _Step(NamedTuple):
    """One call: where its arguments are, where its results go, what is needed no longer."""

    call: Callable[..., Any]
    sources: tuple[int, ...]
    target: int
    parts: tuple[int | None, ...] | None
    """Where the parts of a list or tuple go; None where the result is one value."""
    dead: tuple[int, ...]
    word: str


class GraphNetwork(nn.Module):
    """The network that a graph describes; an ordinary module with its weights as parameters.

    Always in evaluation, for any number of inputs, differentiable with respect to them. It tells
    of its own layers, so nothing has to listen: see `tell`.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.graph = graph
        self.paths = tuple(node.path for node in graph.nodes if node.word)
        self._places: dict[str, str] = {}
        for name in dict.fromkeys(graph.weights.values()):
            # A module's attributes cannot hold dots, and some words are its own.
            place = "weights/" + name.replace(".", "/")
            tensor = tensors[name]
            place = self._free(place)
            if tensor.is_floating_point():
                self.register_parameter(place, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(place, tensor)
            self._places[name] = place
        text = json.dumps(document(graph), sort_keys=True)
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self._steps: dict[frozenset[str] | None, list[_Step]] = {}

    def _free(self, place: str) -> str:
        while place in self._parameters or place in self._buffers:
            place += "'"
        return place

    def extra_repr(self) -> str:
        return f"{len(self.graph.nodes)} operations, sha256 {self._digest}"

    def __getstate__(self) -> dict[str, Any]:
        # The calls are bound to nothing of this object, but are cheaper to make than to copy.
        return {**self.__dict__, "_steps": {}}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights under their names in the graph."""
        held = {**self._parameters, **self._buffers}
        return {name: held[place].detach() for name, place in self._places.items()}  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The chosen output for a batch of inputs `(m, *input_shape)`."""
        slots, steps = self._ready(x, FORGETFUL if torch.is_grad_enabled() else FRESH)
        for call, sources, target, parts, dead, _ in steps:
            result = call(*[slots[i] for i in sources])
            if parts is None:
                slots[target] = result
            else:
                for i, part in zip(parts, result, strict=False):
                    if i is not None:
                        slots[i] = part
            for i in dead:
                slots[i] = None
        return slots[-1]

    def tell(self, x: torch.Tensor, hear: Hear, careful: bool = False) -> torch.Tensor:
        """As `forward`, with `hear(word, activation)` for every layer in order.

        Args:
            careful: nothing that was told is overwritten later, also without gradients; otherwise
                `hear` must copy what it keeps.
        """
        # With gradients, what was heard may have become part of a sum of its own.
        kept = careful or torch.is_grad_enabled()
        slots, steps = self._ready(x, None if kept else FRESH)
        for call, sources, target, parts, dead, word in steps:
            result = call(*[slots[i] for i in sources])
            if parts is None:
                slots[target] = result
            else:
                for i, part in zip(parts, result, strict=False):
                    if i is not None:
                        slots[i] = part
            if word:
                hear(word, result if parts is None else result[0])
            for i in dead:
                slots[i] = None
        return slots[-1]

    def _ready(self, x: torch.Tensor, over: frozenset[str] | None) -> tuple[list[Any], list[_Step]]:
        """The slots with input and weights in place, and the calls to make."""
        steps = self._steps.get(over)
        if steps is None:
            steps = self._steps[over] = bind_calls(self.graph, over)
        held, buffers, places = self._parameters, self._buffers, self._places
        slots = [x.shape[0], x.device, x]
        for name in self.graph.weights.values():
            place = places[name]
            slots.append(held[place] if place in held else buffers[place])
        slots += [None] * (1 + sum(len(node.results) for node in self.graph.nodes))
        return slots, steps


def bind_calls(graph: Graph, makers: frozenset[str] | None = None) -> list[_Step]:
    """The calls of a graph in order; the output ends up in the last slot.

    Args:
        makers: operations whose result an activation may be written over, where nothing else will
            look at it: `FRESH`, or `FORGETFUL` where gradients are wanted; None for none at all.
    """
    slot = {graph.input: _INPUT}
    for name in graph.weights:
        slot[name] = len(slot) + _INPUT
    fixed = set(slot)
    for node in graph.nodes:
        for name in node.results:
            if name is not None:
                slot[name] = len(slot) + _INPUT
    # One slot for each result was reserved, those without a name included.
    end = _INPUT + 1 + len(graph.weights) + sum(len(node.results) for node in graph.nodes)
    slot[graph.output] = end
    last = {name: k for k, node in enumerate(graph.nodes) for name in used(node)}
    last[graph.output] = len(graph.nodes)
    over = _overwritable(graph, last, fixed, makers) if makers else set()
    steps = []
    for k, node in enumerate(graph.nodes):
        sources: list[int] = []
        call = _bind(node, k in over, slot, sources)
        targets = tuple(
            slot[name] if name is not None and name in last else None for name in node.results
        )
        gone = {name for name in used(node) if last[name] == k and name not in fixed}
        dead = tuple(slot[name] for name in gone)
        if node.unpack:
            steps.append(_Step(call, tuple(sources), 0, targets, dead, node.word))
        elif targets[0] is not None:
            steps.append(_Step(call, tuple(sources), targets[0], None, dead, node.word))
    return steps


def _overwritable(
    graph: Graph, last: Mapping[str, int], fixed: set[str], makers: frozenset[str]
) -> set[int]:
    """The nodes whose first argument nothing else needs, nor any view of it."""
    family: dict[str, str] = {}
    final: dict[str, int] = {}
    fresh: set[str] = set()
    for node in graph.nodes:
        first = next(used(node), None)
        name = base(node.op)
        views = name in VIEWS or not (node.op.startswith("aten") or name in FRESH)
        for result in node.results:
            if result is None:
                continue
            family[result] = family.get(first, first) if views and first else result
            if name in makers and not node.unpack:
                fresh.add(result)
    for name, k in last.items():
        root = family.get(name, name)
        final[root] = max(final.get(root, -1), k)
    takers: dict[str, int] = {}
    for node in graph.nodes:
        for taken in used(node):
            root = family.get(taken, taken)
            takers[root] = takers.get(root, 0) + 1
    over = set()
    for k, node in enumerate(graph.nodes):
        given = node.args[0] if node.args else None
        if not isinstance(given, Ref) or given.name not in fresh or given.name in fixed:
            continue
        name = base(node.op)
        alone = [family.get(other, other) for other in used(node)].count(family[given.name]) == 1
        adds = node.op == "aten.add.Tensor" and len(node.args) == 2 and not node.kwargs
        # The other activations' gradients are not the same to the last bit when written over.
        known = name == "relu" if makers is FORGETFUL else name in OVERWRITE
        if makers is FORGETFUL and takers[family[given.name]] > 1:
            continue  # another gradient may need what it took
        if (known or adds) and alone and final[family[given.name]] == k:
            over.add(k)
    return over


def _add_over(a: torch.Tensor, b: Any) -> torch.Tensor:
    same = isinstance(b, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype
    return a.add_(b) if same else a + b


def _bind(
    node: Node, over: bool, slot: Mapping[str, int], sources: list[int]
) -> Callable[..., Any]:
    """A function of the node's moving arguments, whose slots are appended to `sources`."""
    function = function_of(node.op)
    assert function is not None  # `check_graph` made sure
    args = list(node.args)
    if over:
        function = OVERWRITE.get(base(node.op), _add_over)
    elif not node.kwargs:
        function = quick_function(node.op) or function
    moving = next((i for i, v in enumerate(args) if not isinstance(v, Ref)), len(args))
    if not node.kwargs and not any(map(_moves, args[moving:])):
        # The common case: some tensors, then settings.
        sources += [slot[value.name] for value in args[:moving]]
        rest = tuple(_still(value) for value in args[moving:])
        return (lambda *given: function(*given, *rest)) if rest else function
    makers = [_maker(value, slot, sources) for value in args]
    named = {key: _maker(value, slot, sources) for key, value in node.kwargs.items()}
    return lambda *given: function(
        *[make(given) for make in makers], **{key: make(given) for key, make in named.items()}
    )


def _moves(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_moves, value))
    return isinstance(value, Ref | Batch | Here)


def _still(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_still(part) for part in value]
    return value.tensor() if isinstance(value, Numbers) else value


def _maker(
    value: Any, slot: Mapping[str, int], sources: list[int]
) -> Callable[[Sequence[Any]], Any]:
    i = len(sources)
    if isinstance(value, Ref):
        sources.append(slot[value.name])
        return lambda given: given[i]
    if isinstance(value, Batch):
        sources.append(_BATCH)
        times, per = value.times, value.per
        return lambda given: given[i] * times // per
    if isinstance(value, Here):
        sources.append(_DEVICE)
        return lambda given: given[i]
    if _moves(value):
        makers = [_maker(part, slot, sources) for part in value]
        return lambda given: [make(given) for make in makers]
    still = _still(value)
    return lambda given: still
