"""ONNX files as canonical graphs: sizes worked out, constants folded, layers named."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from introspect.activation import ACTIVATIONS
from introspect.errors import BadInput
from introspect.formats.graph import (
    Graph,
    Node,
    Numbers,
    Ref,
    check_graph,
    prune,
    used,
)
from introspect.formats.naming import Names, harmless
from introspect.formats.onnx_file import OnnxFile, Operator, parse_onnx
from introspect.formats.onnx_lowering import LITERAL, LOWERED, RECURRENT, lower_recurrent
from introspect.formats.onnx_operators import DTYPES, FUNCTIONS
from introspect.formats.onnx_patterns import fuse
from introspect.formats.operators import function_of, word_of
from introspect.formats.preparing import prepare

HOST_NUMBERS = 1024
"""Longest tensor of whole numbers that is taken for sizes or places, not for weights."""
LITERALS = 4096
FOLDED = 1 << 24
_SKIPPED = ("Identity", "Dropout")
_SIZED = ("Shape", "Size")
_WORDS = {"PRelu": "prelu", "Softsign": "softsign", "HardSigmoid": "hardsigmoid"}


def read_onnx(file: str | Path) -> tuple[Graph, dict[str, torch.Tensor]]:
    """The network of an .onnx file and its tensors, tried and ready for any number of inputs.

    Raises:
        BadInput: the file is damaged, keeps tensors elsewhere, or uses what is not known.
    """
    path = Path(file)
    return prepare(*_Reader(path.name, parse_onnx(path)).read(), path.name)


class _Reader:
    def __init__(self, name: str, found: OnnxFile) -> None:
        self.name = name
        self.found = found
        self.constants: dict[str, torch.Tensor] = dict(found.tensors)
        self.alias: dict[str, str] = {}
        self.host: set[str] = set()
        self.names = Names()
        self.paths: set[str] = set()
        self.nodes: list[Node] = []

    def read(self) -> tuple[Graph, dict[str, torch.Tensor]]:
        inputs = [name for name in self.found.inputs if name not in self.constants]
        if len(inputs) != 1 or not self.found.outputs:
            raise BadInput(
                f"{self.name} takes {len(inputs)} inputs, and Introspect studies networks of one; "
                "export a module that takes the picture or row alone."
            )
        batch, *sides = self.found.shapes[inputs[0]] or [None]
        if not sides or None in sides:
            raise BadInput(
                f"{self.name} leaves the input's size open; export it with a picture of fixed size."
            )
        made = {inputs[0], *self.constants}
        for operator in self.found.operators:
            for name in operator.inputs:
                if name and name not in made:
                    raise BadInput(
                        f'{self.name}: {operator.kind[:60]} uses "{name[:80]}" before it is made: '
                        "the network is damaged or runs in a circle."
                    )
            for name in operator.outputs:
                if name in made and name:
                    raise BadInput(f'{self.name} makes "{name[:80]}" twice; export it again.')
                made.add(name)
            try:
                self._add(operator)
            except (ValueError, TypeError, IndexError, KeyError, AttributeError,
                    OverflowError, RuntimeError) as error:  # fmt: skip
                raise BadInput(
                    f"{self.name} is damaged: {operator.kind[:60]} has inputs or settings that it "
                    "cannot have."
                ) from error
        outputs = [self.alias.get(name, name) for name in self.found.outputs]
        lost = next((name for name in outputs if name not in made), None)
        if lost is not None:
            raise BadInput(f'{self.name}: nothing makes the output "{lost[:80]}".')
        values = {name for node in self.nodes for name in _names(node)}
        weights = {name: name for name in self.constants if name in values}
        graph = Graph(
            input=inputs[0],
            input_shape=tuple(int(side) for side in sides if side is not None),
            weights=weights,
            nodes=tuple(self.nodes),
            output=outputs[0],
            outputs=tuple(outputs),
            batch=batch,
        )
        graph, tensors = fuse(graph, self.constants)
        return self._renamed(graph, tensors)

    def _renamed(
        self, graph: Graph, tensors: dict[str, torch.Tensor]
    ) -> tuple[Graph, dict[str, torch.Tensor]]:
        """Names of the file replaced by harmless ones."""
        own = self.names
        known = {name: own[name] for node in graph.nodes for name in _names(node)}
        known |= {name: own[name] for name in (graph.input, *graph.weights, *graph.outputs)}
        nodes = []
        for node in graph.nodes:
            kwargs = {key: _with_names(value, known) for key, value in node.kwargs.items()}
            results = tuple(known[name] if name else None for name in node.results)
            args = _with_names(node.args, known)
            nodes.append(dataclasses.replace(node, args=args, kwargs=kwargs, results=results))
        kept = {known[name]: tensors[name] for name in graph.weights}
        renamed = dataclasses.replace(
            graph,
            input=known[graph.input],
            weights={name: name for name in kept},
            nodes=tuple(nodes),
            output=known[graph.output],
            outputs=tuple(known[name] for name in graph.outputs),
        )
        check_graph(renamed, kept)
        return prune(renamed, *renamed.outputs), kept

    def _add(self, operator: Operator) -> None:
        kind = operator.kind
        inputs = [self.alias.get(name, name) for name in operator.inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        if kind == "Constant":
            self.constants[operator.outputs[0]] = _constant(self.name, operator.settings)
            return
        if kind in _SKIPPED:
            self.alias[operator.outputs[0]] = inputs[0]
            return
        if kind in RECURRENT:
            made, tensors = lower_recurrent(self.name, operator, inputs, self.constants)
            self.constants |= tensors
            self.nodes.append(dataclasses.replace(made, path=self._path(operator, "")))
            return
        if kind not in FUNCTIONS and kind not in LOWERED:
            raise BadInput(
                f'{self.name} uses the operator "{kind[:60]}", which is not on the list of those '
                "that Introspect runs."
            )
        moving = [name for name in inputs if name and name not in self.constants]
        sized = kind in _SIZED
        hosted = sized or (bool(moving) and all(name in self.host for name in moving))
        args = [
            self._argument(kind, place, name, hosted and not sized)
            for place, name in enumerate(inputs)
        ]
        settings = dict(operator.settings)
        if kind == "Split" and len(inputs) < 2 and "num_outputs" not in settings:
            settings["num_outputs"] = len(operator.outputs)
        if kind == "ConstantOfShape" and isinstance(settings.get("value"), torch.Tensor):
            value = settings.pop("value").reshape(-1)
            codes = {dtype: code for code, dtype in DTYPES.items()}
            settings |= {"value": value[0].item(), "dtype": codes[value.dtype]}
        results = tuple(name or None for name in operator.outputs)
        node = self._lowered(operator, args, settings, results, hosted)
        if not moving and self._fold(node):
            return
        if hosted:
            self.host.update(name for name in results if name)
        self.nodes.append(node)

    def _lowered(
        self, operator: Operator, args: list[Any], settings: dict[str, Any],
        results: tuple[str | None, ...], hosted: bool,
    ) -> Node:  # fmt: skip
        kind = operator.kind
        made = None
        # Our own functions know that sizes live in main memory, torch's do not.
        sized = hosted or any(isinstance(v, Ref) and v.name in self.host for v in args)
        if kind in LOWERED and not (sized and kind in FUNCTIONS):
            made = LOWERED[kind](args, settings)
        if made is None and kind not in FUNCTIONS:
            raise BadInput(
                f"{self.name} uses the operator {kind[:60]} in a way that Introspect does not know."
            )
        op, given, kwargs = made if made is not None else (f"onnx.{kind}", args, settings)
        word = word_of(op) or self._word(kind, args, settings)
        return Node(
            op=op,
            args=tuple(given),
            results=results,
            kwargs=kwargs,
            unpack=len(results) > 1 or kind in ("Split", "TopK"),
            word=word,
            path=self._path(operator, word),
        )

    def _word(self, kind: str, args: list[Any], settings: dict[str, Any]) -> str:
        weight = args[1] if len(args) > 1 else None
        rank = 0
        if isinstance(weight, Ref) and weight.name in self.constants:
            rank = self.constants[weight.name].dim()
        if kind == "Conv":
            return f"conv{max(rank - 2, 1)}d"
        if kind == "ConvTranspose":
            return f"conv_transpose{max(rank - 2, 1)}d"
        if kind == "Gemm" or (kind == "MatMul" and rank == 2):
            return "linear"
        return {"PRelu": "prelu", "Softsign": "softsign", "HardSigmoid": "hardsigmoid"}.get(
            kind, ""
        )

    def _path(self, operator: Operator, word: str) -> str:
        """Where torch's exporters say it was called, and the word; as for a live module."""
        path = ""
        if operator.scopes:
            scopes = [scope for scope in re.findall(r"'([^']*)'", operator.scopes) if scope]
            # The last scope is the operation itself.
            path = scopes[-2] if len(scopes) > 1 else ""
            weight = operator.inputs[1] if len(operator.inputs) > 1 else ""
            if word.startswith("conv") and weight.endswith(".weight"):
                # A batch norm that was worked into a convolution gives it its own scope.
                path = weight.removesuffix(".weight")
        else:
            last = ""
            for scope in operator.name.strip("/").split("/")[:-1]:
                # Parts of a sequence repeat its name: /down/down.0 is down.0.
                if last and scope.startswith(f"{last}."):
                    path = path.removesuffix(last) + scope
                else:
                    path = f"{path}.{scope}" if path else scope
                last = scope
            # A module that is called again gets a number; the name is the module's.
            plain = re.sub(r"_\d+$", "", path)
            if word in ACTIVATIONS and plain in self.paths:
                path = plain
            self.paths.add(path)
        return harmless(path) + ":" if path else f":{word}"

    def _argument(self, kind: str, place: int, name: str, hosted: bool) -> Any:
        if not name:
            return None
        tensor = self.constants.get(name)
        if tensor is None:
            return Ref(name)
        if place in LITERAL.get(kind, ()) and tensor.numel() <= LITERALS:
            return tensor.tolist()
        integer = not tensor.is_floating_point() and tensor.dtype != torch.bool
        if integer and hosted and tensor.numel() <= HOST_NUMBERS:
            return Numbers(tuple(tensor.reshape(-1).tolist()), tuple(tensor.shape))
        if kind in _ARITHMETIC and tensor.dim() == 0:
            return tensor.item()
        return Ref(name)

    def _fold(self, node: Node) -> bool:
        """Computes what depends on constants alone, where the result is not large."""
        function = function_of(node.op)
        if function is None or node.unpack or node.results[0] is None:
            return False
        try:
            with torch.no_grad():
                result = function(*[self._still(v) for v in node.args], **node.kwargs)
        except Exception as error:
            raise BadInput(
                f"{self.name}: {node.op} cannot work on the constants it is given."
            ) from error
        if not isinstance(result, torch.Tensor):
            result = torch.as_tensor(result)
        if result.numel() > FOLDED:
            return False
        self.constants[node.results[0]] = result.contiguous()
        return True

    def _still(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.constants[value.name]
        if isinstance(value, list):
            return [self._still(part) for part in value]
        return value.tensor() if isinstance(value, Numbers) else value


_ARITHMETIC = frozenset("Add Sub Mul Div Pow Equal Greater Less GreaterOrEqual LessOrEqual".split())


def _constant(file: str, settings: Any) -> torch.Tensor:
    kinds: dict[str, Callable[[Any], torch.Tensor]] = {
        "value": lambda v: v,
        "value_float": lambda v: torch.tensor(v, dtype=torch.float32),
        "value_int": lambda v: torch.tensor(v, dtype=torch.int64),
        "value_floats": lambda v: torch.tensor(v, dtype=torch.float32),
        "value_ints": lambda v: torch.tensor(v, dtype=torch.int64),
    }
    for key, value in settings.items():
        if key in kinds:
            made = kinds[key](value)
            if isinstance(made, torch.Tensor):
                return made
    raise BadInput(f"{file} has a constant that is no tensor; export it again.")


def _names(node: Node) -> list[str]:
    return [*used(node), *(name for name in node.results if name)]


def _with_names(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, Ref):
        return Ref(names[value.name])
    if isinstance(value, list | tuple):
        return type(value)(_with_names(part, names) for part in value)
    return value
