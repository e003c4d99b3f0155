"""The layers of ONNX, opset 13 to 20: convolutions, pooling, norms, recurrent ones, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from introspect.formats.onnx_sizes import Sizes, Tensor, beside, room, whole


def _same_padding(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int],
    auto_pad: str,
) -> list[int]:  # fmt: skip
    low, high = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        missing = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        half = missing // 2
        low.append(half if auto_pad == "SAME_UPPER" else missing - half)
        high.append(missing - low[-1])
    return low + high


def _torch_padding(pads: Sequence[int]) -> list[int]:
    """ONNX lists all starts, then all ends, first axis first; torch pairs, last axis first."""
    n = len(pads) // 2
    return [side for i in reversed(range(n)) for side in (pads[i], pads[i + n])]


def conv(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, kernel_shape: Any = None,
    strides: list[int] | None = None, pads: list[int] | None = None,
    dilations: list[int] | None = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Tensor:  # fmt: skip
    """Conv of one to three axes; uneven padding is done beforehand."""
    n = w.dim() - 2
    stride, dilation = strides or [1] * n, dilations or [1] * n
    padding = pads or [0] * (2 * n)
    if auto_pad.startswith("SAME"):
        padding = _same_padding(x.shape[2:], w.shape[2:], stride, dilation, auto_pad)
    if padding[:n] != padding[n:]:
        x, padding = F.pad(x, _torch_padding(padding)), [0] * n
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[n - 1]
    return function(x, w, b, stride, padding[:n], dilation, group)


def conv_transpose(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, kernel_shape: Any = None,
    strides: list[int] | None = None, pads: list[int] | None = None,
    dilations: list[int] | None = None, group: int = 1, auto_pad: str = "NOTSET",
    output_padding: list[int] | None = None, output_shape: Any = None,
) -> Tensor:  # fmt: skip
    """ConvTranspose with even padding."""
    n = w.dim() - 2
    padding = pads or [0] * (2 * n)
    if padding[:n] != padding[n:] or auto_pad.startswith("SAME") or output_shape:
        raise ValueError("ConvTranspose with uneven padding is not supported")
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
    extra = output_padding or [0] * n
    return function(x, w, b, strides or [1] * n, padding[:n], extra, group, dilations or [1] * n)


def _pool(
    x: Tensor, kind: str, kernel: list[int], strides: list[int] | None, pads: list[int] | None,
    dilations: list[int] | None, ceil_mode: int, count_include_pad: int, auto_pad: str,
) -> Tensor:  # fmt: skip
    n = len(kernel)
    stride, padding = strides or [1] * n, pads or [0] * (2 * n)
    if auto_pad.startswith("SAME"):
        padding = _same_padding(x.shape[2:], kernel, stride, dilations or [1] * n, auto_pad)
    uneven = padding[:n] != padding[n:]
    if kind == "max":
        if uneven:
            x, padding = F.pad(x, _torch_padding(padding), value=-math.inf), [0] * n
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
        return pool(x, kernel, stride, padding[:n], dilations or [1] * n, bool(ceil_mode))
    if any(d != 1 for d in dilations or []):
        raise ValueError("AveragePool with dilations is not supported")
    average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]
    if not uneven:
        return average(x, kernel, stride, padding[:n], bool(ceil_mode), bool(count_include_pad))
    sides = _torch_padding(padding)
    total = average(F.pad(x, sides), kernel, stride, 0, bool(ceil_mode))
    if count_include_pad:
        return total
    real = F.pad(torch.ones_like(x[:1, :1]), sides)
    return total / average(real, kernel, stride, 0, bool(ceil_mode))


def max_pool(
    x: Tensor, *, kernel_shape: list[int], strides: Any = None, pads: Any = None,
    dilations: Any = None, ceil_mode: int = 0, auto_pad: str = "NOTSET", storage_order: int = 0,
) -> Tensor:  # fmt: skip
    """MaxPool, values only."""
    return _pool(x, "max", kernel_shape, strides, pads, dilations, ceil_mode, 0, auto_pad)


def average_pool(
    x: Tensor, *, kernel_shape: list[int], strides: Any = None, pads: Any = None,
    dilations: Any = None, ceil_mode: int = 0, count_include_pad: int = 0, auto_pad: str = "NOTSET",
) -> Tensor:  # fmt: skip
    """AveragePool; padding counts only where it says so."""
    return _pool(
        x, "avg", kernel_shape, strides, pads, dilations, ceil_mode, count_include_pad, auto_pad
    )


def spatial(x: Tensor) -> list[int]:
    """The axes behind batch and channels."""
    return list(range(2, x.dim()))


def gemm(
    a: Tensor, b: Tensor, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0,
    transB: int = 0,
) -> Tensor:  # fmt: skip
    """alpha A' B' + beta C."""
    found = (a.t() if transA else a) @ (b.t() if transB else b)
    found = found if alpha == 1 else alpha * found
    return found if c is None else found + (c if beta == 1 else beta * c)


def batch_norm(
    x: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor, *, epsilon: float = 1e-5,
    momentum: float = 0.9, training_mode: int = 0,
) -> Tensor:  # fmt: skip
    """BatchNormalization in evaluation, whatever the file says."""
    return torch.batch_norm(x, w, b, mean, var, False, 0.0, epsilon, False)


def layer_norm(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:  # fmt: skip
    """LayerNormalization over the axes from `axis` on."""
    shape = list(x.shape[axis % x.dim() :])
    if w.numel() != math.prod(shape):
        found = F.layer_norm(x, shape, None, None, epsilon) * w
        return found if b is None else found + b
    bias = None if b is None else b.reshape(shape)
    return F.layer_norm(x, shape, w.reshape(shape), bias, epsilon)


def group_norm(
    x: Tensor, w: Tensor, b: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """GroupNormalization; opset 18 has one weight a group, later ones a channel."""
    each = x.shape[1] // w.numel()
    if each > 1:
        w, b = w.repeat_interleave(each), b.repeat_interleave(each)
    return F.group_norm(x, num_groups, w, b, epsilon)


def resize(
    x: Tensor, roi: Any = None, scales: Any = None, sizes: Sizes = None, *, mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel", nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75, antialias: int = 0, exclude_outside: int = 0,
    extrapolation_value: float = 0.0, axes: Any = None, keep_aspect_ratio_policy: str = "stretch",
) -> Tensor:  # fmt: skip
    """Resize of the spatial axes, in the ways torch knows."""
    if axes is not None or keep_aspect_ratio_policy != "stretch":
        raise ValueError("Resize with axes or a policy is not supported")
    factors = None
    if sizes is not None and len(whole(sizes)):
        size = whole(sizes)[2:]
    else:
        given = scales.tolist() if isinstance(scales, Tensor) else list(scales)
        factors = [float(v) for v in given[2:]]
        size = [math.floor(n * f) for n, f in zip(x.shape[2:], factors, strict=True)]
    room([*x.shape[:2], *size])
    how = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.dim() - 2]
    kind = {"nearest": "nearest", "linear": how, "cubic": "bicubic"}[mode]
    if kind == "nearest":
        exact = coordinate_transformation_mode == "half_pixel"
        doubling = all(s % n == 0 for s, n in zip(size, x.shape[2:], strict=True))
        if not doubling and not (
            exact or (coordinate_transformation_mode, nearest_mode) == ("asymmetric", "floor")
        ):
            raise ValueError("this way of Resize is not supported")
        nearest = "nearest-exact" if exact and not doubling else "nearest"
        return F.interpolate(x, size, mode=nearest)
    aligned = coordinate_transformation_mode == "align_corners"
    if coordinate_transformation_mode not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise ValueError("this way of Resize is not supported")
    return F.interpolate(x, size, mode=kind, align_corners=aligned, antialias=bool(antialias))


def recurrent(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: list[Tensor], *, kind: str,
    bidirectional: bool, hidden: int,
) -> Any:  # fmt: skip
    """LSTM, GRU or RNN of one layer: `t b i` to `t d b h`, and the last states `d b h`.

    The weights are in torch's order of gates; the reader has exchanged them.
    """
    directions = 2 if bidirectional else 1
    zeros = x.new_zeros(directions, x.shape[1], hidden)
    start = zeros if h0 is None else beside(h0, x).expand_as(zeros)
    gates = weights[0].shape[0]
    fits = hidden > 0 and gates == {"LSTM": 4, "GRU": 3}.get(kind, 1) * hidden and x.dim() == 3
    wanted = [(gates, x.shape[-1]), (gates, hidden), (gates,), (gates,)] * directions
    if not fits or [tuple(w.shape) for w in weights] != wanted:
        raise ValueError("the weights of a recurrent layer have impossible shapes")
    flags = (weights, True, 1, 0.0, False, bidirectional, False)
    if kind == "LSTM":
        cell = zeros if c0 is None else beside(c0, x).expand_as(zeros)
        y, *last = torch.ops.aten.lstm.input(x, [start, cell], *flags)
    elif kind == "GRU":
        y, *last = torch.ops.aten.gru.input(x, start, *flags)
    else:
        y, *last = torch.ops.aten.rnn_tanh.input(x, start, *flags)
    return (y.unflatten(-1, (directions, hidden)).movedim(-2, 1), *last)
