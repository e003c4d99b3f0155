"""torch.export archives, read as what they are: a zip of JSON and of raw tensors.

`torch.export.load` runs code that a file brings along in seven ways (pickled sample inputs,
weights and constants, sympy expressions, guards, generated code, operators that touch files,
native libraries). Nothing of that is opened here: not unpickled, not evaluated, not looked up.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.graph import (
    NODES,
    Graph,
    Here,
    Node,
    Ref,
    check_graph,
    prune,
)
from introspect.formats.members import open_stored
from introspect.formats.naming import Names, layer_paths
from introspect.formats.operators import CHECKS, base, is_readable, plain_name, word_of
from introspect.formats.preparing import prepare
from introspect.formats.pt2_tensors import AGAIN, DTYPES, STRIDED, read_payloads
from introspect.formats.rewriting import evaluate_only, without_writing

SCHEMA = 8
JSON_BYTES = 256 << 20

FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_SIZES = {"and_": "and", "or_": "or", "sym_max": "max", "sym_min": "min", "sym_float": "float"}


def read_pt2(file: str | Path) -> tuple[Graph, dict[str, torch.Tensor]]:
    """The network of a .pt2 file and its tensors, tried and ready for any number of inputs.

    Raises:
        BadInput: the file is damaged, was made to run code, or holds something that is not known.
    """
    path = Path(file)
    return prepare(*parse_pt2(path), path.name)


def parse_pt2(path: Path) -> tuple[Graph, dict[str, torch.Tensor]]:
    """What a .pt2 file says, checked but not tried; raises as `read_pt2`."""
    with open_stored(path) as (archive, members):
        # The single folder of the archive is not part of the names below.
        _check_kind(path, archive, members)
        models = [name for name in members if re.fullmatch(r"models/[^/]{1,200}\.json", name)]
        if len(models) != 1:
            raise BadInput(f"{path.name} holds {len(models)} models; {AGAIN}, one to a file.")
        model = models[0][len("models/") : -len(".json")]
        try:
            given = _read_json(path, archive, members[models[0]])
            _check_version(path, given)
            kept: dict[str, torch.Tensor] = {}
            for kind, folder in (("weights", "data/weights/"), ("constants", "data/constants/")):
                listed = members.get(f"{folder}{model}_{kind}_config.json")
                if listed is not None:
                    config = _read_json(path, archive, listed)["config"]
                    kept |= read_payloads(path, archive, members, folder, config)
            return _Reader(path, given["graph_module"], kept).read()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(f"{path.name} is damaged or incomplete; {AGAIN}.") from error
        except RecursionError as error:
            raise BadInput(f"{path.name} is nested too deep; {AGAIN}.") from error


def _check_kind(
    path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> None:
    if any(name.startswith("data/aotinductor/") for name in members):
        raise BadInput(
            f"{path.name} is compiled by AOTInductor, native code that would have to be run "
            'unread; on your own machine run "introspect export my_module:build model.pt2".'
        )
    mark = members.get("archive_format")
    if mark is None or mark.file_size > 16 or archive.read(mark).strip() != b"pt2":
        raise BadInput(f"{path.name} was exported by torch before 2.8; {AGAIN} and a newer torch.")
    order = members.get("byteorder")
    if order is not None and (order.file_size > 16 or archive.read(order).strip() != b"little"):
        raise BadInput(f"{path.name} was written on a big-endian machine; {AGAIN}.")


def _check_version(path: Path, given: Mapping[str, Any]) -> None:
    version = given["schema_version"]["major"]
    if version != SCHEMA:
        raise BadInput(
            f"{path.name} has version {str(version)[:20]} of torch's export format and Introspect "
            f"reads version {SCHEMA}; {AGAIN} and torch 2.8 or newer."
        )


def _read_json(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    if member.file_size > JSON_BYTES:
        raise BadInput(
            f"{path.name} has a description of {member.file_size >> 20:,} MB, far beyond any "
            f"network's; {AGAIN}."
        )
    return json.loads(archive.read(member))


class _Reader:
    """Translates the description of one exported network."""

    def __init__(
        self, path: Path, module: Mapping[str, Any], kept: Mapping[str, torch.Tensor]
    ) -> None:
        self.path = path
        self.graph = module["graph"]
        self.signature = module["signature"]
        self.kept = kept
        self.names = Names()
        self.tensor_names = Names()

    def read(self) -> tuple[Graph, dict[str, torch.Tensor]]:
        inputs, weights, tensors = self._inputs()
        if len(inputs) != 1:
            raise BadInput(
                f"{self.path.name} takes {len(inputs)} inputs, and Introspect studies networks of "
                "one; export a module that takes the picture or row alone."
            )
        if len(self.graph["nodes"]) > NODES:
            raise BadInput(
                f"{self.path.name} has {len(self.graph['nodes']):,} operations; "
                f"at most {NODES:,} are read."
            )
        paths = layer_paths([_module_of(node) for node in self.graph["nodes"]], self.kept)
        nodes = [
            node
            for entry, path in zip(self.graph["nodes"], paths, strict=True)
            if (node := self._node(entry, path)) is not None
        ]
        outputs = self._outputs()
        shape = self._input_shape(inputs[0])
        graph = Graph(
            input=self.names[inputs[0]],
            input_shape=shape,
            weights=weights,
            nodes=tuple(nodes),
            output=outputs[0],
            outputs=tuple(outputs),
            batch=self._batch(inputs[0]),
        )
        graph = without_writing(evaluate_only(graph))
        check_graph(graph, tensors)
        return prune(graph, *graph.outputs), tensors

    def _inputs(self) -> tuple[list[str], dict[str, str], dict[str, torch.Tensor]]:
        inputs: list[str] = []
        weights: dict[str, str] = {}
        tensors: dict[str, torch.Tensor] = {}
        keys = {
            "parameter": "parameter_name",
            "buffer": "buffer_name",
            "tensor_constant": "tensor_constant_name",
        }
        for spec in self.signature["input_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_input":
                if "as_none" in entry["arg"]:
                    continue
                if "as_tensor" not in entry["arg"]:
                    raise BadInput(
                        f"{self.path.name} takes an input that is no tensor; export a module that "
                        "takes the picture or row alone."
                    )
                inputs.append(entry["arg"]["as_tensor"]["name"])
            elif kind in keys:
                stored = entry[keys[kind]]
                if stored not in self.kept:
                    raise BadInput(
                        f'{self.path.name} is incomplete: "{str(stored)[:80]}" is missing; {AGAIN}.'
                    )
                name = self.tensor_names[stored]
                weights[self.names[entry["arg"]["name"]]] = name
                tensors[name] = self.kept[stored]
            elif kind != "constant_input":
                raise BadInput(
                    f"{self.path.name} needs an object of Python or C++ ({kind[:40]}), which could "
                    "run code, so Introspect refuses it; export a module of plain tensors."
                )
        return inputs, weights, tensors

    def _input_shape(self, name: str) -> tuple[int, ...]:
        """One input without the batch; a size left open is that of the example it was made of."""
        sides = []
        for size in self.graph["tensor_values"][name]["sizes"][1:]:
            number = size.get("as_int")
            if number is None:
                number = (size["as_expr"].get("hint") or {}).get("as_int")
            if type(number) is not int:
                raise BadInput(
                    f"{self.path.name} leaves the input's size open; export it with a picture of "
                    "fixed size."
                )
            sides.append(number)
        return tuple(sides)

    def _batch(self, name: str) -> int | None:
        """How many inputs the export was fixed to, None where it was left open."""
        number = self.graph["tensor_values"][name]["sizes"][0].get("as_int")
        return number if type(number) is int and number > 0 else None

    def _outputs(self) -> list[str]:
        found = []
        for spec in self.signature["output_specs"]:
            argument = spec.get("user_output", {}).get("arg", {})
            if "as_tensor" in argument:
                found.append(self.names[argument["as_tensor"]["name"]])
        if not found:
            raise BadInput(f"{self.path.name} has no output; {AGAIN}.")
        return found

    def _node(self, entry: Mapping[str, Any], path: str) -> Node | None:
        op = self._operation(entry["target"])
        if op is None:
            return None
        args, kwargs = [], {}
        for given in entry["inputs"]:
            value = self._argument(given["arg"])
            if given.get("kind") == 2:
                kwargs[str(given["name"])] = value
            else:
                args.append(value)
        results, unpack = self._results(entry["outputs"])
        word = word_of(plain_name(op))
        if base(op) == "addmm":
            word = "linear"
        if base(op) == "convolution":
            weight = self.graph["tensor_values"].get(entry["inputs"][1]["arg"]["as_tensor"]["name"])
            word = f"conv{len(weight['sizes']) - 2}d" if weight else ""
        if not path.endswith(":"):
            shown = path
        else:
            shown = f"{path[:-1]}.{word}" if path != ":" else word
        return Node(
            op=op,
            args=tuple(args),
            results=results,
            kwargs=kwargs,
            unpack=unpack,
            word=word,
            path=shown if word else "",
        )

    def _operation(self, target: str) -> str | None:
        """The name in our table of what the archive calls; None for statements about sizes."""
        if target.startswith("torch.ops.aten."):
            op = target.removeprefix("torch.ops.")
            if base(op) in CHECKS:
                return None
        elif target.startswith(("_operator.", "math.", "torch.sym_", "builtins.")):
            word = target.rpartition(".")[2]
            op = f"size.{_SIZES.get(word, word)}"
        else:
            op = target
        if not is_readable(op):
            raise BadInput(
                f'{self.path.name} uses the operation "{target[:80]}", which is not on the list of '
                "those that Introspect runs."
            )
        return op

    def _results(self, outputs: list[Mapping[str, Any]]) -> tuple[tuple[str | None, ...], bool]:
        def named(argument: Mapping[str, Any]) -> str | None:
            ((kind, value),) = argument.items()
            if kind == "as_tensor":
                return self.names[value["name"]]
            if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
                return self.names[value["as_name"]] if "as_name" in value else None
            if kind == "as_none":
                return None
            raise BadInput(f"{self.path.name} has an operation with a result that is not read.")

        if len(outputs) == 1 and "as_tensors" in outputs[0]:
            return tuple(self.names[one["name"]] for one in outputs[0]["as_tensors"]), True
        results = tuple(named(one) for one in outputs)
        return results or (None,), len(outputs) > 1

    def _argument(self, given: Mapping[str, Any]) -> Any:
        ((kind, value),) = given.items()
        if kind == "as_none":
            return None
        if kind == "as_tensor":
            return Ref(self.names[value["name"]])
        if kind == "as_tensors":
            return [Ref(self.names[one["name"]]) for one in value]
        if kind in ("as_optional_tensors", "as_optional_tensor"):
            ones = value if isinstance(value, list) else [value]
            found = [
                Ref(self.names[one["as_tensor"]["name"]]) if "as_tensor" in one else None
                for one in ones
            ]
            return found if isinstance(value, list) else found[0]
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self._size(value)
        if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
            return [self._size(one) for one in value]
        if kind in ("as_float", "as_floats"):
            # JSON has no infinity, so torch writes it as a word.
            return [float(v) for v in value] if kind == "as_floats" else float(value)
        if kind in ("as_int", "as_ints", "as_bool", "as_bools", "as_string", "as_int_lists"):
            return value
        if kind == "as_scalar_type" and value in DTYPES:
            return DTYPES[value]
        if kind == "as_memory_format" and value in FORMATS:
            return FORMATS[value]
        if kind == "as_layout" and value == STRIDED:
            return torch.strided
        if kind == "as_device":
            return Here()
        raise BadInput(
            f"{self.path.name} gives an operation something that is no tensor or number "
            f"({kind[:40]}), so Introspect refuses it."
        )

    def _size(self, value: Mapping[str, Any]) -> Any:
        if "as_name" in value:
            return Ref(self.names[value["as_name"]])
        ((_, number),) = value.items()
        if type(number) not in (int, float, bool):
            raise ValueError("size")
        return number


def _module_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """Path and type of the innermost module in which an operation was called."""
    stack = str(node.get("metadata", {}).get("nn_module_stack", ""))
    parts = stack.rpartition(";")[2].split(",")
    if len(parts) < 3:
        return "", ""
    # A module that is called a second time gets "@1".
    return re.sub(r"@\d+", "", parts[1]), parts[-1]
