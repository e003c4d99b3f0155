"""The operations a graph may consist of: a table of names, each a function without side effects.

Left out on purpose: whatever reads or writes files (`from_file`), hands out uninitialised memory
(`empty`), reaches outside a tensor (`as_strided`, `set_`, `resize_`), draws random numbers, or
makes shapes that depend on the values (`nonzero`, `masked_select`).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from introspect.activation import ACTIVATIONS, NORMALISED, WEIGHTED
from introspect.formats import onnx_operators
from introspect.formats.guards import GATES, guarded

ATEN = frozenset(
    """_softmax _log_softmax _to_copy abs absolute acos adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d _adaptive_avg_pool2d add addbmm
    addcdiv addcmul addmm addmv alias all amax amin any arange argmax argmin asin atan atan2
    avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bitwise_and bitwise_not bitwise_or bmm
    broadcast_to ceil celu channel_shuffle chunk clamp clamp_max clamp_min clone concat concatenate
    constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d convolution cos cosh cosine_similarity cross cat cumprod cumsum detach diag
    diagonal diff dim div dot einsum elu embedding eq erf erfc erfinv exp exp2 expand expm1
    expand_as eye fill flatten flip floor floor_divide fmod full full_like gather ge gelu glu
    group_norm gru
    gt hardshrink hardsigmoid hardswish hardtanh im2col index index_select instance_norm isfinite
    isinf isnan kron layer_norm le leaky_relu lerp lift_fresh_copy linalg_norm linalg_vector_norm
    linear linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logical_and logical_not
    logical_or logical_xor logsumexp lstm lt masked_fill matmul max max_pool1d max_pool2d
    max_pool2d_with_indices max_pool3d maximum mean min minimum mish mm movedim mul mv narrow
    native_batch_norm _native_batch_norm_legit_no_training _native_batch_norm_legit
    native_group_norm native_layer_norm ne neg new_full new_ones new_zeros norm not_equal
    numpy_T one_hot ones ones_like outer pad permute pixel_shuffle pixel_unshuffle pow prelu prod
    reciprocal reflection_pad1d reflection_pad2d relu relu6 remainder repeat repeat_interleave
    replication_pad1d replication_pad2d reshape reshape_as resolve_conj resolve_neg rms_norm
    rnn_relu rnn_tanh roll rot90 round rrelu rsqrt rsub scalar_tensor scaled_dot_product_attention
    scatter scatter_add select select_scatter selu sigmoid sign silu sin sinh slice slice_scatter
    softmax softplus softshrink special_expit split split_with_sizes sqrt square squeeze stack std
    std_mean sub sum swapaxes sym_numel sym_size sym_stride t tan tanh tensor_split threshold tile
    to topk transpose tril triu true_divide type_as unbind unflatten unfold unsqueeze
    upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa var var_mean view view_as where zeros zeros_like
    _unsafe_view _unsafe_index linalg_matmul special_log_softmax special_softmax squeeze_copy
    """.split()
)

DROPPED = frozenset(
    "dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout".split()
)
"""Nothing in evaluation: their result is their first argument."""

CHECKS = frozenset(
    "_assert_scalar _assert_tensor_metadata _assert_async sym_constrain_range "
    "sym_constrain_range_for_size".split()
)
"""Statements about sizes without a result; left out."""

IN_PLACE = frozenset(
    """add_ sub_ mul_ div_ relu_ relu6_ elu_ celu_ selu_ silu_ mish_ leaky_relu_ hardtanh_
    hardswish_ hardsigmoid_ sigmoid_ tanh_ threshold_ rrelu_ clamp_ clamp_min_ clamp_max_ exp_
    sqrt_ neg_ abs_ pow_ masked_fill_ dropout_ alpha_dropout_ feature_dropout_ round_ floor_ ceil_
    gelu_ square_ rsqrt_ reciprocal_ unsqueeze_ squeeze_ transpose_ t_ lerp_ addcmul_ addcdiv_
    detach_ feature_alpha_dropout_""".split()
)
"""Replaced by the operation of the same name that makes a new tensor."""

FACTORIES = frozenset("arange eye full linspace ones scalar_tensor zeros".split())
"""They make a tensor of nothing: always where the input is."""

VIEWS = frozenset(
    """view view_as reshape reshape_as flatten unflatten transpose t numpy_T swapaxes permute
    movedim squeeze unsqueeze expand expand_as broadcast_to slice select narrow split
    split_with_sizes chunk tensor_split unbind alias detach contiguous to type_as diagonal unfold
    resolve_conj resolve_neg clone _unsafe_view lift_fresh_copy einsum""".split()
)
"""What they give may share memory with their first argument."""

FRESH = frozenset(
    """linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution
    batch_norm layer_norm group_norm instance_norm add sub mul div matmul bmm addmm mm baddbmm
    scaled_dot_product_attention onnx.Conv onnx.Gemm onnx.MatMul""".split()
)
"""What they give is new memory that nothing else sees."""

FORGETFUL = frozenset(
    "linear conv1d conv2d conv3d batch_norm add sub onnx.Conv onnx.Gemm onnx.MatMul".split()
)
"""Their gradient needs their arguments, never their result."""

OVERWRITE: dict[str, Callable[..., torch.Tensor]] = {
    "relu": torch.relu_,
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
    "elu": F.elu_,
    "leaky_relu": F.leaky_relu_,
    "silu": torch.ops.aten.silu_.default,
    "hardswish": torch.ops.aten.hardswish_.default,
    "hardtanh": F.hardtanh_,
    "gelu": torch.ops.aten.gelu_.default,
}
"""The same operation written over its argument: less memory to touch where nobody needs that."""

_PLAIN: dict[str, Callable[..., Any]] = {
    "aten.linear.default": F.linear,
    "aten.conv1d.default": torch.conv1d,
    "aten.conv2d.default": torch.conv2d,
    "aten.batch_norm.default": torch.batch_norm,
    "aten.layer_norm.default": torch.layer_norm,
    "aten.relu.default": torch.relu,
    "aten.sigmoid.default": torch.sigmoid,
    "aten.tanh.default": torch.tanh,
    "aten.matmul.default": torch.matmul,
    "aten.add.Tensor": torch.add,
    "aten.mul.Tensor": torch.mul,
    "aten.max_pool2d.default": torch.max_pool2d,
    "aten.cat.default": torch.cat,
    "aten.flatten.using_ints": torch.flatten,
    "aten.reshape.default": torch.reshape,
    "aten.transpose.int": torch.transpose,
    "aten.permute.default": torch.permute,
    "aten.select.int": torch.select,
    "aten.softmax.int": torch.softmax,
    "aten.gelu.default": F.gelu,
}
"""torch's own way to the same operation, some microseconds shorter where no keyword is given."""


