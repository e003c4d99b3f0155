"""Attacks a recorded sample of an atlas as a command asks, and keeps the walks as a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from introspect.atlas import Atlas
from introspect.attacks.base import make_attack
from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress
from introspect.store import write_file
from introspect.trajectory import TraceCancelled, Trajectory, trace


def attack_sample(
    folder: Path,
    sample: str,
    target: str,
    method: str,
    settings: dict[str, Any],
    out: Path | None = None,
    on_step: Progress | None = None,
) -> dict[str, Any]:
    """The JSON of `introspect attack`; writes `Trajectory.arrays` to `out`.

    Args:
        folder: the atlas.
        sample: an id of the atlas, or such as `test:907`.
        target: number or name of a class, or "all".
        settings: of the attack; those that are None keep their defaults.
        out: npz file to write; it is there whole or not at all.
        on_step: told (points done, points in all).

    Raises:
        BadInput: no such sample, class, attack or folder; the atlas came without its inputs or
            its network; a setting that does not fit.
        Cancelled: `on_step` answered False; the steps made until then are written.
    """
    if out is not None and not out.parent.is_dir():
        raise BadInput(f"There is no folder {str(out.parent)!r} to write {out.name} in.")
    attack = make_attack(method, **settings)
    atlas = Atlas.load(folder)
    row = atlas.points.row_of(sample)
    targets = None if target == "all" else [find_class(target, atlas.classes)]
    if atlas.kept is None:
        raise BadInput("This atlas came without its inputs, so there is nothing to attack.")
    x, label = atlas.inputs([row])[0], int(atlas.points.label[row])
    try:
        walk = trace(atlas, x, attack, targets, label, on_step=on_step)
    except TraceCancelled as stop:
        if out is None:
            raise Cancelled("The attack was stopped.") from stop
        made = stop.done.x.shape[1] - 1
        write_trajectory(stop.done, out)
        raise Cancelled(f"Stopped; the {made} steps made until then are in {out.name}.") from stop
    if out is not None:
        write_trajectory(walk, out)
    return {
        "targets": [
            {
                "target": aim,
                "success_step": None if success < 0 else success,
                "alarm_step": None if alarm < 0 else alarm,
                "linf": round(linf, 6),  # float32 says 0.30000004 at the rim of a ball of 0.3
            }
            for aim, success, alarm, linf in zip(
                walk.target.tolist(),
                walk.success_step.tolist(),
                walk.alarm_step.tolist(),
                walk.linf[:, -1].tolist(),
                strict=True,
            )
        ],
        "source": walk.source,
        "label": None if label < 0 else label,
        "points": walk.x.shape[1],
        "stalled": int((walk.stalled_step >= 0).sum()),
        "threshold": walk.threshold,
        "classes": list(atlas.classes),
        "out": None if out is None else str(out),
    }


def write_trajectory(walk: Trajectory, out: Path) -> None:
    """Writes the arrays of a trajectory as one npz file, in one step; nothing in it is pickled.

    Raises:
        BadInput: the file cannot be written, or the disk is full.
    """
    sink = io.BytesIO()
    np.savez(sink, **walk.arrays())  # pyright: ignore[reportArgumentType]
    write_file(out, sink.getvalue())


def find_class(said: str, classes: tuple[str, ...]) -> int:
    """The class of a number or, where it is none, of a name.

    Raises:
        BadInput: there is no such class.
    """
    if said.isdecimal() and int(said) < len(classes):
        return int(said)
    if said in classes:
        return classes.index(said)
    raise BadInput(
        f"There is no class {said!r} to aim at or begin from: give a number from 0 to "
        f"{len(classes) - 1}, a class name, or all."
    )
