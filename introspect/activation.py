"""Which activations a module computes: heard at the call, so `F.relu` and `nn.ReLU` are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from introspect.errors import BadInput

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


@runtime_checkable
class Telling(Protocol):
    """A module that tells of its own layers; nothing has to listen to it."""

    paths: tuple[str, ...]
    """Where each layer it tells of was called, in order."""

    def tell(
        self, x: torch.Tensor, hear: Callable[[str, torch.Tensor], None], careful: bool = False
    ) -> Any:
        """The output; `hear(op, result)` of every layer, and if careful nothing is overwritten."""
        ...


@dataclass(frozen=True)
class Layer:
    """One activation that can be recorded; a classifier lists them in execution order."""

    name: str
    op: str
    shape: tuple[int, ...]
    units: int
    hidden: bool
    call: int = 0
    """Which call of the forward pass it is, of all that the listener hears."""
    channel: int = 0
    """The axis of the features in `shape`: 0, or -1 for sequences of tokens."""


@dataclass(frozen=True, eq=False)
class Call:
    """One operation of a forward pass: where it was called, what it was, and what came out."""

    path: str
    op: str
    result: torch.Tensor
    channel: int
    """The axis of the features, batch not counted: 0 after a convolution, -1 after `linear`."""


def _path(name: str, module: nn.Module, op: str) -> str:
    """The module's name where the module is the activation, else that name and the op."""
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
    told = module.paths if isinstance(module, Telling) else None

    def hear(op: str, result: torch.Tensor) -> None:
        nonlocal channel
        if op in WEIGHTED:
            channel = 0 if op.startswith("conv") else -1
        name, inside = stack[-1] if stack else ("", module)
        path = _path(name, inside, op) if told is None else told[len(calls)]
        # A later in-place operation may overwrite the tensor; shape and address stay what they are.
        calls.append(Call(path, op, result, channel))

    if isinstance(module, Telling):
        return calls, module.tell(x, hear, careful=True)
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
    """The prediction inside a raw output: itself, its `logits`, or its first float tensor."""
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


def device_of(module: nn.Module) -> torch.device:
    """Where the module's weights are."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says, short enough for a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _run(module: nn.Module, x: torch.Tensor) -> tuple[list[Call], torch.Tensor]:
    try:
        calls, output = trace_calls(module, x)
    except Exception as error:
        raise BadInput(
            f"The network does not accept a batch of {len(x)} inputs of shape "
            f"{tuple(x.shape[1:])}: {first_line(error)}."
        ) from error
    found = first_tensor(output)
    if found is None or found.dim() != 2 or found.shape[0] != len(x) or found.shape[1] < 1:
        got = "no tensor" if found is None else f"shape {tuple(found.shape)}"
        raise BadInput(
            "The network must return one row of class scores an input (m, k); "
            f"for m = {len(x)} it returned {got}."
        )
    return calls, found


def find_layers(module: nn.Module, shape: tuple[int, ...]) -> tuple[tuple[Layer, ...], int, bool]:
    """Layers, number of classes, and whether the outputs already are shares.

    Zeros in a batch of two find the layers; random inputs in a batch of three must find the same
    ones, and must come out alone as they came out together: same input, same place.
    """
    device = device_of(module)
    calls, output = _run(module, torch.zeros(2, *shape, device=device))
    seeded = torch.Generator().manual_seed(0)
    x = torch.rand(3, *shape, generator=seeded).to(device)
    before = x.clone()
    again, together = _run(module, x)
    if not torch.equal(x, before):
        raise BadInput("The network overwrites its input; let its first layer not work in place.")
    if [c.op for c in calls] != [c.op for c in again]:
        raise BadInput(
            "The network takes another path for another input; only networks that always run "
            "the same layers can be studied."
        )
    alone = torch.cat([_run(module, x[i : i + 1])[1] for i in range(3)])
    scale = 1 + together.abs().max()
    if not bool((alone - together).abs().max() <= 1e-3 * scale):
        raise BadInput(
            "The network answers differently for one input alone and in a batch: look for a "
            "batch norm without running statistics, or a dropout that ignores eval()."
        )
    layers = _layers(calls, again, output)
    ends = next((c.op for c in reversed(calls) if _is_output(c, output)), "")
    rows = together.sum(1)
    sums = together.shape[1] > 1 and bool((together >= 0).all() and ((rows - 1).abs() < 1e-4).all())
    width = 2 if output.shape[1] == 1 else output.shape[1]
    return layers, width, ends in ("sigmoid", "softmax") or sums


def _is_output(call: Call, output: torch.Tensor) -> bool:
    """Whether the call's result is the network's own output, perhaps seen through a view."""
    return call.result.data_ptr() == output.data_ptr() and call.result.numel() == output.numel()


def _layers(two: list[Call], three: list[Call], output: torch.Tensor) -> tuple[Layer, ...]:
    """The recordable calls: a tensor whose first axis is the batch and whose shape is fixed."""
    last = max((i for i, c in enumerate(two) if c.op in WEIGHTED), default=-1)
    fits = [
        a.result.dim() > 0
        and a.result.shape[0] == 2
        and b.result.shape[0] == 3
        and a.result.shape[1:] == b.result.shape[1:]
        and a.op not in NORMALISED
        for a, b in zip(two, three, strict=True)
    ]
    active = [
        fit and call.op in ACTIVATIONS and not _is_output(call, output)
        for fit, call in zip(fits, two, strict=True)
    ]
    layers = []
    for i, (name, call) in enumerate(zip(call_names(two), two, strict=True)):
        if fits[i]:
            shape = tuple(call.result.shape[1:])
            channel = call.channel if len(shape) > 1 else 0
            hidden = active[i] if any(active) else call.op in WEIGHTED and i != last
            units = shape[channel] if shape else 1
            layers.append(Layer(name, call.op, shape, units, hidden, i, channel))
    return tuple(layers)
