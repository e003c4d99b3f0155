"""Hostile .pt2 archives: no code of theirs runs, little memory is used, each gets one sentence.

The first eight are the ways in which `torch.export.load` of torch 2.13 runs what a file brings
along (or uses it, as native code); their code would leave a marker.
"""

from __future__ import annotations

import pickle
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pt2_files import Archive, call, meta, named, sizes

from introspect.errors import BadInput
from introspect.formats.network import GraphNetwork
from introspect.formats.pt2 import read_pt2
from introspect.formats.sniff import sniff

MEMORY = 1 << 30
"""Address space that reading may take beyond what the test started with."""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def bounded():
    """No more memory than `MEMORY` beyond what there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class _Touch:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_the_archive_that_the_hostile_ones_are_made_of_is_read(tmp_path: Path) -> None:
    made = Archive()
    file = made.write(tmp_path / "good.pt2")
    assert sniff(file).kind == "pt2"
    net = GraphNetwork(*read_pt2(file))
    x = torch.randn(3, 4)
    torch.testing.assert_close(net(x), torch.relu(x @ made.weight.T + 1))


# ---------------------------------------------------------------- what runs code elsewhere
def pickled(marker: Path) -> bytes:
    return pickle.dumps(_Touch(marker))


def test_sample_inputs_that_are_a_pickle_are_never_opened(tmp_path: Path, marker: Path) -> None:
    made = Archive()
    made.members["data/sample_inputs/model.pt"] = pickled(marker)
    read_pt2(made.write(tmp_path / "a.pt2"))
    assert not marker.exists()


def test_expressions_of_sizes_are_never_evaluated(tmp_path: Path, marker: Path) -> None:
    made = Archive()
    code = f"open({str(marker)!r}, 'w')"
    made.values["x"]["sizes"][0] = {"as_expr": {"expr_str": code, "hint": {"as_int": 2}}}
    made.extra["range_constraints"] = {code: {"min_val": 1, "max_val": 9}}
    read_pt2(made.write(tmp_path / "a.pt2"))
    assert not marker.exists()


def test_guards_are_never_compiled(tmp_path: Path, marker: Path) -> None:
    made = Archive()
    made.extra["guards_code"] = [f"open({str(marker)!r}, 'w') is not None"]
    GraphNetwork(*read_pt2(made.write(tmp_path / "a.pt2")))(torch.ones(2, 4))
    assert not marker.exists()


def test_names_that_are_code_are_only_names(tmp_path: Path, marker: Path) -> None:
    made = Archive()
    name = f"x=open({str(marker)!r}, 'w')"
    made.inputs[2] = {"user_input": {"arg": named(name)}}
    made.values = {name: made.values["x"]}
    made.nodes[0]["inputs"][0]["arg"] = named(name)
    graph, tensors = read_pt2(made.write(tmp_path / "a.pt2"))
    GraphNetwork(graph, tensors)(torch.ones(2, 4))
    assert not marker.exists() and "(" not in graph.input


def _weights_pickle(made: Archive, marker: Path) -> None:
    made.weights["fc.weight"]["use_pickle"] = True
    made.members["data/weights/weight_0"] = pickled(marker)


def _opaque_constant(made: Archive, marker: Path) -> None:
    made.constants["it"] = made.payload("opaque_obj_0", (1,), use_pickle=True, tensor_meta=None)
    made.members["data/constants/opaque_obj_0"] = pickled(marker)


def _custom_constant(made: Archive, marker: Path) -> None:
    made.constants["it"] = made.payload("custom_obj_0", (1,), use_pickle=False)
    made.members["data/constants/custom_obj_0"] = pickled(marker)


def _file_operator(made: Archive, marker: Path) -> None:
    args = ({"as_string": str(marker)}, {"as_bool": True}, {"as_int": 64})
    made.nodes.insert(0, call("torch.ops.aten.from_file.default", "file", *args))


def _native(made: Archive, marker: Path) -> None:
    made.members["data/aotinductor/model/net.so"] = b"\x7fELF"


# ---------------------------------------------------------------- what is merely wrong
def _function(made: Archive, marker: Path) -> None:
    made.nodes[1]["target"] = "torch.serialization.os.mknod"


def _out_variant(made: Archive, marker: Path) -> None:
    made.nodes[1]["target"] = "torch.ops.aten.relu.out"


def _attribute(made: Archive, marker: Path) -> None:
    made.nodes[1]["target"] = "torch.ops.aten.relu.__class__"


def _stranger(made: Archive, marker: Path) -> None:
    made.nodes[1]["target"] = "torch.ops.mylib.relu.default"


def _strided(made: Archive, marker: Path) -> None:
    made.nodes[1] = call(
        "torch.ops.aten.as_strided.default", "relu", named("linear"), {"as_ints": [1 << 20]},
        {"as_ints": [1]},
    )  # fmt: skip


def _circle(made: Archive, marker: Path) -> None:
    made.nodes[0]["inputs"][0]["arg"] = named("relu")


def _twice(made: Archive, marker: Path) -> None:
    made.nodes[1]["outputs"] = [named("linear")]
    made.outputs = [{"user_output": {"arg": named("linear")}}]


def _subgraph(made: Archive, marker: Path) -> None:
    made.nodes[1]["inputs"][0]["arg"] = {"as_graph": {"name": "g", "graph": {}}}


def _object_input(made: Archive, marker: Path) -> None:
    made.inputs.append({"custom_obj": {"arg": {"name": "o"}, "custom_obj_name": "o"}})


def _huge_shape(made: Archive, marker: Path) -> None:
    made.weights["fc.weight"]["tensor_meta"] = meta((2**40, 4))


def _repeating_view(made: Archive, marker: Path) -> None:
    made.weights["fc.weight"]["tensor_meta"] = meta((2**39, 4), strides=sizes(0, 1))


def _beyond_bytes(made: Archive, marker: Path) -> None:
    made.weights["fc.bias"]["tensor_meta"]["storage_offset"] = {"as_int": 10}


def _negative(made: Archive, marker: Path) -> None:
    made.weights["fc.weight"]["tensor_meta"]["strides"] = sizes(-4, 1)


def _expression_weight(made: Archive, marker: Path) -> None:
    made.weights["fc.bias"]["tensor_meta"]["sizes"] = [{"as_expr": {"expr_str": "3"}}]


def _sparse(made: Archive, marker: Path) -> None:
    made.weights["fc.weight"]["tensor_meta"]["layout"] = 1


def _cut_short(made: Archive, marker: Path) -> None:
    made.members["data/weights/weight_0"] = b"abc"


def _missing(made: Archive, marker: Path) -> None:
    del made.members["data/weights/weight_1"]


def _not_a_number(made: Archive, marker: Path) -> None:
    made.members["data/weights/weight_1"] = struct.pack("<3f", 1, float("nan"), 2)


def _many_tensors(made: Archive, marker: Path) -> None:
    made.weights |= {f"w{i}": {} for i in range(60_000)}


def _many_nodes(made: Archive, marker: Path) -> None:
    made.nodes = [{}] * 60_000


def _huge_value(made: Archive, marker: Path) -> None:
    size = {"as_ints": [2**20, 2**20]}
    made.nodes[1] = call("torch.ops.aten.expand.default", "relu", named("linear"), size)
    one = call("torch.ops.aten.ones.default", "linear", {"as_ints": [1, 1]})
    made.nodes[0] = one
    made.nodes.append(call("torch.ops.aten.add.Tensor", "sum", named("relu"), named("x")))
    made.outputs = [{"user_output": {"arg": named("sum")}}]


def _huge_repeat(made: Archive, marker: Path) -> None:
    times = {"as_ints": [1, 2**36]}
    made.nodes[1] = call("torch.ops.aten.repeat.default", "relu", named("linear"), times)


def _growing_number(made: Archive, marker: Path) -> None:
    def size(name: str) -> dict:
        return {"as_sym_int": {"as_name": name}}

    made.nodes.append(
        call("torch.ops.aten.sym_size.int", "s0", named("x"), {"as_int": 1}, outputs=[size("s0")])
    )
    for i in range(60):
        made.nodes.append(
            call("_operator.mul", f"s{i + 1}", size(f"s{i}"), size(f"s{i}"),
                 outputs=[size(f"s{i + 1}")])
        )  # fmt: skip
    sides = {"as_sym_ints": [{"as_name": "s60"}]}
    made.nodes.append(call("torch.ops.aten.reshape.default", "end", named("relu"), sides))
    made.outputs = [{"user_output": {"arg": named("end")}}]


def _wrong_state(made: Archive, marker: Path) -> None:
    # torch's own LSTM reads past the states where their batch is too small, and crashes.
    made.nodes = [
        call("torch.ops.aten.view.default", "v", named("x"), {"as_ints": [1, 1, -1]}),
        call("torch.ops.aten.lstm.input", "y", named("v"),
             {"as_tensors": [{"name": "p_b"}, {"name": "p_b"}]},
             {"as_tensors": [{"name": "p_w"}, {"name": "p_w"}]},
             {"as_bool": False}, {"as_int": 1}, {"as_float": 0.0}, {"as_bool": False},
             {"as_bool": False}, {"as_bool": True},
             outputs=[named("y"), named("h"), named("c")]),
    ]  # fmt: skip
    made.outputs = [{"user_output": {"arg": named("y")}}]


def _schema(made: Archive, marker: Path) -> None:
    made.version = 99


def _old(made: Archive, marker: Path) -> None:
    del made.members["archive_format"]


def _big_endian(made: Archive, marker: Path) -> None:
    made.members["byteorder"] = b"big"


def _two_models(made: Archive, marker: Path) -> None:
    made.members["models/other.json"] = b"{}"


def _escape(made: Archive, marker: Path) -> None:
    made.members["../../marker"] = b"x"


def _no_document(made: Archive, marker: Path) -> None:
    made.members["models/model.json"] = b"[]"


def _deep(made: Archive, marker: Path) -> None:
    made.members["models/model.json"] = b"[" * 100_000


def _nested_argument(made: Archive, marker: Path) -> None:
    made.nodes[1]["inputs"][0]["arg"] = {"as_int_lists": [[[[[[1]]]]]]}


REFUSED: dict[str, tuple[Callable[[Archive, Path], None], str]] = {
    "a pickled weight": (_weights_pickle, "Python object"),
    "an opaque constant": (_opaque_constant, "Python object"),
    "a custom constant": (_custom_constant, "Python object"),
    "an operator that makes files": (_file_operator, "not on the list"),
    "a native library": (_native, "AOTInductor"),
    "a function of Python": (_function, "not on the list"),
    "an operator that writes elsewhere": (_out_variant, "not on the list"),
    "an attribute of an operator": (_attribute, "not on the list"),
    "an operator of a stranger": (_stranger, "not on the list"),
    "a view of any memory": (_strided, "not on the list"),
    "a circle": (_circle, "circle"),
    "a value made twice": (_twice, "twice"),
    "a graph as an argument": (_subgraph, "no tensor or number"),
    "an object as an input": (_object_input, "needs an object"),
    "a shape of 2^42": (_huge_shape, "larger than what is stored|damaged"),
    "a view that repeats itself": (_repeating_view, "larger than what is stored"),
    "a view beyond its bytes": (_beyond_bytes, "larger than what is stored"),
    "a negative stride": (_negative, "damaged"),
    "a size that is an expression": (_expression_weight, "damaged"),
    "a sparse tensor": (_sparse, "type that is not read"),
    "bytes cut short": (_cut_short, "cut short"),
    "a tensor that is missing": (_missing, "missing"),
    "weights that are no numbers": (_not_a_number, "NaN"),
    "60,000 tensors": (_many_tensors, "at most 50,000"),
    "60,000 operations": (_many_nodes, "at most 50,000"),
    "a value of 4 TB": (_huge_value, "more than"),
    "a repeat to 1 TB": (_huge_repeat, "more than"),
    "a number squared 60 times": (_growing_number, "does not fit"),
    "states of another shape": (_wrong_state, "impossible shapes|does not fit"),
    "a version to come": (_schema, "version 99"),
    "an archive of old": (_old, "before 2.8"),
    "bytes the other way round": (_big_endian, "big-endian"),
    "two models": (_two_models, "holds 2 models"),
    "a member that leaves the folder": (_escape, "bad name"),
    "a document that is a list": (_no_document, "damaged"),
    "a document nested 100,000 deep": (_deep, "deep|damaged"),
    "an argument nested too deep": (_nested_argument, "too deep"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_archive_is_refused_in_one_sentence(
    kind: str, tmp_path: Path, marker: Path, bounded: None
) -> None:
    change, words = REFUSED[kind]
    made = Archive()
    change(made, marker)
    file = made.write(tmp_path / "hostile.pt2")
    start = time.process_time()
    with pytest.raises(BadInput, match=words) as refused:
        read_pt2(file)
    assert time.process_time() - start < 20
    assert not marker.exists()
    sentence = str(refused.value)
    assert len(sentence) < 400 and "\n" not in sentence and sentence.endswith(".")
