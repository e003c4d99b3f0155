"""Layers that an ONNX file spells out in smaller operators, put together again.

A layer is then one activation with one name, as in the network it was exported from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch

from introspect.formats.graph import Graph, Node, Ref, used
from introspect.formats.naming import layer_paths

_MUL, _ADD, _DIV = ("onnx.Mul", "aten.mul.Tensor"), ("onnx.Add", "aten.add.Tensor"), ("onnx.Div",)


class _View:
    """The nodes by what they make, and how often each value is taken."""

    def __init__(self, graph: Graph, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors
        self.maker = {name: node for node in graph.nodes for name in node.results if name}
        self.takers: dict[str, int] = dict.fromkeys((graph.output, *graph.outputs), 1)
        for node in graph.nodes:
            for name in used(node):
                self.takers[name] = self.takers.get(name, 0) + 1

    def made_by(self, value: Any, *ops: str) -> Node | None:
        node = self.maker.get(value.name) if isinstance(value, Ref) else None
        return node if node is not None and node.op in ops else None

    def number(self, value: Any) -> float | None:
        if isinstance(value, Ref):
            tensor = self.tensors.get(value.name)
            return tensor.item() if tensor is not None and tensor.numel() == 1 else None
        return float(value) if type(value) in (int, float) else None

    def constant(self, value: Any) -> torch.Tensor | None:
        return self.tensors.get(value.name) if isinstance(value, Ref) else None


def fuse(
    graph: Graph, tensors: Mapping[str, torch.Tensor]
) -> tuple[Graph, dict[str, torch.Tensor]]:
    """The graph with linear layers, GELU and SiLU as one operation each, and its tensors."""
    held = dict(tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(_linear(node, held) or node)
    graph = dataclasses.replace(graph, nodes=tuple(nodes))
    for find in (_biased, _gelu, _silu):
        view = _View(graph, held)
        graph = _without_unused(
            dataclasses.replace(graph, nodes=tuple(find(n, view) or n for n in graph.nodes))
        )
    values = {name for node in graph.nodes for name in used(node)}
    weights = {name: name for name in held if name in values}
    graph = dataclasses.replace(graph, nodes=tuple(_named(graph, weights)), weights=weights)
    return graph, {name: held[name] for name in weights}


def _without_unused(graph: Graph) -> Graph:
    wanted, kept = {graph.output, *graph.outputs}, []
    for node in reversed(graph.nodes):
        if any(name in wanted for name in node.results):
            kept.append(node)
            wanted.update(used(node))
    return dataclasses.replace(graph, nodes=tuple(reversed(kept)))


def _linear(node: Node, held: dict[str, torch.Tensor]) -> Node | None:
    """Gemm, and MatMul with known weights, as torch's linear; the weights are turned over once."""
    second = node.args[1] if len(node.args) > 1 else None
    weight = held.get(second.name) if isinstance(second, Ref) else None
    if (
        not isinstance(second, Ref)
        or weight is None
        or weight.dim() != 2
        or not weight.is_floating_point()
    ):
        return None
    settings = node.kwargs
    bias: list[Any] = []
    if node.op == "onnx.Gemm":
        if settings.get("transA") or settings.get("alpha", 1) != 1 or settings.get("beta", 1) != 1:
            return None
        bias = list(node.args[2:3])
        flat = held.get(bias[0].name) if bias and _is_ref(bias[0]) else None
        if bias and (flat is None or flat.dim() != 1):
            return None
    elif node.op != "onnx.MatMul":
        return None
    name = second.name
    if not (node.op == "onnx.Gemm" and settings.get("transB")):
        name += ".T"
        held.setdefault(name, weight.t().contiguous())
    return dataclasses.replace(
        node, op="aten.linear.default", args=(*node.args[:1], Ref(name), *bias), kwargs={}
    )


def _is_ref(value: Any) -> bool:
    return isinstance(value, Ref)


def _biased(node: Node, view: _View) -> Node | None:
    """A linear layer and the bias added to it."""
    if node.op not in _ADD or node.kwargs or len(node.args) != 2:
        return None
    for one, other in (node.args, node.args[::-1]):
        linear, bias = view.made_by(one, "aten.linear.default"), view.constant(other)
        if linear is None or bias is None or len(linear.args) != 2 or bias.dim() != 1:
            continue
        width = view.tensors[linear.args[1].name].shape[0]
        if bias.shape[0] == width and view.takers[one.name] == 1:
            return dataclasses.replace(linear, args=(*linear.args, other), results=node.results)
    return None


def _factors(node: Node, view: _View) -> list[Any]:
    """What is multiplied, products of products opened."""
    found: list[Any] = []
    for value in node.args:
        inner = view.made_by(value, *_MUL)
        once = isinstance(value, Ref) and view.takers[value.name] == 1
        found += _factors(inner, view) if inner is not None and once else [value]
    return found


def _gelu(node: Node, view: _View) -> Node | None:
    """x (1 + erf(x / √2)) / 2, in any order of the factors."""
    if node.op not in _MUL:
        return None
    factors = _factors(node, view)
    halves = [value for value in factors if view.number(value) == 0.5]
    for value in factors:
        added = view.made_by(value, *_ADD)
        if added is None or len(factors) != 3 or len(halves) != 1:
            continue
        erf = next((view.made_by(part, "aten.erf.default") for part in added.args
                    if view.made_by(part, "aten.erf.default")), None)  # fmt: skip
        if erf is None or 1.0 not in [view.number(part) for part in added.args]:
            continue
        scaled = view.made_by(erf.args[0], *_DIV, *_MUL)
        if scaled is None or not _is_ref(scaled.args[0]):
            continue
        x, scale = scaled.args[0], view.number(scaled.args[1])
        wanted = math.sqrt(2) if scaled.op in _DIV else math.sqrt(0.5)
        rest = [part for part in factors if part is not value and part is not halves[0]]
        if scale is not None and abs(scale - wanted) < 1e-4 and rest == [x]:
            return dataclasses.replace(
                node, op="aten.gelu.default", args=(x,), word="gelu", path=scaled.path
            )
    return None


def _silu(node: Node, view: _View) -> Node | None:
    """x σ(x)."""
    if node.op not in _MUL or len(node.args) != 2:
        return None
    for x, other in (node.args, node.args[::-1]):
        gate = view.made_by(other, "aten.sigmoid.default")
        if gate is not None and gate.args == (x,) and view.takers[other.name] == 1:
            return dataclasses.replace(
                node, op="aten.silu.default", args=(x,), word="silu", path=gate.path
            )
    return None


def _named(graph: Graph, weights: Mapping[str, str]) -> list[Node]:
    """Layers named after their modules, with the word behind where a module is more than one."""
    modules = [(node.path.rpartition(":")[0], "") for node in graph.nodes]
    words: dict[str, set[str]] = {}
    for node, (path, _) in zip(graph.nodes, modules, strict=True):
        words.setdefault(path, set()).add(node.op)
    paths = layer_paths(modules, weights)
    named = []
    for node, path in zip(graph.nodes, paths, strict=True):
        plain = path.rstrip(":")
        alone = not path.endswith(":") and len(words[plain]) == 1
        shown = plain if alone and plain else ".".join(filter(None, (plain, node.word)))
        named.append(dataclasses.replace(node, path=shown if node.word else ""))
    return named
