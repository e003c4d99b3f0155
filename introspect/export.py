"""Export: a network of one's own, on one's own machine, as a file that any Introspect reads.

This runs the code of the person who asks for it, and of the TorchScript file they name; it is the
way out for everything that an upload refuses. What is written is read back and compared.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from introspect.activation import first_line, first_tensor
from introspect.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST = 65_536
"""Largest batch that the export is told of; Introspect's reader knows no limit."""
_COMPARED = 3


def load_built(place: str) -> tuple[nn.Module, tuple[int, ...] | None]:
    """The module that `my_module:build` makes, and its input's shape where that is known.

    `build` is a function without arguments that gives a module, or a module and an example input,
    or is a module itself. `my_module` is a module's name or a path such as `models/net.py`; its
    variable `input_shape`, or the network's, tells the shape of one input.

    Raises:
        BadInput: there is no such module or function, or it gives something else.
    """
    from torch import Tensor, nn

    where, _, name = place.rpartition(":")
    if not where or not name:
        raise BadInput(
            f"{place} does not say where the network is: give my_module:build, the module's name "
            "and the function in it that makes the network."
        )
    home = _import(where)
    made = getattr(home, name, None)
    if made is None:
        raise BadInput(f'{where} has no function "{name}"; give one that makes the network.')
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise BadInput(f"{place} is no function; give one that makes the network.")
        try:
            made = made()
        except Exception as error:
            raise BadInput(f"{place}() broke off: {first_line(error)}.") from error
    shape = getattr(home, "input_shape", None)
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Tensor):
        made, shape = made[0], tuple(made[1].shape[1:])
    if not isinstance(made, nn.Module):
        raise BadInput(f"{place} gives a {type(made).__name__}; it must give a torch.nn.Module.")
    own = getattr(made, "input_shape", shape)
    return made, tuple(int(side) for side in own) if isinstance(own, Sequence) else None


def _import(where: str) -> Any:
    with _beside_us():
        try:
            if not where.endswith(".py"):
                return importlib.import_module(where)
            path = Path(where)
            if not path.is_file():
                raise BadInput(f"There is no file {where}: check the path.")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = module
            spec.loader.exec_module(module)
            return module
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(f"{where} cannot be imported: {first_line(error)}.") from error


