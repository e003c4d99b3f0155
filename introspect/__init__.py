"""See in the browser what a PyTorch classifier does with your data, and where it errs.

    import introspect
    atlas = introspect.build(module, (x, y))
    atlas.open()

Letters in shapes: `n` samples, `p` units (all recorded layers side by side), `k` classes,
`t` steps, `m` a batch of located inputs, `g` chart cells a side.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from introspect.atlas import Atlas, Chart
    from introspect.building import build, load
    from introspect.classifier import Classifier, load_classifier, save_classifier
    from introspect.engine import Positions
    from introspect.errors import BadInput, Cancelled, IntrospectError, NewerFormat
    from introspect.evolution import Evolution, evolve
    from introspect.points import Points
    from introspect.recording import Recording, record
    from introspect.samples import Samples, load_samples
    from introspect.trajectory import Trajectory, trace

__version__ = "0.1.0"

__all__ = [
    "Atlas",
    "BadInput",
    "Cancelled",
    "Chart",
    "Classifier",
    "Evolution",
    "IntrospectError",
    "NewerFormat",
    "Points",
    "Positions",
    "Recording",
    "Samples",
    "Trajectory",
    "build",
    "evolve",
    "load",
    "load_classifier",
    "load_samples",
    "record",
    "save_classifier",
    "trace",
]

_HOME = {
    "Atlas": "atlas",
    "BadInput": "errors",
    "Cancelled": "errors",
    "Chart": "atlas",
    "Classifier": "classifier",
    "Evolution": "evolution",
    "IntrospectError": "errors",
    "NewerFormat": "errors",
    "Points": "points",
    "Positions": "engine",
    "Recording": "recording",
    "Samples": "samples",
    "Trajectory": "trajectory",
    "build": "building",
    "evolve": "evolution",
    "load": "building",
    "load_classifier": "classifier",
    "load_samples": "samples",
    "record": "recording",
    "save_classifier": "classifier",
    "trace": "trajectory",
}
"""Name to the module that defines it, imported at first use: `import introspect` loads no torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'introspect' has no attribute {name!r}")
    return getattr(import_module(f"introspect.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
