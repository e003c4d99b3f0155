"""Graphs that need memory before any input comes: numbers that only tell sizes have a bound too."""

from __future__ import annotations

import resource
import time
from typing import Any

import pytest
import torch

from introspect.errors import BadInput
from introspect.formats.graph import Batch, Graph, Node, Numbers, Ref
from introspect.formats.sizes import check_sizes

LONG = Numbers((2**12, 2**12), (2,))


def node(op: str, result: str, *args: Any, **settings: Any) -> Node:
    return Node(op=op, args=args, results=(result,), kwargs=settings)


def graph(*nodes: Node) -> Graph:
    last = node("aten.relu.default", "y", Ref("x"))
    return Graph(input="x", input_shape=(4,), weights={}, nodes=(*nodes, last), output="y")


def filled(name: str) -> Node:
    return node("onnx.ConstantOfShape", name, LONG)


HOSTILE = {
    "a hundred constants": [filled(f"c{i}") for i in range(100)],
    "a table of two lists": [
        node("onnx.ConstantOfShape", "a", Numbers((2**18, 1), (2,))),
        node("onnx.ConstantOfShape", "b", Numbers((1, 2**18), (2,))),
        node("aten.add.Tensor", "c", Ref("a"), Ref("b")),
    ],
    "a list that is stretched, then used": [
        node("onnx.ConstantOfShape", "a", Numbers((1, 1), (2,))),
        node("onnx.Expand", "b", Ref("a"), [2**14, 2**14]),
        node("onnx.Mul", "c", Ref("b"), Ref("b")),
    ],
    "a list that doubles": [
        filled("c0"), *(node("onnx.Concat", f"c{i + 1}", Ref(f"c{i}"), Ref(f"c{i}"), axis=0)
                        for i in range(20)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_only_tells_sizes_may_not_fill_the_memory(kind: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(BadInput, match="only to tell sizes|more than"):
        check_sizes(graph(*HOSTILE[kind]), {})
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) < (600 << 10) and time.process_time() - start < 5


def test_masks_and_states_of_usual_size_are_made() -> None:
    made = graph(
        node("onnx.ConstantOfShape", "mask", Numbers((1, 12, 197, 197), (4,))),
        node("onnx.Trilu", "tri", Ref("mask"), 1),
        node("onnx.Shape", "s", Ref("x")),
        node("onnx.Gather", "m", Ref("s"), Numbers((0,), (1,))),
        node("onnx.Expand", "all", Ref("tri"), [Batch(1, 1), 12, 197, 197]),
        node("onnx.Range", "r", 0, 4096, 1),
    )
    assert check_sizes(made, {})


def test_a_list_of_sizes_as_long_as_a_tensor_is_not_read() -> None:
    long = [node("onnx.Range", "r", 0, 2**20, 1), node("onnx.Reshape", "t", Ref("x"), Ref("r"))]
    assert not check_sizes(graph(*long), {})


def test_an_onnx_split_into_a_million_parts_is_not_made() -> None:
    from introspect.formats.onnx_operators import split

    with pytest.raises(ValueError, match="too fine"):
        split(torch.ones(1).expand(1 << 20), num_outputs=1 << 20)
