"""Layer lists: a network as YAML or JSON, one allow-listed `torch.nn` layer a line, and back."""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from introspect.errors import BadInput, NewerFormat
from introspect.preprocessing import Preprocessing

VERSION = 1
DOCUMENT_BYTES = 1 << 20
DEPTH = 8
LAYERS = 2_000
WEIGHTS = 2**31
NUMBER = 2**24

ALLOWED: dict[str, type[nn.Module]] = {
    name: getattr(nn, name)
    for name in (
        "Flatten Unflatten Identity Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d "
        "BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d "
        "LocalResponseNorm Dropout Dropout1d Dropout2d Dropout3d AlphaDropout "
        "MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d "
        "AdaptiveMaxPool1d AdaptiveMaxPool2d Upsample ZeroPad2d PixelShuffle "
        "ReLU ReLU6 ELU SELU CELU GELU SiLU Mish LeakyReLU PReLU RReLU Hardtanh Hardswish "
        "Hardsigmoid Softplus Softsign Tanh Sigmoid Threshold GLU LogSigmoid Softshrink Hardshrink "
        "Tanhshrink Softmax LogSoftmax Softmin"
    ).split()
}
WORDS = frozenset(
    "same valid zeros reflect replicate circular none tanh nearest linear bilinear bicubic".split()
)
# Never read from a document: where and how tensors are kept, and pooling that returns a pair.
CLOSED = frozenset(("device", "dtype", "return_indices"))
COUNTS = frozenset(
    "in_features out_features in_channels out_channels num_features kernel_size stride dilation "
    "groups normalized_shape num_groups num_channels num_parameters upscale_factor output_size "
    "size".split()
)


@dataclass(frozen=True)
class LayerList:
    """A layer-list document: `layers` are (name of the child, name of the layer, its arguments)."""

    input_shape: tuple[int, ...]
    layers: tuple[tuple[str, str, dict[str, Any]], ...]
    classes: tuple[str, ...] | None = None
    link: str = "auto"
    preprocessing: Preprocessing | None = None
    bounds: tuple[float, float] = (0.0, 1.0)


class _Loader(yaml.SafeLoader):
    """YAML without anchors and aliases, which unfold a kilobyte to gigabytes, and not too deep."""

    depth = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent) or getattr(self.peek_event(), "anchor", None):
            raise BadInput("The layer list uses YAML anchors or aliases; write every layer out.")
        self.depth += 1
        if self.depth > DEPTH:
            raise BadInput(
                f"The layer list is nested more than {DEPTH} deep; it should be a flat list."
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


# YAML 1.1 reads `no` as False and `1e-5` as a word; class names and layer settings mean neither.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        lists = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))
        ]
        level = [v for inside in lists for v in inside]
    if level:
        raise BadInput(
            f"The layer list is nested more than {DEPTH} deep; it should be a flat list."
        )


def parse_document(text: str) -> Any:
    """The value a YAML or JSON text stands for.

    Raises:
        BadInput: the text is too long, too deep, uses aliases, or is neither YAML nor JSON.
    """
    if len(text) > DOCUMENT_BYTES:
        raise BadInput(
            f"The layer list has more than {DOCUMENT_BYTES} characters; that is no layer list."
        )
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            _check_depth(value)
            return value
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader, narrowed further)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" near line {line + 1}"
        raise BadInput(
            f"The layer list is neither YAML nor JSON{where}; compare it with the example."
        ) from error


