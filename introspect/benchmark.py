"""Runs one measurement of benchmarks/ and sets its ratios beside their goals.

A measurement is a file `benchmarks/<name>.py` with one function `run()`, which answers
`{"ratios": {what: value}, "goals": {what: {"value": v, "op": ">=" | "<="}}, "values": {...}}`.
Ratios compare two things measured in the same run, so they hold on other machines too.
"""

from __future__ import annotations

import importlib.util
import operator
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from introspect.bundled import site
from introspect.errors import BadInput

MEETS = {">=": operator.ge, "<=": operator.le}


def measure(name: str) -> dict[str, Any]:
    """What the measurement found: name, ratios, goals, values, machine.

    Raises:
        BadInput: where there is no such measurement, or no checkout to find it in.
    """
    folder = site() / "benchmarks"
    known = {path.stem: path for path in sorted(folder.glob("*.py"))}
    if not known:
        raise BadInput("The measurements are in a checkout of the repository, not in the package.")
    if name not in known:
        raise BadInput(f"There is no measurement {name!r}: choose one of {', '.join(known)}.")
    found = _load(known[name]).run()
    ratios, goals = found["ratios"], found["goals"]
    if ratios.keys() != goals.keys():
        raise ValueError(f"{name}: ratios {sorted(ratios)} and goals {sorted(goals)} differ")
    return {
        "name": name,
        "ratios": ratios,
        "goals": goals,
        "values": found["values"],
        "machine": machine(folder),
    }


def _load(file: Path) -> Any:
    # Beside each other on the path, as when a measurement is run as a script of its own.
    sys.path.insert(0, str(file.parent))
    try:
        spec = importlib.util.spec_from_file_location(f"benchmark_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return module


def machine(checkout: Path) -> dict[str, Any]:
    """What the figures were measured on: processor, cores, accelerator, versions, commit."""
    versions = {name: metadata.version(name) for name in ("torch", "numpy", "streamlit")}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "accelerator": _accelerator(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(checkout),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _accelerator() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _commit(checkout: Path) -> str | None:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def table(answer: dict[str, Any]) -> str:
    """The ratios beside their goals, then the absolute figures, as lines for a person."""
    width = max(len(what) for what in [*answer["ratios"], *answer["values"], "ratio"])
    lines = [f"{answer['name']}: {'ratio':<{width}} {'measured':>10} {'goal':>12}"]
    indent = " " * (len(answer["name"]) + 2)
    for what, value in answer["ratios"].items():
        goal = answer["goals"][what]
        verdict = "met" if MEETS[goal["op"]](value, goal["value"]) else "missed"
        wanted = f"{goal['op']} {goal['value']:g}"
        lines.append(f"{indent}{what:<{width}} {value:>10.4g} {wanted:>12}  {verdict}")
    for what, value in answer["values"].items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        lines.append(f"{indent}{what:<{width}} {shown:>10}")
    machine = answer["machine"]
    lines.append(
        f"{indent}{machine['processor']}, {machine['cores']} cores, load {machine['load']}"
    )
    return "\n".join(lines)
