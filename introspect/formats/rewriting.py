"""Turns an exported graph into one for looking at: in evaluation, and nothing written in place."""

from __future__ import annotations

import dataclasses
from typing import Any

from introspect.errors import BadInput
from introspect.formats.graph import Graph, Here, Node, Ref, rename, used
from introspect.formats.operators import (
    DROPPED,
    FACTORIES,
    TRAINING,
    VIEWS,
    argument_names,
    base,
    plain_name,
)


def evaluate_only(graph: Graph) -> Graph:
    """The graph in evaluation: dropouts left out, training switches of every operation off."""
    names: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = rename(node, names)
        if base(plain_name(node.op)) in DROPPED and node.args and isinstance(node.args[0], Ref):
            first = node.results[0]
            if first is not None:
                names[first] = node.args[0].name
            continue
        nodes.append(_switched_off(node))
    return _with_outputs(graph, nodes, names)


def _with_outputs(graph: Graph, nodes: list[Node], names: dict[str, str]) -> Graph:
    outputs = tuple(names.get(name, name) for name in graph.outputs)
    output = names.get(graph.output, graph.output)
    return dataclasses.replace(graph, nodes=tuple(nodes), output=output, outputs=outputs)


def _switched_off(node: Node) -> Node:
    name = base(node.op)
    wanted: dict[str, Any] = dict(TRAINING.get(name, {}))
    known = argument_names(node.op)
    if name == "instance_norm" and len(node.args) > 4:
        # With running statistics evaluation uses these, without them those of the input.
        wanted = {"use_input_stats": node.args[3] is None}
    if name in FACTORIES:
        wanted |= {"device": Here()}
    args, kwargs = list(node.args), dict(node.kwargs)
    for key, value in wanted.items():
        if key in known and known.index(key) < len(args):
            args[known.index(key)] = value
        elif key in known:
            kwargs[key] = value
    kwargs.pop("pin_memory", None)
    return dataclasses.replace(node, args=tuple(args), kwargs=kwargs)


def without_writing(graph: Graph) -> Graph:
    """The graph with every operation in place replaced by one that makes a new tensor.

    Whoever looks at the overwritten tensor later is given the new one.

    Raises:
        BadInput: another view of the overwritten memory is used later.
    """
    if all(plain_name(node.op) == node.op for node in graph.nodes):
        return graph
    last = {name: k for k, node in enumerate(graph.nodes) for name in used(node)}
    last |= dict.fromkeys((graph.output, *graph.outputs), len(graph.nodes))
    same: dict[str, str] = {}
    family: dict[str, str] = {}
    newest: dict[str, str] = {}
    nodes = []
    for k, node in enumerate(graph.nodes):
        plain = plain_name(node.op)
        renamed = rename(node, {n: newest.get(same.get(n, n), n) for n in used(node)})
        first = node.args[0].name if node.args and isinstance(node.args[0], Ref) else None
        result = node.results[0] if node.results else None
        if plain != node.op and first is not None and result is not None:
            mine, root = same.get(first, first), family.get(first, first)
            others = {
                name
                for name in {*family, root}
                if family.get(name, name) == root and same.get(name, name) != mine
            }
            if any(last.get(name, -1) > k for name in others):
                raise BadInput(
                    f"The network overwrites a part of a tensor that it uses again ({node.op}); "
                    "export it with this operation not in place."
                )
            same[result], family[result] = mine, root
            newest[mine] = result
            renamed = dataclasses.replace(renamed, op=plain)
        elif base(node.op) in VIEWS and first is not None:
            for name in node.results:
                if name is not None:
                    family[name] = family.get(first, first)
        nodes.append(renamed)
    names = {
        name: newest.get(same.get(name, name), name) for name in (graph.output, *graph.outputs)
    }
    return _with_outputs(graph, nodes, names)
