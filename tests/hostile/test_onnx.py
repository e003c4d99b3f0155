"""Hostile .onnx files: nothing outside of the file is touched, each gets one sentence."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from onnx_files import field, ints, model, node, tensor, value, varint

from introspect.errors import BadInput
from introspect.formats.network import GraphNetwork
from introspect.formats.onnx import read_onnx
from introspect.formats.sniff import sniff

MEMORY = 1 << 30
W = torch.arange(12, dtype=torch.float32).reshape(4, 3) / 10
X, Y = value("x", ["n", 4]), value("y", [])
LINEAR = node("MatMul", "x w", "y")


@pytest.fixture
def bounded():
    """No more memory than `MEMORY` beyond what there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def of(*nodes: bytes, opset: int = 17, x: bytes = X, extra: bytes = b"", **held) -> bytes:
    """A file of these operators with the weights w and others."""
    tensors = [tensor("w", W), *(tensor(name, given) for name, given in held.items())]
    return model(list(nodes), tensors, [x], [Y], opset, extra)


def with_tensor(raw: bytes) -> bytes:
    return model([LINEAR], [raw], [X], [Y])


def test_the_file_that_the_hostile_ones_are_made_of_is_read(tmp_path: Path) -> None:
    file = tmp_path / "good.onnx"
    file.write_bytes(of(LINEAR))
    assert sniff(file).kind == "onnx"
    x = torch.randn(3, 4)
    torch.testing.assert_close(GraphNetwork(*read_onnx(file))(x), x @ W)


def external(where: str) -> bytes:
    """A tensor whose bytes are said to be in another file."""
    place = field(1, "location") + field(2, where)
    return field(1, 4) + field(1, 3) + field(2, 1) + field(8, "w") + field(13, place) + field(14, 1)