def read_layers(document: str | Path | Mapping[str, Any]) -> LayerList:
    """A checked layer list from a file, or from a document already parsed.

    Raises:
        NewerFormat: the document says `introspect: layers/2` or later.
        BadInput: anything else that is wrong, naming the layer.
    """
    if isinstance(document, (str, Path)):
        path = Path(document)
        if not path.is_file():
            raise BadInput(f"There is no layer list {path.name}; check the path.")
        with path.open("rb") as stream:
            raw = stream.read(DOCUMENT_BYTES + 1)
        try:
            document = parse_document(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BadInput(f"{path.name} is not text, so it is no layer list.") from error
    if not isinstance(document, Mapping) or not isinstance(document.get("layers"), list):
        raise BadInput('A layer list is a document with "input_shape" and a list "layers".')
    kind, _, version = str(document.get("introspect", f"layers/{VERSION}")).partition("/")
    if kind != "layers" or not version.isdigit():
        raise BadInput(
            f'The document is no layer list: it says "introspect: {document["introspect"]}".'
        )
    if int(version) > VERSION:
        raise NewerFormat("The layer list was written by a newer version of Introspect; update it.")
    known = {"introspect", "input_shape", "classes", "link", "preprocessing", "bounds", "layers"}
    strange = next((key for key in document if key not in known), None)
    if strange is not None:
        raise BadInput(
            f'The layer list has an unknown entry "{strange}"; '
            f"known are {', '.join(sorted(known))}."
        )
    shape = document.get("input_shape")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 4 or not all(map(_is_count, shape)):
        raise BadInput('The layer list needs "input_shape", e.g. [1, 28, 28].')
    classes = document.get("classes")
    if classes is not None and not (isinstance(classes, list) and 2 <= len(classes) <= 100_000):
        raise BadInput('"classes" in the layer list must be a list of at least two names.')
    if not 1 <= len(document["layers"]) <= LAYERS:
        raise BadInput(
            f"A layer list has 1 to {LAYERS} layers; this one has {len(document['layers'])}."
        )
    layers = tuple(_entry(i, entry) for i, entry in enumerate(document["layers"]))
    names = [name for name, _, _ in layers]
    if len(set(names)) < len(names):
        raise BadInput("Two layers of the layer list have the same name.")
    link = document.get("link", "auto")
    if link not in ("auto", "sigmoid", "softmax", "probabilities"):
        raise BadInput(
            f'The link "{link}" is unknown; use auto, sigmoid, softmax or probabilities.'
        )
    mean_std = document.get("preprocessing")
    return LayerList(
        input_shape=tuple(shape),
        layers=layers,
        classes=None if classes is None else tuple(str(name) for name in classes),
        link=link,
        preprocessing=None if mean_std is None else Preprocessing.parse(mean_std),
        bounds=_bounds(document.get("bounds", [0.0, 1.0])),
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= NUMBER


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _bounds(given: Any) -> tuple[float, float]:
    if isinstance(given, list) and len(given) == 2 and all(map(_is_number, given)):
        return float(given[0]), float(given[1])
    raise BadInput('"bounds" must be two numbers, e.g. [0, 1].')


def _entry(position: int, entry: Any) -> tuple[str, str, dict[str, Any]]:
    """One line of the list: `Flatten`, `Linear: [784, 200]`, or `{name: fc1, Linear: {…}}`."""
    name, where = str(position), f"Layer {position} of the layer list"
    if isinstance(entry, str):
        entry = {entry: []}
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where} must be a layer's name, or the name with its numbers.")
    entry = dict(entry)
    if "name" in entry:
        name = str(entry.pop("name"))
        if not name or "." in name or len(name) > 100 or name in dir(nn.Sequential):
            raise BadInput(f'{where} cannot be called "{name[:100]}"; use a plain word.')
    if len(entry) != 1:
        raise BadInput(
            f"{where} must hold exactly one layer; start every layer on a line of its own."
        )
    op, given = next(iter(entry.items()))
    if op not in ALLOWED:
        raise BadInput(
            f'{where}: "{str(op)[:60]}" is not a known layer; '
            f"known are {', '.join(sorted(ALLOWED))}."
        )
    if given is None:
        given = []
    args = given if isinstance(given, (list, Mapping)) else [given]
    signature = inspect.signature(ALLOWED[op])
    try:
        bound = signature.bind(**args) if isinstance(args, Mapping) else signature.bind(*args)
    except TypeError as error:
        raise BadInput(
            f"{where}: {op} does not take {given!r}: {error}; it takes {_takes(signature)}."
        ) from error
    for key, value in bound.arguments.items():
        if key in CLOSED or not _is_value(value) or (key in COUNTS and not _is_counts(value)):
            raise BadInput(f"{where}: {op} cannot have {key} = {str(value)[:60]}.")
    return name, op, {key: _tuple(value) for key, value in bound.arguments.items()}


def _takes(signature: inspect.Signature) -> str:
    return ", ".join(key for key in signature.parameters if key not in CLOSED) or "nothing"


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return 1 <= len(value) <= 8 and all(_is_value(v) and not isinstance(v, str) for v in value)
    if isinstance(value, str):
        return value in WORDS
    return value is None or type(value) is bool or (_is_number(value) and abs(value) <= NUMBER)


def _is_counts(value: Any) -> bool:
    if value is None:
        return True
    return all(v is None or _is_count(v) for v in (value if isinstance(value, list) else [value]))


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def build_module(listed: LayerList) -> nn.Sequential:
    """The network a layer list describes, on the meta device: shapes without memory.

    Raises:
        BadInput: a layer cannot be made, or the whole would be too big.
    """
    module = nn.Sequential()
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for position, (name, op, args) in enumerate(listed.layers):
            try:
                module.add_module(name, ALLOWED[op](**args))
            except Exception as error:
                reason = (str(error).splitlines() or ["?"])[0]
                raise BadInput(
                    f"Layer {position} of the layer list: {op} cannot be made: {reason}."
                ) from error
    count = sum(p.numel() for p in module.parameters())
    if count > WEIGHTS:
        raise BadInput(f"The layer list describes {count} weights; at most {WEIGHTS} are loaded.")
    return module


def list_layers(module: nn.Module) -> tuple[tuple[str, str, dict[str, Any]], ...] | None:
    """The layers of a plain `nn.Sequential`, or None where a list could not say all there is.

    None for other modules, nested ones, subclasses, hooks, and a layer used twice.
    """
    if type(module) is not nn.Sequential or _has_hooks(module):
        return None
    children = list(module._modules.items())
    if len({id(child) for _, child in children}) < len(children):
        return None
    shared = [p for _, child in children if child for p in child.parameters()]
    if len({id(p) for p in shared}) < len(shared):
        return None
    layers = []
    for name, child in children:
        op = type(child).__name__
        if child is None or ALLOWED.get(op) is not type(child) or _has_hooks(child):
            return None
        args = {}
        for key, parameter in inspect.signature(type(child)).parameters.items():
            if key in CLOSED or key not in vars(child) and key not in child._parameters:
                continue
            value = getattr(child, key)
            value = value is not None if key in child._parameters else value
            # PReLU keeps its weight where others keep a flag; `bias` is asked for as yes or no.
            if value != parameter.default:
                args[key] = tuple(value) if isinstance(value, (list, torch.Size)) else value
        layers.append((name, op, args))
    document = {"input_shape": [1], "layers": [_written(*layer) for layer in layers]}
    try:
        same = read_layers(json.loads(json.dumps(document))).layers == tuple(layers)
    except (BadInput, TypeError, ValueError):
        return None
    return tuple(layers) if same else None


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _written(name: str, op: str, args: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, op: args}


def write_layers(listed: LayerList, file: str | Path) -> None:
    """Writes a layer list as JSON that `read_layers` reads back to an equal one."""
    document: dict[str, Any] = {
        "introspect": f"layers/{VERSION}",
        "input_shape": listed.input_shape,
        "classes": listed.classes,
        "link": listed.link,
        "bounds": listed.bounds,
        "layers": [
            _written(name, op, args) if name != str(i) else {op: args}
            for i, (name, op, args) in enumerate(listed.layers)
        ],
    }
    if listed.preprocessing is not None:
        document["preprocessing"] = listed.preprocessing.document()
    Path(file).write_text(json.dumps(document, indent=1), encoding="utf-8")