def _number(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic on sizes that cannot be led to a list or to a number of a million digits."""

    def checked(*values: Any) -> Any:
        if not all(type(v) in (int, float, bool) and abs(v) < 2**62 for v in values):
            raise ValueError("sizes are plain numbers")
        return compute(*values)

    return checked


_SIZES: dict[str, Callable[..., Any]] = {
    name: _number(getattr(operator, name))
    for name in "add sub mul floordiv truediv mod neg eq ne lt le gt ge".split()
}
_SIZES |= {name: _number(getattr(math, name)) for name in ("ceil", "floor", "trunc")}
_SIZES |= {"max": _number(max), "min": _number(min), "float": _number(float)}
_SIZES |= {"and": _number(operator.and_), "or": _number(operator.or_)}

TRAINING = {
    "batch_norm": {"training": False},
    "instance_norm": {"use_input_stats": True},
    "scaled_dot_product_attention": {"dropout_p": 0.0},
    "lstm": {"train": False},
    "gru": {"train": False},
    "rnn_tanh": {"train": False},
    "rnn_relu": {"train": False},
    "rrelu": {"training": False},
    "native_batch_norm": {"training": False},
    "_native_batch_norm_legit": {"training": False},
}
"""What says that a network is in training, by operation and argument: set to evaluation."""


def is_known(op: str) -> bool:
    """Whether the name is in the table."""
    return function_of(op) is not None


@functools.cache
def function_of(op: str) -> Callable[..., Any] | None:
    """The function behind a name such as `aten.relu.default`, `onnx.Conv` or `size.mul`."""
    family, _, rest = op.partition(".")
    if family == "aten":
        name, _, overload = rest.partition(".")
        if name not in ATEN or not hasattr(torch.ops.aten, name):
            return None
        packet = getattr(torch.ops.aten, name)
        if overload not in packet.overloads():
            return None
        found = getattr(packet, overload)
        # Not all that write over a tensor they are given have "out" in their name.
        if any(argument.is_out for argument in found._schema.arguments):
            return None
        # Packed sequences have other arguments; exported networks do not.
        if name in GATES and overload != "input":
            return None
        return guarded(name, found)
    if family == "onnx":
        return onnx_operators.FUNCTIONS.get(rest)
    return _SIZES.get(rest) if family == "size" else None


def plain_name(op: str) -> str:
    """The name with the sign for "in place" taken off: `aten.relu.default` of `aten.relu_.default`.

    Of an operation that may not be run in place: itself, which is in no table.
    """
    family, _, rest = op.partition(".")
    name, _, overload = rest.partition(".")
    return f"aten.{name[:-1]}.{overload}" if family == "aten" and name in IN_PLACE else op


def is_readable(op: str) -> bool:
    """Whether a foreign file may use the operation, in place or in training too."""
    plain = plain_name(op)
    return is_known(plain) or (plain.startswith("aten.") and base(plain) in DROPPED)


def quick_function(op: str) -> Callable[..., Any] | None:
    """The shortest way to the operation for positional arguments, where there is a shorter one."""
    return _PLAIN.get(op)


def base(op: str) -> str:
    """`relu` of `aten.relu.default`, `onnx.Conv` of itself: the key of the tables above."""
    parts = op.split(".")
    return parts[1] if parts[0] == "aten" else op


def word_of(op: str) -> str:
    """The name of the operation as a layer, as the listener for live modules would say it."""
    name = base(op).removeprefix("_").removeprefix("special_")
    name = {"expit": "sigmoid", "log_sigmoid": "logsigmoid"}.get(name, name)
    return name if name in (*ACTIVATIONS, *WEIGHTED, *NORMALISED) else ""


def argument_names(op: str) -> tuple[str, ...]:
    """The arguments of an aten operation in order."""
    function = function_of(op)
    schema = getattr(getattr(function, "__wrapped__", function), "_schema", None)
    return () if schema is None else tuple(argument.name for argument in schema.arguments)
