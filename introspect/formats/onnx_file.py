"""What an .onnx file says, read without the onnx package: operators, tensors, inputs, outputs."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.onnx_operators import DTYPES
from introspect.formats.protobuf import (
    Damaged,
    fields,
    message,
    packed_floats,
    packed_ints,
    signed,
    single,
    text,
)

OPSETS = range(13, 21)
FILE_BYTES = 2 << 30
NODES = 50_000
TENSORS = 50_000
DIMENSIONS = 8
_AGAIN = "torch.onnx.export(model.eval(), (x,), 'model.onnx', external_data=False)"


@dataclass(frozen=True, eq=False)
class Operator:
    """One node: its type, the names it takes ("" where left out) and makes, its settings."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any]
    name: str = ""
    scopes: str = ""
    """The modules it was called in, as torch's exporter notes them."""


@dataclass(eq=False)
class OnnxFile:
    """The content of a file; `shapes` has None where a side is left open."""

    operators: list[Operator] = field(default_factory=list)
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    shapes: dict[str, list[int | None]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    opset: int = 0


def parse_onnx(path: Path) -> OnnxFile:
    """The content of an .onnx file.

    Raises:
        BadInput: it is damaged, too large, of an opset that is not read, keeps tensors in other
            files, or has operators that are programs of their own.
    """
    size = path.stat().st_size
    if not 0 < size <= FILE_BYTES:
        what = "is empty" if size == 0 else "is larger than 2 GB, the most an .onnx file can be"
        raise BadInput(f"{path.name} {what}; export it again.")
    with path.open("rb") as stream:
        raw = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(raw)
    try:
        return _Parser(path.name).model(view)
    except Damaged as error:
        raise BadInput(f"{path.name} is no .onnx file or is damaged; export it again.") from error
    finally:
        # Slices that an exception still holds keep the map open; it goes with them.
        with contextlib.suppress(BufferError):
            view.release()
            raw.close()


class _Parser:
    def __init__(self, name: str) -> None:
        self.name = name
        self.found = OnnxFile()

    def model(self, raw: memoryview) -> OnnxFile:
        graph: memoryview | None = None
        for number, _, value in fields(raw):
            if number == 7:
                graph = message(value)
            elif number == 8:
                self._opset(message(value))
            elif number == 25:
                raise BadInput(
                    f"{self.name} brings operators of its own, which are not read; export it with "
                    "torch.onnx.export(..., optimize=True)."
                )
        if graph is None:
            raise Damaged("no graph")
        if self.found.opset not in OPSETS:
            raise BadInput(
                f"{self.name} has opset {self.found.opset}, and Introspect reads "
                f"{OPSETS[0]} to {OPSETS[-1]}; export it with opset_version=18."
            )
        self._graph(graph)
        return self.found

    def _opset(self, raw: memoryview) -> None:
        domain, version = "", 0
        for number, _, value in fields(raw):
            if number == 1:
                domain = text(value)
            elif number == 2:
                version = signed(value)
        if domain in ("", "ai.onnx"):
            self.found.opset = version

    def _graph(self, raw: memoryview) -> None:
        for number, _, value in fields(raw):
            if number == 1:
                self.found.operators.append(self._operator(message(value)))
                if len(self.found.operators) > NODES:
                    raise BadInput(f"{self.name} has more than {NODES:,} operators.")
            elif number == 5:
                name, tensor = self._tensor(message(value))
                if name in self.found.tensors:
                    raise BadInput(f'{self.name} has two tensors named "{name[:80]}".')
                self.found.tensors[name] = tensor
                if len(self.found.tensors) > TENSORS:
                    raise BadInput(f"{self.name} has more than {TENSORS:,} tensors.")
            elif number == 15:
                raise BadInput(f"{self.name} has sparse tensors, which are not read.")
            elif number in (11, 12):
                name, shape = self._value(message(value))
                self.found.shapes[name] = shape
                (self.found.inputs if number == 11 else self.found.outputs).append(name)

    def _value(self, raw: memoryview) -> tuple[str, list[int | None]]:
        name, shape = "", []
        for number, _, value in fields(raw):
            if number == 1:
                name = text(value)
            elif number == 2:
                for kind, _, inner in fields(message(value)):
                    if kind == 1:
                        shape = self._shape(message(inner))
        return name, shape

    def _shape(self, raw: memoryview) -> list[int | None]:
        shape: list[int | None] = []
        for number, _, value in fields(raw):
            if number != 2:
                continue
            for kind, _, side in fields(message(value)):
                if kind == 1:
                    given = [signed(v) for n, _, v in fields(message(side)) if n == 1]
                    shape.append(given[-1] if given and given[-1] > 0 else None)
        return shape

    def _operator(self, raw: memoryview) -> Operator:
        inputs, outputs, settings = [], [], {}
        kind = name = domain = scopes = ""
        for number, _, value in fields(raw):
            if number == 1:
                inputs.append(text(value))
            elif number == 2:
                outputs.append(text(value))
            elif number == 3:
                name = text(value)
            elif number == 4:
                kind = text(value)
            elif number == 5:
                key, setting = self._setting(kind, message(value))
                settings[key] = setting
            elif number == 7:
                domain = text(value)
            elif number == 9:
                pair = {n: text(v) for n, _, v in fields(message(value))}
                if pair.get(1) == "pkg.torch.onnx.name_scopes":
                    scopes = pair.get(2, "")
        if domain not in ("", "ai.onnx"):
            raise BadInput(
                f'{self.name} uses the operator "{kind[:60]}" of "{domain[:60]}", which is not '
                "one of ONNX itself; export it with torch.onnx.export."
            )
        return Operator(kind, tuple(inputs), tuple(outputs), settings, name, scopes)

    def _setting(self, kind: str, raw: memoryview) -> tuple[str, Any]:
        name, form = "", 0
        one: Any = None
        ints: list[int] = []
        floats: list[float] = []
        words: list[str] = []
        for number, wire, value in fields(raw):
            if number == 1:
                name = text(value)
            elif number == 2:
                one = single(value)
            elif number == 3:
                one = signed(value)
            elif number == 4:
                one = text(value)
            elif number == 5:
                one = self._tensor(message(value))[1]
            elif number == 7:
                floats += packed_floats(value)
            elif number == 8:
                ints += packed_ints(wire, value)
            elif number == 9:
                words.append(text(value))
            elif number == 20:
                form = signed(value)
            elif number in (6, 10, 11, 15, 22, 23):
                raise BadInput(
                    f'{self.name} uses the operator "{kind[:60]}" with a program inside (If, Loop '
                    "or Scan), which is not read; export a network without control flow."
                )
        # A list of one element and an empty list can only be told by the stated form.
        lists: dict[int, Any] = {6: floats, 7: ints, 8: words}
        if form in lists:
            return name, lists[form]
        if one is None and (floats or ints or words):
            return name, floats or ints or words
        return name, {1: 0.0, 2: 0, 3: ""}.get(form) if one is None else one

    def _tensor(self, raw: memoryview) -> tuple[str, torch.Tensor]:
        dims: list[int] = []
        kind, name = 0, ""
        data: memoryview | None = None
        numbers: list[Any] = []
        for number, wire, value in fields(raw):
            if number == 1:
                dims += packed_ints(wire, value)
            elif number == 2:
                kind = signed(value)
            elif number == 4:
                numbers += packed_floats(value)
            elif number in (5, 7):
                numbers += packed_ints(wire, value)
            elif number == 8:
                name = text(value)
            elif number == 9:
                data = message(value)
            elif number == 10 and len(message(value)) % 8 == 0:
                numbers += torch.frombuffer(bytearray(message(value)), dtype=torch.float64).tolist()
            elif number == 13 or (number == 14 and value == 1):
                raise BadInput(
                    f'{self.name} keeps the tensor "{name[:60]}" in another file; save the model '
                    f"as one file: {_AGAIN}."
                )
        return name, self._filled(name, kind, dims, data, numbers)

    def _filled(
        self, name: str, kind: int, dims: list[int], data: memoryview | None, numbers: list[Any]
    ) -> torch.Tensor:
        dtype = DTYPES.get(kind)
        shown = f'{self.name}: the tensor "{name[:80]}"'
        if dtype is None:
            raise BadInput(f"{shown} is of a type that is not read (number {kind}).")
        count = math.prod(dims)
        if len(dims) > DIMENSIONS or any(not 0 <= side < 2**40 for side in dims):
            raise BadInput(f"{shown} has an impossible shape.")
        held = len(numbers) if data is None else len(data) / dtype.itemsize
        if held != count:
            raise BadInput(
                f"{shown} should have {count:,} elements by its shape but {held:,.0f} are stored; "
                "export the model again."
            )
        if data is None:
            if dtype in (torch.float16, torch.bfloat16):
                # Sixteen bits each, in a list of whole numbers.
                bits = torch.tensor([v - 65536 * (v > 32767) for v in numbers], dtype=torch.int16)
                return bits.view(dtype).reshape(dims)
            return torch.tensor(numbers, dtype=dtype).reshape(dims)
        if count == 0:
            return torch.empty(dims, dtype=dtype)
        return torch.frombuffer(bytearray(data), dtype=dtype).reshape(dims)
