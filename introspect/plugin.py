"""How a method is added: one file in a family's folder, its settings declared as knobs."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

Progress = Callable[[int, int], bool | None]
"""Called with (done, total); answering False asks the work to stop with `Cancelled`."""


def knob(default: Any, low: Any = None, high: Any = None, help: str = "") -> Any:
    """A setting with a range and a help text, as a dataclass field.

    Args:
        default: the value used when nothing is chosen; numbers, strings or bools.
        low: smallest sensible value, or None where a range has no meaning.
        high: largest sensible value, or None.
        help: one sentence for the person who sees the slider.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "help": help})


def discover(package: ModuleType, verb: str = "fit") -> dict[str, type]:
    """The methods of a family: file name to the one final dataclass defined in that file.

    A file counts when it defines exactly one concrete dataclass of its own that has the family's
    verb; `base` is skipped.
    """
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name == "base":
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        own = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and value.__module__ == module.__name__
            and dataclasses.is_dataclass(value)
            and not inspect.isabstract(value)
            and verb in dir(value)
        ]
        if len(own) == 1:
            found[info.name] = own[0]
    return found
