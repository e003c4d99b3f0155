"""Writes archives like torch.export's field by field, right ones and hostile ones."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import torch


def sizes(*numbers: int) -> list[dict[str, int]]:
    return [{"as_int": number} for number in numbers]


def meta(shape: tuple[int, ...], dtype: int = 7, **changes: Any) -> dict[str, Any]:
    """How a tensor lies in its bytes: rows one after the other."""
    strides = [1]
    for side in reversed(shape[1:]):
        strides.insert(0, strides[0] * side)
    told = {
        "dtype": dtype,
        "sizes": sizes(*shape),
        "requires_grad": False,
        "device": {"type": "cpu", "index": None},
        "strides": sizes(*strides[: len(shape)]),
        "storage_offset": {"as_int": 0},
        "layout": 7,
    }
    return told | changes


def named(name: str) -> dict[str, Any]:
    return {"as_tensor": {"name": name}}


def call(target: str, result: str, *args: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One node of the graph."""
    given = [{"name": "", "arg": arg, "kind": 1} for arg in args]
    return {"target": target, "inputs": given, "outputs": [named(result)], "metadata": {}} | changes


class Archive:
    """A network of one linear layer and a ReLU; tests change what they want to be wrong."""

    def __init__(self) -> None:
        batch = {"as_expr": {"expr_str": "Symbol('s0', positive=True)", "hint": {"as_int": 2}}}
        self.weight = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 10 - 0.4
        self.nodes = [
            call("torch.ops.aten.linear.default", "linear", named("x"), named("p_w"), named("p_b")),
            call("torch.ops.aten.relu.default", "relu", named("linear")),
        ]
        self.values: dict[str, Any] = {"x": meta((2, 4))}
        self.values["x"]["sizes"] = [batch, {"as_int": 4}]
        self.inputs: list[dict[str, Any]] = [
            {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "fc.weight"}},
            {"parameter": {"arg": {"name": "p_b"}, "parameter_name": "fc.bias"}},
            {"user_input": {"arg": named("x")}},
        ]
        self.outputs: list[dict[str, Any]] = [{"user_output": {"arg": named("relu")}}]
        self.weights: dict[str, Any] = {
            "fc.weight": self.payload("weight_0", (3, 4)),
            "fc.bias": self.payload("weight_1", (3,)),
        }
        self.constants: dict[str, Any] = {}
        self.version: Any = 8
        self.extra: dict[str, Any] = {"guards_code": []}
        self.members: dict[str, bytes] = {
            "archive_format": b"pt2",
            "byteorder": b"little",
            "data/weights/weight_0": self.weight.numpy().tobytes(),
            "data/weights/weight_1": torch.ones(3).numpy().tobytes(),
        }
        self.root = "net"

    @staticmethod
    def payload(path: str, shape: tuple[int, ...], **changes: Any) -> dict[str, Any]:
        told = {"path_name": path, "is_param": True, "use_pickle": False}
        return told | {"tensor_meta": meta(shape)} | changes

    def document(self) -> dict[str, Any]:
        graph = {
            "inputs": [],
            "outputs": [],
            "nodes": self.nodes,
            "tensor_values": self.values,
            "sym_int_values": {},
            "sym_bool_values": {},
        }
        signature = {"input_specs": self.inputs, "output_specs": self.outputs}
        module = {"graph": graph, "signature": signature, "module_call_graph": []}
        version = {"major": self.version, "minor": 20}
        told = {"graph_module": module, "schema_version": version, "torch_version": "2.13.0"}
        return copy.deepcopy(told) | self.extra

    def listed(self) -> dict[str, bytes]:
        """Every member's bytes."""
        found = {"models/model.json": json.dumps(self.document()).encode()}
        found["data/weights/model_weights_config.json"] = json.dumps(
            {"config": self.weights}
        ).encode()
        found["data/constants/model_constants_config.json"] = json.dumps(
            {"config": self.constants}
        ).encode()
        return found | self.members

    def write(self, path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, raw in self.listed().items():
                archive.writestr(f"{self.root}/{name}", raw)
        return path