@contextlib.contextmanager
def _beside_us() -> Iterator[None]:
    """Modules in the current folder can be imported, as with `python -m`."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def load_script(file: str | Path) -> nn.Module:
    """The network of a TorchScript file. Loading one runs the program in it.

    Raises:
        BadInput: there is no such file, or it is none.
    """
    import torch

    path = Path(file)
    if not path.is_file():
        raise BadInput(f"There is no file {path}: check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise BadInput(f"{path.name} is no TorchScript file: {first_line(error)}.") from error


def export(module: nn.Module, out: str | Path, input_shape: Sequence[int] | None) -> dict[str, Any]:
    """Writes a network as .pt2, for any number of inputs at a time, and reads it back.

    Args:
        module: stays as it is; a copy in evaluation on the CPU is exported.
        out: the file to write.
        input_shape: one input, without the batch.

    Returns:
        `out`, `input_shape`, `outputs` (numbers that the network gives an input), `operations`,
        `weights` (numbers), `bytes`, `difference` (largest between file and module).

    Raises:
        BadInput: the network cannot be exported, or the file says something else than it.
    """
    import torch

    path = Path(out)
    if path.suffix != ".pt2":
        raise BadInput(f"{path.name} should end in .pt2.")
    if input_shape is None:
        raise BadInput(
            "The shape of one input is not known: give it, such as --input-shape 3,32,32."
        )
    shape = tuple(int(side) for side in input_shape)
    if not shape or min(shape) < 1:
        raise BadInput(f"The input shape {shape} is empty; give e.g. 3,32,32.")
    scripted = isinstance(module, torch.jit.ScriptModule)
    try:
        own = module if scripted else copy.deepcopy(module).cpu().float().eval()
        with torch.no_grad():
            wanted = first_tensor(own(_inputs(shape, _COMPARED)))
    except Exception as error:
        raise BadInput(
            f"The network does not take a batch of inputs of shape {shape}: {first_line(error)}."
        ) from error
    if wanted is None:
        raise BadInput("The network gives no tensor, so there is nothing to export.")
    with _quiet():
        program = _program(own, shape, scripted)
        # Where the code lies on this machine and what it was tried on is nobody's business.
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
        program.example_inputs = None
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.export.save(program, path)
    return _compared(path, shape, wanted)


def export_named(
    model: str, out: str | None, input_shape: str | None, torchscript: bool = False
) -> dict[str, Any]:
    """What the command does: `my_module:build`, or a TorchScript file, to a .pt2 file.

    Args:
        out: the file to write; `model.pt2`, or a script's own name with another ending, without.
        input_shape: one input as text, such as 3,32,32.

    Raises:
        BadInput: as the functions above.
    """
    given = None
    if input_shape is not None:
        try:
            given = tuple(int(side) for side in input_shape.replace("x", ",").split(","))
        except ValueError:
            raise BadInput(
                f"--input-shape {input_shape} is no shape: give whole numbers such as 3,32,32."
            ) from None
    if torchscript:
        target = out or str(Path(model).with_suffix(".pt2"))
        return export(load_script(model), target, given)
    module, shape = load_built(model)
    return export(module, out or "model.pt2", given or shape)


def _inputs(shape: tuple[int, ...], m: int) -> torch.Tensor:
    import torch

    return torch.rand(m, *shape, generator=torch.Generator().manual_seed(0))


def _program(module: nn.Module, shape: tuple[int, ...], scripted: bool) -> Any:
    """The exported program, with an open batch where the network lets it be open."""
    import torch
    from torch import nn

    class Whole(nn.Module):
        """An ordinary module around a script, which the exporter would turn away."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x)

    open_batch = {0: torch.export.Dim("batch", min=1, max=MOST)}
    ways = [
        lambda: torch.export.export(module, (_inputs(shape, 2),), dynamic_shapes=(open_batch,)),
        # A batch of one baked in: the reader makes it free again.
        lambda: torch.export.export(module, (_inputs(shape, 1),)),
    ]
    if scripted:
        from torch._export.converter import TS2EPConverter

        ways = [
            lambda: torch.export.export(Whole().eval(), (_inputs(shape, 1),), strict=False),
            lambda: TS2EPConverter(cast(Any, module), (_inputs(shape, 2),)).convert(),
        ]
    trouble = ""
    for way in ways:
        try:
            return way()
        except Exception as error:
            trouble = trouble or first_line(error)
    raise BadInput(
        f"torch cannot export this network ({trouble.rstrip('.')}): look for branches on the "
        "values of tensors and for calls outside of torch."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks on itself stay out of the way of ours."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compared(path: Path, shape: tuple[int, ...], wanted: torch.Tensor) -> dict[str, Any]:
    """Reads the file as an upload is read, and holds it against the network itself."""
    import torch

    from introspect.formats.network import GraphNetwork
    from introspect.formats.pt2 import read_pt2

    graph, tensors = read_pt2(path)
    with torch.no_grad():
        got = GraphNetwork(graph, tensors)(_inputs(shape, _COMPARED))
    fits = got.shape == wanted.shape
    difference = float((got - wanted).abs().max()) if fits else float("inf")
    if not fits or not difference <= 1e-3 * (1 + float(wanted.abs().max())):
        raise BadInput(
            f"{path.name} was written but gives other answers than the network itself: "
            "it probably decides by the values of its inputs, which no file can say."
        )
    return {
        "out": str(path),
        "input_shape": list(shape),
        "outputs": int(got.shape[-1]),
        "operations": len(graph.nodes),
        "weights": sum(tensor.numel() for tensor in tensors.values()),
        "bytes": path.stat().st_size,
        "difference": difference,
    }
