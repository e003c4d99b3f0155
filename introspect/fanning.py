"""Attacks many recorded samples of an atlas, as a command or as a job in the background."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from introspect.atlas import Atlas
from introspect.attacking import find_class
from introspect.attacks.base import make_attack
from introspect.errors import BadInput, Cancelled
from introspect.flow import (
    Flow,
    FlowCancelled,
    choose_rows,
    fan,
    join,
    read_flow,
    write_flow,
)
from introspect.gateways import find_gateways, tell_gateways
from introspect.plugin import Progress

FILE = "flow.npz"
"""What a job computed, in its own folder."""


def attack_samples(
    folder: Path,
    count: int,
    target: str,
    method: str,
    settings: dict[str, Any],
    choice: dict[str, Any],
    out: Path | None = None,
    on_step: Progress | None = None,
) -> dict[str, Any]:
    """The JSON of `introspect attack --samples`; writes `Flow.arrays` to `out`.

    Args:
        folder: the atlas.
        target: number or name of a class, or "all".
        settings: of the attack; those that are None keep their defaults.
        choice: `seed`, `split`, `right` of `choose_rows`, and `of`: a class by number or name,
            None for all.
        out: npz file to write; it is there whole or not at all.
        on_step: told (steps done, steps in all).

    Raises:
        BadInput: as `fan` and `choose_rows`; there is no such folder.
        Cancelled: `on_step` answered False; the samples finished until then are written.
    """
    if out is not None and not out.parent.is_dir():
        raise BadInput(f"There is no folder {str(out.parent)!r} to write {out.name} in.")
    attack = make_attack(method, **settings)
    atlas = Atlas.load(folder)
    targets = None if target == "all" else [find_class(target, atlas.classes)]
    of = choice.pop("of", None)
    classes = None if of is None else [find_class(of, atlas.classes)]
    rows = choose_rows(atlas, count, classes=classes, **choice)
    started = time.perf_counter()
    try:
        flow = fan(atlas, rows, attack, targets, on_step=on_step)
    except FlowCancelled as stop:
        if out is None:
            raise Cancelled("The attacks were stopped.") from stop
        write_flow(stop.done, out)
        raise Cancelled(
            f"Stopped; the {len(stop.done):,} samples finished until then are in {out.name}."
        ) from stop
    seconds = time.perf_counter() - started
    if out is not None:
        write_flow(flow, out)
    return {
        **summarise(atlas, flow),
        "seconds": round(seconds, 3),
        "out": None if out is None else str(out),
    }


def summarise(atlas: Atlas, flow: Flow) -> dict[str, Any]:
    """What JSON can hold of a flow: rates by class, the whole in a few numbers, gateways.

    `success`, `median_step` and `alarm` have one row for each class at the start and one column
    for each of `targets`; null where no walk has such a value, and for the own class.
    """
    other = flow.source[:, None] != flow.target[None, :]
    arrived = other & (flow.success_step >= 0)
    rang = arrived & (flow.alarm_step >= 0) & (flow.alarm_step <= flow.success_step)
    gateways = find_gateways(atlas, flow)
    return {
        "samples": len(flow),
        "walks": int(other.sum()),
        "arrived": int(arrived.sum()),
        "alarmed": int(rang.sum()),
        "stalled": int((other & (flow.stalled > 0)).sum()),
        "targets": flow.target.tolist(),
        "classes": list(atlas.classes),
        "sources": np.bincount(flow.source, minlength=flow.k).tolist(),
        "success": _plain(flow.success_rate),
        "median_step": _plain(flow.median_step),
        "alarm": _plain(flow.alarm_rate),
        "gateways": [
            {
                "x": round(one.x, 4),
                "y": round(one.y, 4),
                "radius": round(one.radius, 4),
                "walks": one.walks,
                "samples": one.samples,
                "share": round(one.share, 4),
                "recorded": round(one.recorded, 4),
                "log_error": round(one.log_error, 4),
                "pairs": [
                    {"source": source, "target": target, "walks": walks}
                    for source, target, walks in one.pairs
                ],
                "told": told,
            }
            for one, told in zip(gateways, tell_gateways(gateways, atlas.classes), strict=True)
        ],
        "attack": flow.attack,
        "settings": flow.settings,
        "threshold": flow.threshold,
    }


def _plain(table: Float[np.ndarray, "k T"]) -> list[list[float | None]]:
    """JSON has no NaN."""
    return [[None if np.isnan(v) else round(float(v), 4) for v in line] for line in table]


def run_fan(arguments: dict[str, Any], report: Any) -> dict[str, Any]:
    """The fan as a job: runs it, writes the npz file, answers what `summarise` says of it.

    Every few samples are kept as soon as they are done, so that neither a stop nor a kill loses
    them; started again, it goes on behind them.

    Args:
        arguments: `atlas`, its folder; optionally `count, seed, split, classes, right, method,
            settings, targets, threshold`.
        report: as of `introspect.jobs.start`; `report.folder` keeps the parts, and `flow.npz`
            comes beside it.

    Raises:
        BadInput: as `fan` and `choose_rows`.
        Cancelled: asked to stop; the samples finished until then are written.
    """
    attack = make_attack(arguments.get("method") or "fgsm", **(arguments.get("settings") or {}))
    report("Opening the atlas", 0, 1)
    atlas = Atlas.load(arguments["atlas"])
    rows = choose_rows(
        atlas,
        int(arguments.get("count") or 300),
        int(arguments.get("seed") or 0),
        arguments.get("split") or "test",
        arguments.get("classes") or None,
        bool(arguments.get("right", True)),
    )
    known = read_parts(report.folder)
    pace = Pace(len(rows), len(arguments.get("targets") or atlas.classes))

    def tell(done: int, total: int) -> bool:
        try:
            report("Attacking", done, total, pace.tell(done, total))
        except Cancelled:
            return False
        return True

    def keep(part: Flow) -> None:
        number = len(list(report.folder.glob("part-*.npz")))
        write_flow(part, report.folder / f"part-{number:06d}.npz")

    out = report.folder.parent / FILE
    try:
        flow = fan(
            atlas,
            rows,
            attack,
            arguments.get("targets") or None,
            arguments.get("threshold"),
            tell,
            keep,
            known,
        )
    except FlowCancelled as stop:
        write_flow(stop.done, out)
        raise
    write_flow(flow, out)
    return summarise(atlas, flow)


class Pace:
    """How fast walks are made since the work began, in words.

    Args:
        samples, targets: of the whole fan.
    """

    def __init__(self, samples: int, targets: int) -> None:
        self._samples, self._targets = samples, targets
        self._began: tuple[float, int] | None = None

    def tell(self, done: int, total: int) -> str:
        """The samples done and the walks made in a second."""
        now = time.monotonic()
        if self._began is None:
            self._began = (now, done)
        then, before = self._began
        share = done / max(1, total)
        finished = f"{int(share * self._samples):,} of {self._samples:,} samples"
        if now - then < 0.5 or done <= before:
            return finished
        rate = (done - before) / total * self._samples * self._targets / (now - then)
        return f"{finished}, {rate:.3g} walks a second"


def read_parts(folder: Path) -> Flow | None:
    """What a job has finished so far, None while that is nothing."""
    parts = []
    for file in sorted(folder.glob("part-*.npz")):
        try:
            parts.append(read_flow(file))
        except BadInput:
            break  # behind a damaged one everything is made again
    return join(parts) if parts else None


def read_job(folder: Path) -> Flow | None:
    """What a job of this folder has computed, whole or until it was stopped or killed.

    Raises:
        BadInput: its file is damaged.
    """
    if (folder / FILE).is_file():
        return read_flow(folder / FILE)
    return read_parts(folder / "work")
