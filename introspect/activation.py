"""Which activations a module computes: heard at the function call, so `F.relu`, `x.relu()` and `nn.ReLU` are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

ACTIVATIONS = (
    "relu relu6 elu selu celu gelu silu mish leaky_relu prelu rrelu hardtanh hardswish hardsigmoid "
    "softplus softsign tanh sigmoid threshold glu logsigmoid softshrink hardshrink tanhshrink"
).split()
WEIGHTED = (
    "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"
).split()
NORMALISED = ("softmax", "log_softmax")


def _table() -> dict[Any, str]:
    """Every callable under which torch offers one of the operations, in-place variants included."""
    table: dict[Any, str] = {}
    for op in (*ACTIVATIONS, *WEIGHTED, *NORMALISED):
        for home in (F, torch, torch.Tensor):
            for name in (op, f"{op}_"):
                function = getattr(home, name, None)
                if callable(function):
                    table[function] = op
    table[torch.special.expit] = "sigmoid"
    return table


OPERATIONS = _table()


class Listener(TorchFunctionMode):
    """While active in this thread, tells `hear(op, result)` of every operation of the table.

    A function mode belongs to the thread, so two threads may listen to one module at once; hooks
    would belong to the module.
    """

    def __init__(self, hear: Callable[[str, torch.Tensor], None]) -> None:
        super().__init__()
        self.hear = hear

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        op = OPERATIONS.get(func)
        if op is not None:
            self.hear(op, result)
        return result


@dataclass(frozen=True, eq=False)
class Call:
    """One operation of a forward pass: where it was called, what it was, and what came out."""

    path: str
    op: str
    result: torch.Tensor
    channel: int
    """The axis of the features, batch not counted: 0 after a convolution, -1 after a linear layer."""


def _path(name: str, module: nn.Module, op: str) -> str:
    """The module's own name where the module is the activation, else the module's name and the op."""
    own = type(module).__module__.startswith("torch.nn.modules")
    leaf = not any(True for _ in module.children())
    bare = not any(True for _ in module.parameters(recurse=False))
    if name and leaf and (own or bare):
        return name
    return f"{name}.{op}" if name else op


def trace_calls(module: nn.Module, x: torch.Tensor) -> tuple[list[Call], Any]:
    """The calls of one forward pass in execution order, and the module's raw output.

    Hooks are set for the time of the pass only, to know which module is running; give a module
    that no other thread uses.
    """
    stack: list[tuple[str, nn.Module]] = []
    calls: list[Call] = []
    channel = 0

    def hear(op: str, result: torch.Tensor) -> None:
        nonlocal channel
        if op in WEIGHTED:
            channel = 0 if op.startswith("conv") else -1
        name, inside = stack[-1] if stack else ("", module)
        # A later in-place operation may overwrite the tensor; shape and address stay what they are.
        calls.append(Call(_path(name, inside, op), op, result, channel))

    handles = []
    try:
        for name, part in module.named_modules():
            handles.append(
                part.register_forward_pre_hook(
                    lambda running, given, name=name: stack.append((name, running))
                )
            )
            handles.append(
                part.register_forward_hook(
                    lambda running, given, result: stack.pop() and None, always_call=True
                )
            )
        with Listener(hear):
            output = module(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls, output


def call_names(calls: list[Call]) -> list[str]:
    """One name a call: the path, with `#0`, `#1`, … where a path is called more than once."""
    total: dict[str, int] = {}
    for call in calls:
        total[call.path] = total.get(call.path, 0) + 1
    seen: dict[str, int] = {}
    names = []
    for call in calls:
        turn = seen.get(call.path, 0)
        seen[call.path] = turn + 1
        names.append(f"{call.path}#{turn}" if total[call.path] > 1 else call.path)
    return names


def first_tensor(output: Any) -> torch.Tensor | None:
    """The prediction inside a module's raw output: itself, its `logits`, or its first float tensor."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, dict):
        if isinstance(output.get("logits"), torch.Tensor):
            return output["logits"]
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        for part in output:
            found = first_tensor(part)
            if found is not None and found.is_floating_point():
                return found
    return None