BRANCH = field(1, "then_branch") + field(6, field(2, "inner")) + field(20, 5)

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "data in another file": (lambda: with_tensor(external("w.bin")), "another file"),
    "data in a file above": (lambda: with_tensor(external("../../etc/passwd")), "another file"),
    "data at an absolute place": (lambda: with_tensor(external("/etc/passwd")), "another file"),
    "a constant in another file": (
        lambda: of(node("Constant", "", "w2", value=field(5, external("/etc/passwd")))),
        "another file",
    ),
    "an operator of a stranger": (
        lambda: of(node("Gelu", "x", "y", domain="com.microsoft")), "not one of ONNX itself",
    ),
    "an unknown operator": (lambda: of(node("ReadFile", "x", "y")), "not on the list"),
    "a name of Python": (lambda: of(node("__class__", "x", "y")), "not on the list"),
    "an If": (lambda: of(node("If", "x", "y", then_branch=BRANCH)), "program inside"),
    "a function of its own": (lambda: of(LINEAR, extra=field(25, b"\x0a\x01f")), "of its own"),
    "values that decide sizes": (lambda: of(node("NonZero", "x", "y")), "not on the list"),
    "random numbers": (lambda: of(node("RandomNormalLike", "x", "y")), "not on the list"),
    "a circle": (
        lambda: of(node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")),
        "circle",
    ),
    "a value made twice": (
        lambda: of(node("Relu", "x", "y"), node("Relu", "x", "y")), "twice",
    ),
    "the input made again": (lambda: of(node("Relu", "x", "x")), "twice"),
    "an output that nothing makes": (lambda: of(node("Relu", "x", "z")), "nothing makes"),
    "two tensors of one name": (
        lambda: model([LINEAR], [tensor("w", W), tensor("w", W)], [X], [Y]), "two tensors",
    ),
    "a shape of 2^40": (lambda: with_tensor(tensor("w", W, [4, 2**40])), "impossible shape|stored"),
    "a shape larger than its bytes": (lambda: with_tensor(tensor("w", W, [4, 2**30])), "stored"),
    "a negative side": (lambda: with_tensor(tensor("w", W, [-4, 3])), "impossible shape"),
    "twenty axes": (lambda: with_tensor(tensor("w", W, [1] * 20)), "impossible shape"),
    "an unknown type": (
        lambda: with_tensor(field(1, 3) + field(2, 99) + field(8, "w") + field(9, bytes(12))),
        "type that is not read",
    ),
    "strings for weights": (
        lambda: with_tensor(field(1, 1) + field(2, 8) + field(8, "w") + field(6, b"s")),
        "type that is not read",
    ),
    "a sparse tensor": (
        lambda: field(1, 8) + field(7, field(15, b"")) + field(8, field(2, 17)), "sparse",
    ),
    "weights that are no numbers": (
        lambda: model([LINEAR], [tensor("w", W * float("nan"))], [X], [Y]), "NaN",
    ),
    "a constant of 4 TB": (
        lambda: of(node("ConstantOfShape", "s", "c"), node("Add", "x c", "y"),
                   s=torch.tensor([2**20, 2**20])), "cannot work",
    ),
    "a tile to 4 TB": (
        lambda: of(node("Tile", "x t", "y"), t=torch.tensor([1, 2**40])), "Export the model again",
    ),
    "a tile of constants to 1 TB": (
        lambda: of(node("Tile", "w t", "c"), node("MatMul", "x c", "y"),
                   t=torch.tensor([1, 2**37])), "cannot work",
    ),
    "a range without end": (
        lambda: of(node("Range", "a b c", "r"), node("Add", "x r", "y"), a=torch.tensor(0),
                   b=torch.tensor(2**50), c=torch.tensor(1)), "cannot work",
    ),
    "a range of no step": (
        lambda: of(node("Range", "a b c", "r"), node("Add", "x r", "y"), a=torch.tensor(0),
                   b=torch.tensor(9), c=torch.tensor(0)), "cannot work",
    ),
    "padding to 1 TB": (
        lambda: of(node("Pad", "x p", "y"), p=torch.tensor([0, 0, 0, 2**38])),
        "Export the model again",
    ),
    "an expand to 4 TB": (
        lambda: of(node("Expand", "o e", "z"), node("Add", "z x", "y"), o=torch.ones(1, 1),
                   e=torch.tensor([2**40, 4])), "more than|Export the model again",
    ),
    "a gru of impossible weights": (
        lambda: of(node("GRU", "x w r", "y", hidden_size=3, linear_before_reset=1),
                   r=torch.ones(1, 9, 3)), "impossible shape",
    ),
    "shapes that do not fit": (
        lambda: of(node("MatMul", "x v", "y"), v=torch.ones(5, 3)), "does not fit",
    ),
    "settings of the wrong kind": (
        lambda: of(node("Elu", "x", "y", alpha="much")), "cannot have",
    ),
    "an unheard-of setting": (
        lambda: of(node("Flatten", "x", "y", code="1")), "does not fit",
    ),
    "too few inputs": (lambda: of(node("MatMul", "x", "y")), "does not fit"),
    "no inputs": (lambda: of(node("Identity", "", "y")), "cannot have"),
    "two inputs": (
        lambda: model([LINEAR], [tensor("w", W)], [X, value("z", ["n", 4])], [Y]),
        "takes 2 inputs",
    ),
    "an input of open size": (
        lambda: of(LINEAR, x=value("x", ["n", "m"])), "leaves the input's size open",
    ),
    "an input of 2^40": (lambda: of(LINEAR, x=value("x", ["n", 2**40])), "impossible|does not"),
    "a length that lies": (lambda: field(1, 8) + varint(7 << 3 | 2) + varint(2**60), "damaged"),
    "a number that never ends": (lambda: b"\x08" + b"\xff" * 100, "damaged"),
    "nothing but zeros": (lambda: bytes(1000), "damaged"),
    "an empty file": (lambda: b"", "empty"),
    "50,001 operators": (
        lambda: of(*[node("Relu", "x", "y")] * 50_001), "more than 50,000|twice",
    ),
    "a network without a graph": (lambda: field(1, 8) + field(8, field(2, 17)), "damaged"),
    "a split into pieces of nothing": (
        lambda: of(node("Split", "x", "y", num_outputs=0), opset=18), "does not fit",
    ),
    "a pool without a window": (
        lambda: of(node("MaxPool", "x", "y", kernel_shape=ints())), "does not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_is_refused_in_one_sentence(kind: str, tmp_path: Path, bounded: None) -> None:
    make, words = REFUSED[kind]
    file = tmp_path / "hostile.onnx"
    file.write_bytes(make())
    start = time.process_time()
    with pytest.raises(BadInput, match=words) as refused:
        read_onnx(file)
    assert time.process_time() - start < 20
    sentence = str(refused.value)
    assert len(sentence) < 400 and "\n" not in sentence and sentence.endswith(".")


def test_every_changed_byte_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    raw = of(LINEAR, node("Relu", "y", "z"), node("Reshape", "z s", "t"), s=torch.tensor([0, 3]))
    random = torch.Generator().manual_seed(0)
    refused = 0
    file = tmp_path / "changed.onnx"
    for _ in range(300):
        changed = bytearray(raw)
        at = int(torch.randint(len(raw), (1,), generator=random))
        changed[at] ^= 1 << int(torch.randint(8, (1,), generator=random))
        file.write_bytes(changed)
        try:
            read_onnx(file)
        except BadInput:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("keep", [1, 10, 50, 90])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    raw = of(LINEAR)
    file = tmp_path / "cut.onnx"
    file.write_bytes(raw[: len(raw) * keep // 100])
    with pytest.raises(BadInput):
        read_onnx(file)
