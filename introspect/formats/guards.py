"""Checks before operations of torch that believe their arguments.

With sizes that do not fit, these read or write outside of their tensors instead of raising: the
process ends, or shows what else is in its memory. Upstream takes such arguments for a mistake of
the caller; here a stranger's file is the caller.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

PIECES = 65_536
"""Most tensors that one operation may give; each is an object of its own, however small."""

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Recurrent operations: how many times as high as the state their weights are."""

Given = Mapping[str, Any]


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, raising ValueError for arguments that it would not survive.

    Args:
        name: without family and overload, such as `native_batch_norm`.
        function: an overload of it.
    """
    if name in GATES:
        return _recurrent(name, function)
    fits = _CHECKS.get(name)
    if fits is None:
        return function
    names = tuple(argument.name for argument in function._schema.arguments)  # type: ignore[attr-defined]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not fits(dict(zip(names, args, strict=False)) | kwargs):
            raise ValueError(f"the arguments of {name} do not fit each other")
        return function(*args, **kwargs)

    return checked


def _normalises(given: Given) -> bool:
    """One weight, bias, mean and variance a channel; the last two are needed in evaluation."""
    x = given["input"]
    taken = [given.get(key) for key in ("weight", "bias", "running_mean", "running_var")]
    return (
        x.dim() > 1
        and taken[2] is not None
        and taken[3] is not None
        and all(one is None or tuple(one.shape) == (x.shape[1],) for one in taken)
    )


def _scales(given: Given) -> bool:
    """A stated scale is that of the stated size: n sides times it, rounded down."""
    stated = [value for key, value in given.items() if key.startswith("scales")]
    if "output_size" not in given or all(value is None for value in stated):
        return True
    sides = given["self"].shape[2:]
    return len(sides) == len(stated) == len(given["output_size"]) and all(
        scale is None or -0.01 <= scale * side - size <= 1.01
        for scale, side, size in zip(stated, sides, given["output_size"], strict=True)
    )


def _attends(given: Given) -> bool:
    """A value for every key; heads may be shared, inputs of the batch may not."""
    query, key, value = (given[name] for name in ("query", "key", "value"))
    shared = given.get("enable_gqa", False)
    return key.shape[:-1] == value.shape[:-1] and (not shared or query.shape[:-3] == key.shape[:-3])


def _pieces(count: Callable[[int, Given], int]) -> Callable[[Given], bool]:
    def few(given: Given) -> bool:
        side = given["self"].shape[given.get("dim", 0)]
        return count(side, given) <= PIECES

    return few


def _split(side: int, given: Given) -> int:
    size = given.get("split_size")
    # lists of sizes are no longer than any list in a graph
    return -(-side // size) if type(size) is int and size > 0 else 0


def _sections(side: int, given: Given) -> int:
    sections = given.get("sections")
    return sections if type(sections) is int else 0


_CHECKS: dict[str, Callable[[Given], bool]] = {
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
        ),
        _normalises,
    ),
    **dict.fromkeys(
        (
            "upsample_bicubic2d",
            "upsample_bilinear2d",
            "upsample_linear1d",
            "upsample_nearest1d",
            "upsample_nearest2d",
            "_upsample_bicubic2d_aa",
            "_upsample_bilinear2d_aa",
        ),
        _scales,
    ),
    "scaled_dot_product_attention": _attends,
    "unbind": _pieces(lambda side, given: side),
    "chunk": _pieces(lambda side, given: min(side, given["chunks"])),
    "split": _pieces(_split),
    "tensor_split": _pieces(_sections),
}


def _recurrent(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def checked(x, start, weights, biases, layers, dropout, train, both, batch_first):
        states = start if isinstance(start, list) else [start]
        each = 4 if biases else 2
        ways = 2 if both else 1
        fits = 1 <= layers <= 1000 and len(weights) == each * layers * ways and x.dim() == 3
        if fits:
            hidden = weights[1].shape[-1]
            shape = (layers * ways, x.shape[0 if batch_first else 1], hidden)
            fits = all(state.shape == shape for state in states)
            gates = GATES[name] * hidden
            fits &= hidden > 0
            for i in range(0, len(weights), each):
                wide = x.shape[2] if i < each * ways else hidden * ways
                wanted = [(gates, wide), (gates, hidden), (gates,), (gates,)][:each]
                got = [tuple(w.shape) for w in weights[i : i + each]]
                fits &= got == wanted
        if not fits:
            raise ValueError("the weights or states of a recurrent layer have impossible shapes")
        return function(x, start, weights, biases, layers, dropout, train, both, batch_first)

    return checked
