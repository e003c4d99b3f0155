"""ONNX files of torch's two exporters, opset 13 to 20: the network they were made from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from architectures import made
from graph_checks import compare, network
from onnx_files import floats, ints, model, node, tensor, value

from introspect.errors import BadInput
from introspect.formats.onnx import read_onnx
from introspect.formats.onnx_file import parse_onnx

FILES = sorted((Path(__file__).parent / "exported").glob("*.onnx"))


def test_every_opset_that_is_read_has_a_file() -> None:
    assert {parse_onnx(file).opset for file in FILES} == set(range(13, 21))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_exported_file_is_the_network_itself(file: Path) -> None:
    module, shape = made(file.stem.split("-")[0])
    graph, tensors = read_onnx(file)
    assert graph.input_shape == shape
    normed = any("running_mean" in name for name in module.state_dict())
    compare(network(graph, tensors), module, shape, fused=normed)


def run(tmp_path: Path, opset: int, shape: list[int], *nodes: bytes, **tensors: torch.Tensor):
    """What a file of these operators, from x to y, makes of random inputs; and the inputs."""
    file = tmp_path / "net.onnx"
    file.write_bytes(
        model(
            list(nodes),
            [tensor(name, given) for name, given in tensors.items()],
            [value("x", ["batch", *shape])],
            [value("y", [])],
            opset,
        )
    )
    graph, held = read_onnx(file)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    return network(graph, held)(x), x


CASES = {
    "Relu": (node("Relu", "x", "y"), [4], torch.relu),
    "Elu": (node("Elu", "x", "y", alpha=0.5), [4], lambda x: F.elu(x, 0.5)),
    "LeakyRelu": (node("LeakyRelu", "x", "y", alpha=0.2), [4], lambda x: F.leaky_relu(x, 0.2)),
    "HardSigmoid": (node("HardSigmoid", "x", "y"), [4], lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "Softmax": (node("Softmax", "x", "y"), [4], lambda x: x.softmax(-1)),
    "Flatten": (node("Flatten", "x", "y", axis=1), [2, 3], lambda x: x.flatten(1)),
    "Transpose": (
        node("Transpose", "x", "y", perm=ints(0, 2, 1)), [2, 3], lambda x: x.transpose(1, 2)
    ),
    "AveragePool": (
        node("AveragePool", "x", "y", kernel_shape=ints(2, 2), pads=ints(0, 0, 1, 1)), [1, 3, 3],
        lambda x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1)
        / F.avg_pool2d(F.pad(torch.ones_like(x), (0, 1, 0, 1)), 2, 1),
    ),
    "MaxPool same": (
        node("MaxPool", "x", "y", kernel_shape=ints(3, 3), strides=ints(2, 2),
             auto_pad="SAME_UPPER"), [1, 5, 5], lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    "ReduceMean": (
        node("ReduceMean", "x", "y", axes=ints(1), keepdims=0), [3, 2], lambda x: x.mean(1)
    ),
    "LRN": (node("LRN", "x", "y", size=3), [4, 2, 2], lambda x: F.local_response_norm(x, 3)),
    "DepthToSpace": (
        node("DepthToSpace", "x", "y", blocksize=2, mode="CRD"), [4, 2, 2],
        lambda x: F.pixel_shuffle(x, 2),
    ),
    "Einsum": (node("Einsum", "x x", "y", equation="bi,bi->bi"), [3], torch.square),
    "LpNormalization": (
        node("LpNormalization", "x", "y", axis=-1), [4], lambda x: F.normalize(x, dim=-1)
    ),
    "Trilu": (node("Trilu", "x", "y", upper=0), [3, 3], torch.tril),
    "Mean": (node("Mean", "x x", "y"), [3], lambda x: x),
    "ReduceL2": (
        node("ReduceL2", "x", "y", axes=ints(1), keepdims=1), [4],
        lambda x: x.norm(dim=1, keepdim=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    written, shape, wanted = CASES[name]
    got, x = run(tmp_path, 17, shape, written)
    torch.testing.assert_close(got, wanted(x))


def test_slices_go_forwards_and_backwards(tmp_path: Path) -> None:
    sizes = {"a": [5, 0], "b": [-100, 4], "c": [1, 2], "d": [-2, 1]}
    given = {name: torch.tensor(numbers) for name, numbers in sizes.items()}
    got, x = run(tmp_path, 13, [6, 5], node("Slice", "x a b c d", "y"), **given)
    torch.testing.assert_close(got, x.flip(1)[:, ::2, :4])


def test_reshape_keeps_sides_of_zero_and_infers_one(tmp_path: Path) -> None:
    got, x = run(tmp_path, 14, [2, 6], node("Reshape", "x s", "y"), s=torch.tensor([0, -1, 3]))
    torch.testing.assert_close(got, x.reshape(3, 4, 3))


def test_sizes_computed_from_the_input_are_followed(tmp_path: Path) -> None:
    got, x = run(
        tmp_path, 15, [4, 3],
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Concat", "n rest", "to", axis=0),
        node("Reshape", "x to", "y"),
        zero=torch.tensor([0]), rest=torch.tensor([12]),
    )  # fmt: skip
    torch.testing.assert_close(got, x.reshape(3, 12))


def test_gelu_and_silu_in_pieces_are_one_layer_each(tmp_path: Path) -> None:
    file = tmp_path / "pieces.onnx"
    pieces = [
        node("Div", "x root", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"),
        node("Mul", "x c", "d"), node("Mul", "d half", "e"),
        node("Sigmoid", "e", "f"), node("Mul", "e f", "y"),
    ]  # fmt: skip
    numbers = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    held = [tensor(name, torch.tensor(number)) for name, number in numbers.items()]
    file.write_bytes(model(pieces, held, [value("x", ["n", 4])], [value("y", [])], 13))
    graph, tensors = read_onnx(file)
    assert [node.word for node in graph.nodes] == ["gelu", "silu"]
    x = torch.randn(3, 4)
    torch.testing.assert_close(network(graph, tensors)(x), F.silu(F.gelu(x)))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gru_has_its_gates_in_torchs_order(tmp_path: Path, bidirectional: bool) -> None:
    torch.manual_seed(5)
    gru = torch.nn.GRU(4, 3, bidirectional=bidirectional)
    ways = ["", "_reverse"][: 1 + bidirectional]

    def turned(name: str) -> torch.Tensor:
        parts = [getattr(gru, f"{name}_l0{way}").detach().chunk(3) for way in ways]
        return torch.stack([torch.cat([z, r, n]) for r, z, n in parts])

    got, x = run(
        tmp_path, 14, [2, 4],
        node("Transpose", "x", "t", perm=ints(1, 0, 2)),
        node("GRU", "t w r b", "s ", hidden_size=3, linear_before_reset=1,
             direction="bidirectional" if bidirectional else "forward"),
        node("ReduceSum", "s one", "u", keepdims=0),
        node("Transpose", "u", "y", perm=ints(1, 0, 2)),
        w=turned("weight_ih"), r=turned("weight_hh"),
        b=torch.cat([turned("bias_ih"), turned("bias_hh")], 1), one=torch.tensor([1]),
    )  # fmt: skip
    wanted = gru(x.transpose(0, 1))[0].unflatten(-1, (len(ways), 3)).sum(2).transpose(0, 1)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("opset", [12, 21, 0])
def test_other_opsets_are_refused_with_the_one_to_ask_for(tmp_path: Path, opset: int) -> None:
    with pytest.raises(BadInput, match=re.escape("opset_version=18")):
        run(tmp_path, opset, [4], node("Relu", "x", "y"))


def test_numbers_may_be_packed_or_not_and_in_halves(tmp_path: Path) -> None:
    w = torch.randn(4, 2).half()
    nodes = [node("Cast", "w", "v", to=1), node("MatMul", "x v", "y")]
    got, x = run(tmp_path, 16, [4], *nodes, w=w)
    torch.testing.assert_close(got, x @ w.float())
    file = tmp_path / "listed.onnx"
    listed = tensor("k", torch.tensor([0.5, 2.0, 1.0]), as_list=True)
    last = floats(1.0)  # a setting that Relu does not have and that is not looked at
    assert last
    file.write_bytes(
        model([node("Mul", "x k", "y")], [listed], [value("x", ["n", 3])], [value("y", [])], 13)
    )
    graph, held = read_onnx(file)
    torch.testing.assert_close(
        network(graph, held)(torch.ones(2, 3)), torch.tensor([[0.5, 2.0, 1.0]] * 2)
    )
