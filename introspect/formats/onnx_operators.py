"""What the operators of ONNX compute, opset 13 to 20, as differentiable functions of tensors.

Sizes may be lists (known beforehand) or small integer tensors in main memory (computed on the way
from the shape of the input). Operators that torch has under another name need no function here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from introspect.formats import onnx_layers as layers
from introspect.formats.guards import PIECES
from introspect.formats.onnx_sizes import MADE, Sizes, Tensor, beside, room, whole

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32,
    7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip


def _two(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda a, b: compute(beside(a, b), beside(b, a))


def _divide(a: Any, b: Any) -> Any:
    floating = any(v.is_floating_point() for v in (a, b) if isinstance(v, Tensor))
    if floating or isinstance(a, float) or isinstance(b, float):
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


def _modulo(a: Any, b: Any, *, fmod: int = 0) -> Any:
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def _many(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def of(*values: Tensor) -> Tensor:
        found = values[0]
        for value in values[1:]:
            found = compute(beside(found, value), beside(value, found))
        return found

    return of


def reshape(x: Tensor, shape: Sizes, *, allowzero: int = 0) -> Tensor:
    """Reshape; 0 keeps the input's side."""
    sides = whole(shape)
    if not allowzero:
        sides = [x.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    return x.reshape(sides)


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Flatten to two axes."""
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[: axis % (x.dim() + 1)]), -1)


def slice_(
    x: Tensor, starts: Sizes, ends: Sizes, axes: Sizes = None, steps: Sizes = None
) -> Tensor:
    """Slice, also backwards."""
    begin, end = whole(starts), whole(ends)
    along = whole(axes) if axes is not None else list(range(len(begin)))
    step = whole(steps) if steps is not None else [1] * len(begin)
    for a, first, last, k in zip(along, begin, end, step, strict=True):
        n = x.shape[a]
        if k < 0:
            # Backwards is forwards in the mirrored tensor.
            x, k = x.flip(a), -k
            first, last = (v + n if v < 0 else v for v in (first, max(last, -n - 1)))
            first, last = n - 1 - min(first, n - 1), n - 1 - max(last, -1)
        chosen = range(n)[first:last:k]
        if len(chosen) and k == 1:
            x = x.narrow(a, chosen[0], len(chosen))
        elif len(chosen):
            x = x.narrow(a, chosen[0], chosen[-1] - chosen[0] + 1)
            x = x.index_select(a, torch.arange(0, x.shape[a], k, device=x.device))
        else:
            x = x.narrow(a, 0, 0)
    return x


def gather(x: Tensor, index: Any, *, axis: int = 0) -> Tensor:
    """Gather along an axis; negative places count from the end."""
    axis %= x.dim()
    if isinstance(index, int):
        return x.select(axis, index)
    at = torch.tensor(index, device=x.device) if isinstance(index, list) else beside(index, x)
    at = at.long()
    at = torch.where(at < 0, at + x.shape[axis], at)
    found = x.index_select(axis, at.reshape(-1))
    return found.reshape([*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]])


def gather_elements(x: Tensor, index: Tensor, *, axis: int = 0) -> Tensor:
    """GatherElements."""
    at = beside(index, x).long()
    return x.gather(axis, torch.where(at < 0, at + x.shape[axis], at))


def gather_nd(x: Tensor, index: Tensor, *, batch_dims: int = 0) -> Tensor:
    """GatherND without batch axes."""
    if batch_dims:
        raise ValueError("GatherND with batch_dims is not supported")
    return x[tuple(beside(index, x).long().movedim(-1, 0))]


def _reduce(compute: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    def reduce(
        x: Tensor, given: Sizes = None, *, axes: Any = None, keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:  # fmt: skip
        along = whole(given) if given is not None else (axes or [])
        if not along:
            if noop_with_empty_axes:
                return x
            along = list(range(x.dim()))
        return compute(x, along, bool(keepdims))

    return reduce


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for a in sorted((a % x.dim() for a in axes), reverse=True):
        x = x.prod(a, keepdim=keep)
    return x


def squeeze(x: Tensor, axes: Sizes = None) -> Tensor:
    """Squeeze the given axes, or all of one."""
    return x.squeeze() if axes is None else x.squeeze(tuple(whole(axes)))


def unsqueeze(x: Tensor, axes: Sizes) -> Tensor:
    """Unsqueeze at axes of the result."""
    places = whole(axes)
    for a in sorted(place % (x.dim() + len(places)) for place in places):
        x = x.unsqueeze(a)
    return x


def split(x: Tensor, sizes: Sizes = None, *, axis: int = 0, num_outputs: int = 0) -> Any:
    """Split into given sizes, or evenly with a smaller last part."""
    if sizes is not None:
        return x.split(whole(sizes), axis)
    each = math.ceil(x.shape[axis] / num_outputs)
    if math.ceil(x.shape[axis] / max(1, each)) > PIECES:
        raise ValueError(f"a split into {num_outputs} parts is too fine")
    return x.split(each, axis)


def pad(
    x: Tensor, pads: Sizes, value: Any = None, axes: Sizes = None, *, mode: str = "constant"
) -> Tensor:
    """Pad, or cut where the number is negative."""
    sides = whole(pads)
    n = len(sides) // 2
    along = [a % x.dim() for a in whole(axes)] if axes is not None else list(range(n))
    more = [0] * (2 * x.dim())
    for i, a in enumerate(along):
        more[2 * (x.dim() - 1 - a)], more[2 * (x.dim() - 1 - a) + 1] = sides[i], sides[i + n]
    room([side + sum(more[2 * (x.dim() - 1 - a) :][:2]) for a, side in enumerate(x.shape)])
    if mode == "constant":
        at = value[0] if isinstance(value, list) else value
        return F.pad(x, more, value=0.0 if at is None else float(at))
    kind = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode]
    while len(more) > 2 * (x.dim() - 2) and more[-2:] == [0, 0]:
        more = more[:-2]
    return F.pad(x, more, mode=kind)


def cast(x: Any, *, to: int, saturate: int = 1) -> Tensor:
    """Cast."""
    return torch.as_tensor(x).to(DTYPES[to])


def filled(shape: Sizes, *, value: float | int = 0.0, dtype: int = 1) -> Tensor:
    """ConstantOfShape, in main memory until it meets an activation."""
    return torch.full(room(whole(shape), MADE), value, dtype=DTYPES[dtype])


def expand(x: Tensor, shape: Sizes) -> Tensor:
    """Expand both ways, as numpy broadcasts."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(whole(shape))))


def tile(x: Tensor, repeats: Sizes) -> Tensor:
    """Tile."""
    times = whole(repeats)
    room([side * k for side, k in zip(x.shape, times, strict=True)])
    return x.repeat(times)


def range_(start: Any, limit: Any, delta: Any) -> Tensor:
    """Range, in main memory until it meets an activation."""
    values = [v.item() if isinstance(v, Tensor) else v for v in (start, limit, delta)]
    room([max(0, math.ceil((values[1] - values[0]) / values[2]))], MADE)
    return torch.arange(*values)


def where(condition: Tensor, a: Any, b: Any) -> Tensor:
    """Where."""
    likes = [v for v in (condition, a, b) if isinstance(v, Tensor) and v.device.type != "cpu"]
    if likes:
        condition, a, b = (beside(v, likes[0]) for v in (condition, a, b))
    return torch.where(condition, a, b)


def concat(*parts: Tensor, axis: int) -> Tensor:
    """Concat."""
    likes = [part for part in parts if part.device.type != "cpu"]
    return torch.cat([beside(part, likes[0]) for part in parts] if likes else list(parts), axis)


def clip(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    """Clip."""
    low, high = (v.item() if isinstance(v, Tensor) else v for v in (low, high))
    return x if low is None and high is None else torch.clamp(x, low, high)


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """DepthToSpace."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    b, c, h, w = x.shape
    x = x.reshape(b, blocksize, blocksize, c // blocksize**2, h, w)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(b, -1, h * blocksize, w * blocksize)


def top_k(x: Tensor, k: Sizes, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    """TopK."""
    return tuple(x.topk(whole(k)[0], axis, bool(largest), bool(sorted)))


def one_hot(index: Tensor, depth: Any, values: Any, *, axis: int = -1) -> Tensor:
    """OneHot."""
    k = whole(depth)[0]
    room([*index.shape, k])
    off, on = values if isinstance(values, list) else values.unbind(0)
    found = F.one_hot(index.long() % k, k).movedim(-1, axis)
    return torch.where(found.bool(), on, off)


def trilu(x: Tensor, k: Any = 0, *, upper: int = 1) -> Tensor:
    """Trilu."""
    at = whole(k)[0]
    return x.triu(at) if upper else x.tril(at)


def lp_normal(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """LpNormalization."""
    return x / torch.linalg.vector_norm(x, p, axis, keepdim=True)


def scatter_nd(x: Tensor, index: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """ScatterND without reduction."""
    if reduction != "none":
        raise ValueError("ScatterND with a reduction is not supported")
    return x.index_put(tuple(beside(index, x).long().movedim(-1, 0)), updates)


def _arg(compute: str) -> Callable[..., Tensor]:
    def of(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        return getattr(x, compute)(axis, bool(keepdims))

    return of


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": _two(lambda a, b: a + b),
    "Sub": _two(lambda a, b: a - b),
    "Mul": _two(lambda a, b: a * b),
    "Div": _two(_divide),
    "Pow": _two(lambda a, b: a**b),
    "Mod": _modulo,
    "Equal": _two(lambda a, b: a == b),
    "Greater": _two(lambda a, b: a > b),
    "Less": _two(lambda a, b: a < b),
    "GreaterOrEqual": _two(lambda a, b: a >= b),
    "LessOrEqual": _two(lambda a, b: a <= b),
    "And": _two(lambda a, b: a & b),
    "Or": _two(lambda a, b: a | b),
    "Xor": _two(lambda a, b: a ^ b),
    "Min": _many(torch.minimum),
    "Max": _many(torch.maximum),
    "Sum": _many(torch.add),
    "Mean": lambda *values: _many(torch.add)(*values) / len(values),
    "MatMul": torch.matmul,
    "Gemm": layers.gemm,
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "MaxPool": layers.max_pool,
    "AveragePool": layers.average_pool,
    "GlobalAveragePool": lambda x: x.mean(layers.spatial(x), True),
    "GlobalMaxPool": lambda x: x.amax(layers.spatial(x), True),
    "BatchNormalization": layers.batch_norm,
    "LayerNormalization": layers.layer_norm,
    "GroupNormalization": layers.group_norm,
    "InstanceNormalization": lambda x, w, b, epsilon=1e-5: F.instance_norm(
        x, weight=w, bias=b, eps=epsilon
    ),
    "LpNormalization": lp_normal,
    "LRN": lambda x, size, alpha=1e-4, beta=0.75, bias=1.0: F.local_response_norm(
        x, size, alpha, beta, bias
    ),
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
    "Softsign": F.softsign,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: torch.clamp(alpha * x + beta, 0, 1),
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": lambda x, perm=None: x.permute(perm or list(range(x.dim()))[::-1]),
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterND": scatter_nd,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "Pad": pad,
    "Shape": lambda x, start=0, end=None: torch.tensor(list(x.shape)[start:end], dtype=torch.int64),
    "Size": lambda x: torch.tensor(x.numel()),
    "Cast": cast,
    "CastLike": lambda x, like: x.to(like.dtype),
    "ConstantOfShape": filled,
    "Range": range_,
    "Where": where,
    "Clip": clip,
    "CumSum": lambda x, axis, **given: x.cumsum(whole(axis)[0]),
    "Einsum": lambda *parts, equation: torch.einsum(equation, *parts),
    "TopK": top_k,
    "OneHot": one_hot,
    "Trilu": trilu,
    "Resize": layers.resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": lambda x, blocksize: (
        F.pixel_unshuffle(x, blocksize).unflatten(1, (x.shape[1], -1)).transpose(1, 2).flatten(1, 2)
    ),
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMax": _reduce(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": _reduce(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": _reduce(_product),
    "ReduceL1": _reduce(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduce(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceSumSquare": _reduce(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSumExp": _reduce(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "Recurrent": layers.recurrent,
}
"""Operator to function: inputs by position (None where left out), attributes by name."""
