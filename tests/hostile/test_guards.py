"""Operations of torch that read or write outside of their tensors if their arguments lie.

Without the guards each of these gives numbers from elsewhere in memory, or ends the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pt2_files import Archive, call, named

from introspect.errors import BadInput
from introspect.formats.graph import Graph, Node, Ref, document, parse_graph
from introspect.formats.network import GraphNetwork
from introspect.formats.operators import function_of, is_known
from introspect.formats.pt2 import read_pt2

X = torch.ones(2, 64, 8, 8)
ONE, MANY = torch.ones(1), torch.ones(64)
Q = torch.ones(2, 4, 16, 8)
SHORT = torch.ones(2, 4, 3, 8)

LIES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "one weight for 64 channels": (
        "_native_batch_norm_legit_no_training.default", (X, ONE, None, MANY, MANY, 0.1, 1e-5),
    ),
    "one mean for 64 channels": (
        "_native_batch_norm_legit_no_training.default", (X, None, None, ONE, MANY, 0.1, 1e-5),
    ),
    "one bias, in another of its names": (
        "_native_batch_norm_legit.default", (X, None, ONE, MANY, MANY, False, 0.1, 1e-5),
    ),
    "no mean in evaluation": (
        "native_batch_norm.default", (X, MANY, None, None, None, False, 0.1, 1e-5),
    ),
    "no statistics at all": (
        "_native_batch_norm_legit.no_stats", (X, None, None, False, 0.1, 1e-5),
    ),
    "a scale that needs 10 million weights a pixel": (
        "_upsample_bilinear2d_aa.default", (X, [4, 4], False, 1e-7, 1e-7),
    ),
    "a scale that no whole number holds": (
        "_upsample_bicubic2d_aa.default", (X, [4, 4], False, 1e-30, 1e-30),
    ),
    "a scale that is no number": (
        "upsample_nearest2d.default", (X, [4, 4], float("nan"), None),
    ),
    "a scale to one pixel": ("upsample_bilinear2d.default", (X, [1, 1], False, 1e-30, 0.125)),
    "fewer values than keys": ("scaled_dot_product_attention.default", (Q, Q, SHORT)),
    "fewer heads of values than of keys": (
        "scaled_dot_product_attention.default", (Q, Q, Q[:, :1]),
    ),
    "an lstm with the gates of a gru": (
        "lstm.input",
        (torch.ones(3, 2, 4), [torch.ones(1, 2, 5)] * 2, [torch.ones(15, 4), torch.ones(15, 5)],
         False, 1, 0.0, False, False, False),
    ),
    "a million pieces": ("unbind.int", (torch.ones(1).expand(1_000_000), 0)),
    "a million pieces of one": ("split.Tensor", (torch.ones(1).expand(1_000_000), 1)),
    "a million chunks": ("chunk.default", (torch.ones(1).expand(1_000_000), 1_000_000)),
    "ten million empty pieces": ("tensor_split.sections", (ONE, 10_000_000)),
}  # fmt: skip


@pytest.mark.parametrize("kind", LIES)
def test_operation_is_not_called_with_arguments_that_do_not_fit(kind: str) -> None:
    name, args = LIES[kind]
    function = function_of(f"aten.{name}")
    assert function is not None
    with pytest.raises(ValueError, match=r"do not fit each other|impossible shapes"):
        function(*args)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("_native_batch_norm_legit_no_training.default", (X, MANY, None, MANY, MANY, 0.1, 1e-5)),
        ("_upsample_bilinear2d_aa.default", (X, [4, 4], False, 0.5, 0.5)),
        ("_upsample_bilinear2d_aa.vec", (X, None, False, [0.3, 0.3])),
        ("upsample_nearest2d.default", (X, [20, 20], 2.5, 2.6)),
        ("upsample_bicubic2d.default", (X, [5, 3], False, None, None)),
        ("scaled_dot_product_attention.default", (Q, SHORT, SHORT)),
        ("split.Tensor", (X, 3, 1)),
        ("unbind.int", (X,)),
    ],
)
def test_honest_arguments_give_what_torch_gives(name: str, args: tuple[Any, ...]) -> None:
    function = function_of(f"aten.{name}")
    packet, _, overload = name.partition(".")
    theirs = getattr(getattr(torch.ops.aten, packet), overload)
    assert function is not None
    torch.testing.assert_close(function(*args), theirs(*args), rtol=0, atol=0)


def test_a_file_whose_norm_reads_beyond_its_weights_is_refused(tmp_path: Path) -> None:
    made = Archive()
    made.nodes[1] = call(
        "torch.ops.aten._native_batch_norm_legit_no_training.default", "relu", named("linear"),
        named("p_w"), named("p_b"), named("p_b"), named("p_b"), {"as_float": 0.1},
        {"as_float": 1e-5}, outputs=[named("relu"), named("m"), named("v")],
    )  # fmt: skip
    with pytest.raises(BadInput, match="does not fit"):
        read_pt2(made.write(tmp_path / "norm.pt2"))


def test_operations_that_write_over_what_they_are_given_are_unknown(tmp_path: Path) -> None:
    for op in ("max.dim_max", "min.dim_min", "topk.values", "div.out_mode", "add.out"):
        assert not is_known(f"aten.{op}")
    told = json.loads(json.dumps(document(read_pt2(Archive().write(tmp_path / "a.pt2"))[0])))
    told["nodes"][1] |= {
        "op": "onnx.MatMul",
        "args": [{"ref": "x"}, {"ref": "p_w"}],
        "kwargs": {"out": {"ref": "x"}},
    }
    with pytest.raises(BadInput, match="write over"):
        parse_graph(told, ["fc.weight", "fc.bias"])


@pytest.mark.parametrize("grad", [True, False])
def test_a_view_made_by_einsum_is_not_written_over(grad: bool) -> None:
    def node(op: str, result: str, *args: Any, word: str = "") -> Node:
        return Node(op=op, args=args, results=(result,), word=word, path=word)

    graph = Graph(
        input="x",
        input_shape=(3,),
        weights={"w": "w"},
        nodes=(
            node("aten.linear.default", "a", Ref("x"), Ref("w")),
            node("aten.einsum.default", "b", "ij->ji", [Ref("a")]),
            node("aten.relu.default", "c", Ref("a"), word="relu"),
            node("aten.transpose.int", "d", Ref("b"), 0, 1),
            node("aten.add.Tensor", "y", Ref("c"), Ref("d")),
        ),
        output="y",
    )
    w, x = torch.randn(3, 3), torch.randn(5, 3)
    run: Callable[[torch.Tensor], torch.Tensor] = GraphNetwork(graph, {"w": w})
    with torch.set_grad_enabled(grad):
        a = x @ w.T
        torch.testing.assert_close(run(x), a.relu() + a)
