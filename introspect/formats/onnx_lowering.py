"""Operators of ONNX that torch has as well, and which inputs of the others are settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.graph import Node, Ref
from introspect.formats.onnx_file import Operator

Lowered = tuple[str, list[Any], dict[str, Any]] | None
"""Name in our table, arguments, keywords; None where the operator's own function is needed."""

LITERAL: dict[str, tuple[int, ...]] = {
    "Reshape": (1,), "Expand": (1,), "Slice": (1, 2, 3, 4), "Squeeze": (1,), "Unsqueeze": (1,),
    "Pad": (1, 2, 3), "Split": (1,), "Tile": (1,), "ConstantOfShape": (0,), "Clip": (1, 2),
    "Gather": (1,), "Range": (0, 1, 2), "TopK": (1,), "CumSum": (1,), "Resize": (1, 2, 3),
    "OneHot": (1,), "Trilu": (1,), "ReduceMean": (1,), "ReduceSum": (1,), "ReduceMax": (1,),
    "ReduceMin": (1,), "ReduceProd": (1,), "ReduceL1": (1,), "ReduceL2": (1,),
    "ReduceSumSquare": (1,), "ReduceLogSumExp": (1,),
}  # fmt: skip
"""Inputs that are sizes, places or bounds: numbers in the graph instead of tensors."""

_UNARY = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf", "Exp": "exp", "Log": "log",
    "Sqrt": "sqrt", "Neg": "neg", "Abs": "abs", "Reciprocal": "reciprocal", "Sin": "sin",
    "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos", "Atan": "atan", "Sinh": "sinh",
    "Cosh": "cosh", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign",
    "Not": "logical_not", "HardSwish": "hardswish", "Mish": "mish", "Softplus": "softplus",
    "IsNaN": "isnan", "IsInf": "isinf",
}  # fmt: skip


def _unary(name: str) -> Callable[[list[Any], Mapping[str, Any]], Lowered]:
    return lambda args, settings: None if settings else (f"aten.{name}.default", args, {})


def _scaled(name: str, default: float) -> Callable[[list[Any], Mapping[str, Any]], Lowered]:
    return lambda args, settings: (
        f"aten.{name}.default",
        [*args, float(settings.get("alpha", default))],
        {},
    )


def _elementwise(name: str) -> Callable[[list[Any], Mapping[str, Any]], Lowered]:
    """Between two tensors torch's own; with a plain number Python's sign does."""

    def lower(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
        if len(args) == 2 and all(isinstance(value, Ref) for value in args):
            return f"aten.{name}.Tensor", args, {}
        return None

    return lower


def _softmax(name: str) -> Callable[[list[Any], Mapping[str, Any]], Lowered]:
    return lambda args, settings: (f"aten.{name}.int", [*args, int(settings.get("axis", -1))], {})


def _gelu(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
    kind = str(settings.get("approximate", "none"))
    return "aten.gelu.default", args, {"approximate": kind}


def _selu(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
    usual = abs(float(settings.get("alpha", 1.67326)) - 1.67326) < 1e-4
    usual &= abs(float(settings.get("gamma", 1.0507)) - 1.0507) < 1e-4
    return ("aten.selu.default", args, {}) if usual else None


def _hard_sigmoid(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
    usual = abs(float(settings.get("alpha", 0.2)) - 1 / 6) < 1e-4
    usual &= float(settings.get("beta", 0.5)) == 0.5
    return ("aten.hardsigmoid.default", args, {}) if usual else None


def _threshold(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
    return "aten.threshold.default", [*args, float(settings.get("alpha", 1.0)), 0.0], {}


def _clip(args: list[Any], settings: Mapping[str, Any]) -> Lowered:
    """Between two known bounds an activation: the gradient at the bounds is that of torch's."""
    if len(args) == 3 and all(isinstance(value, float) for value in args[1:]):
        return "aten.hardtanh.default", args, {}
    return None


LOWERED: dict[str, Callable[[list[Any], Mapping[str, Any]], Lowered]] = {
    **{kind: _unary(name) for kind, name in _UNARY.items()},
    "Elu": _scaled("elu", 1.0),
    "Celu": _scaled("celu", 1.0),
    "LeakyRelu": _scaled("leaky_relu", 0.01),
    "Add": _elementwise("add"),
    "Sub": _elementwise("sub"),
    "Mul": _elementwise("mul"),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "Gelu": _gelu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _threshold,
    "Clip": _clip,
}
"""Operator to what it is called here, where that depends on nothing but its settings."""

RECURRENT = {"LSTM": "iofc", "GRU": "zrh", "RNN": "i"}
"""Recurrent operators, with the order in which ONNX keeps their gates."""
_TORCH_GATES = {"LSTM": "ifco", "GRU": "rzh", "RNN": "i"}
_USUAL = {
    "LSTM": ["sigmoid", "tanh", "tanh"],
    "GRU": ["sigmoid", "tanh"],
    "RNN": ["tanh"],
}


def lower_recurrent(
    file: str, operator: Operator, inputs: list[str], constants: Mapping[str, torch.Tensor]
) -> tuple[Node, dict[str, torch.Tensor]]:
    """A recurrent layer with its weights in torch's order, as tensors of their own.

    Raises:
        BadInput: it is one that torch does not have.
    """
    kind, settings = operator.kind, operator.settings
    names = [*inputs, *[""] * (8 - len(inputs))]
    direction = settings.get("direction", "forward")
    directions = 2 if direction == "bidirectional" else 1
    said = [str(word).lower() for word in settings.get("activations", _USUAL[kind] * directions)]
    usual = (
        direction in ("forward", "bidirectional")
        and said == _USUAL[kind] * directions
        and not settings.get("layout")
        and not settings.get("clip")
        and not settings.get("input_forget")
        and (kind != "GRU" or settings.get("linear_before_reset") == 1)
        and not names[4]
        and not names[7]
        and all(name in constants for name in names[1:3])
        and (not names[3] or names[3] in constants)
    )
    if not usual:
        raise BadInput(f"{file} uses {kind} in a way that torch does not have.")
    given, taught = constants[names[1]], constants[names[2]]
    hidden = taught.shape[-1]
    order = [RECURRENT[kind].index(gate) for gate in _TORCH_GATES[kind]]

    def in_order(part: torch.Tensor) -> torch.Tensor:
        if part.shape[0] != len(order) * hidden:
            raise BadInput(f"{file}: the weights of {kind} have an impossible shape.")
        return part.reshape(len(order), hidden, *part.shape[1:])[order].flatten(0, 1).contiguous()

    tensors: dict[str, torch.Tensor] = {}
    for d in range(directions):
        biases = (
            constants[names[3]][d] if names[3] else given.new_zeros(2 * len(order) * hidden)
        ).chunk(2)
        for what, part in zip(("W", "R", "Wb", "Rb"), (given[d], taught[d], *biases), strict=True):
            tensors[f"{operator.outputs[0] or operator.name}.{what}{d}"] = in_order(part)
    made = Node(
        op="onnx.Recurrent",
        args=(
            Ref(names[0]),
            Ref(names[5]) if names[5] else None,
            Ref(names[6]) if names[6] and kind == "LSTM" else None,
            [Ref(name) for name in tensors],
        ),
        results=tuple(name or None for name in operator.outputs),
        kwargs={"kind": kind, "bidirectional": directions == 2, "hidden": hidden},
        unpack=True,
    )
    return made, tensors
