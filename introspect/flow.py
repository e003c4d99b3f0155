"""The fan: an attack on many samples, where it leads on the map and which classes give way.

The paper sees "gateways" between clusters in the walks of single samples; here they are counted.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from introspect.atlas import Atlas
from introspect.attacks.base import AbstractAttack
from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress
from introspect.samples import SPLITS
from introspect.store import write_file
from introspect.trajectory import Witness, find_targets, first_true

TOGETHER = 128
"""Walks made as one batch: enough to keep the processor busy, little enough for the memory."""

LARGEST = 1 << 30
"""Most bytes of places kept, and of pictures made at once."""

PER_SAMPLE = ("row", "source", "label", "z", "success_step", "alarm_step", "linf", "stalled")


@dataclass(frozen=True, eq=False)
class Density:
    """Traffic of walks over a g by g grid; row r from below, column c from the left.

    `visits` counts points of walks in every cell; `drift` is the mean move of a step that begins
    there, in units of z, 0 where none does. `extent` is (x0, x1, y0, y1).
    """

    visits: Int64[np.ndarray, "g g"]
    drift: Float32[np.ndarray, "g g 2"]
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Flow:
    """The walks of m samples towards T targets of k classes; arrays are read-only.

    `row` in the atlas; `source` the class predicted for the clean sample; `label` the true one, -1
    unknown. `z` holds the t points of every walk. `success_step` and `alarm_step` are those of
    `Trajectory`, `linf` the distance from the clean sample at the end, `stalled` the number of
    steps short of the target at which every gradient was exactly 0.
    """

    row: Int64[np.ndarray, " m"]
    source: Int64[np.ndarray, " m"]
    label: Int64[np.ndarray, " m"]
    target: Int64[np.ndarray, " T"]
    z: Float32[np.ndarray, "m T t 2"]
    success_step: Int64[np.ndarray, "m T"]
    alarm_step: Int64[np.ndarray, "m T"]
    linf: Float32[np.ndarray, "m T"]
    stalled: Int64[np.ndarray, "m T"]
    k: int
    threshold: float
    attack: str
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def success_rate(self) -> Float[np.ndarray, "k T"]:
        """Share of the samples taken for class i that were brought to target j.

        NaN where there is no such sample, and where the target is the own class.
        """
        return self._table(self.success_step >= 0, np.mean)

    @property
    def median_step(self) -> Float[np.ndarray, "k T"]:
        """Median step of success among the walks that had it, NaN where none had."""
        steps = np.where(self.success_step >= 0, self.success_step, np.nan)
        return self._table(steps, lambda part: np.median(part[~np.isnan(part)]))

    @property
    def alarm_rate(self) -> Float[np.ndarray, "k T"]:
        """Share of the successful walks whose alarm sounded no later than their success."""
        rang = (self.alarm_step >= 0) & (self.alarm_step <= self.success_step)
        value = np.where(self.success_step >= 0, rang, np.nan)
        return self._table(value, lambda part: np.mean(part[~np.isnan(part)]))

    def _table(self, value: np.ndarray, measure: Any) -> Float[np.ndarray, "k T"]:
        """One figure for every pair of classes, NaN where no walk has a value."""
        out = np.full((self.k, len(self.target)), np.nan)
        for i in range(self.k):
            mine = value[self.source == i].astype(np.float64)
            for j, target in enumerate(self.target):
                if i != target and not np.isnan(mine[:, j]).all():
                    out[i, j] = measure(mine[:, j])
        return out

    def density(
        self,
        g: int = 80,
        extent: tuple[float, float, float, float] | None = None,
        source: int | None = None,
        target: int | None = None,
    ) -> Density:
        """Where the walks pass and which way they go there.

        Args:
            extent: (x0, x1, y0, y1); all walks when left out. Points outside are not counted.
            source, target: only walks from this class, only walks towards that one.
        """
        rows = np.ones(len(self), bool) if source is None else self.source == source
        columns = np.ones(len(self.target), bool) if target is None else self.target == target
        z = self.z[rows][:, columns].reshape(-1, self.z.shape[2], 2)
        if extent is None:
            low, high = self.z.reshape(-1, 2).min(0), self.z.reshape(-1, 2).max(0)
            extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        x0, x1, y0, y1 = extent
        size = np.maximum([x1 - x0, y1 - y0], 1e-12)
        cell = np.floor((z - [x0, y0]) / size * g).astype(np.int64)
        cell = np.where((z == np.array([x1, y1])) & (cell == g), g - 1, cell)
        inside: np.ndarray = np.all((cell >= 0) & (cell < g), axis=2)
        place = cell[..., 1] * g + cell[..., 0]
        visits = np.bincount(place[inside], minlength=g * g)
        leaving = inside[:, :-1]
        move, begun = np.diff(z, axis=1)[leaving], place[:, :-1][leaving]
        count = np.maximum(np.bincount(begun, minlength=g * g), 1)
        drift = [np.bincount(begun, move[:, axis], g * g) / count for axis in (0, 1)]
        return Density(
            visits.reshape(g, g),
            np.stack(drift, 1).astype(np.float32).reshape(g, g, 2),
            extent,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, as an npz file keeps it."""
        own = {
            name: np.array(value) if isinstance(value, (int, float, str)) else value
            for name, value in vars(self).items()
            if name != "settings"
        }
        return {**own, "settings": np.array(json.dumps(self.settings))}


class FlowCancelled(Cancelled):
    """The fan was stopped; `done` is the Flow of the samples finished until then."""

    def __init__(self, done: Flow) -> None:
        super().__init__("The fan was stopped; the samples finished until then are kept.")
        self.done = done


def choose_rows(
    atlas: Atlas,
    count: int = 300,
    seed: int = 0,
    split: str = "test",
    classes: Sequence[int] | None = None,
    right: bool = True,
) -> Int64[np.ndarray, " m"]:
    """Rows to attack: samples of a split, equally many of every class.

    A sample counts to the class that the network takes it for: there its walk begins. Fewer where
    a class has fewer; by chance, the same for the same seed, in order.

    Args:
        split: train, validation, test or all.
        classes: only those; all when left out.
        right: only samples that the network gets right.

    Raises:
        BadInput: no such split or class, fewer than one sample asked for, or none is left.
    """
    points, k = atlas.points, len(atlas.classes)
    if count < 1:
        raise BadInput(f"A fan needs at least one sample; got {count}.")
    if split not in (*SPLITS, "all"):
        raise BadInput(f"There is no split {split!r}: choose {', '.join(SPLITS)} or all.")
    wanted = range(k) if classes is None else [int(one) for one in classes]
    for one in wanted:
        if not 0 <= one < k:
            raise BadInput(f"There is no class {one} to begin at: choose 0 to {k - 1}.")
    fits = np.isin(points.predicted, list(wanted))
    if split != "all":
        fits &= points.split == SPLITS.index(split)
    if right:
        fits &= points.correct
    if atlas.kept is not None:
        fits &= atlas.kept.mask(len(points))
    fit = np.flatnonzero(fits)
    if not len(fit):
        kind = "is classified correctly" if right else "is left"
        raise BadInput(f"No sample of this choice {kind}: choose another split or other classes.")
    order = np.random.default_rng(seed).permutation(fit)
    group = points.predicted[order]
    place = np.zeros(len(order), np.int64)
    for one in np.unique(group):
        place[group == one] = np.arange((group == one).sum())
    return np.sort(order[np.argsort(place, kind="stable")][:count])


def fan(
    atlas: Atlas,
    rows: Sequence[int] | Int64[np.ndarray, " m"],
    attack: AbstractAttack,
    targets: Sequence[int] | Int64[np.ndarray, " T"] | None = None,
    threshold: float | None = None,
    on_step: Progress | None = None,
    on_part: Callable[[Flow], None] | None = None,
    known: Flow | None = None,
) -> Flow:
    """Attacks many recorded samples towards every target and keeps the walks on the map.

    Args:
        rows: of the atlas.
        targets: class numbers; all k classes when left out.
        threshold: log_error above which the alarm sounds; the atlas's when left out.
        on_step: told (steps done, steps in all) over all samples.
        on_part: given the Flow of every few samples as soon as they are done.
        known: the first samples of the same fan, made before: they are not made again.

    Raises:
        BadInput: as `trace`; no rows, a row that is not there, more than fits into memory, or the
            atlas has no inputs.
        FlowCancelled: `on_step` answered False; its `done` holds the finished samples.
    """
    row = np.array(rows, np.int64).reshape(-1)
    if not len(row) or row.min() < 0 or row.max() >= len(atlas.points):
        raise BadInput(f"Choose at least one row from 0 to {len(atlas.points) - 1}.")
    if atlas.kept is None:
        raise BadInput("This atlas came without its inputs, so there is nothing to attack.")
    target = find_targets(targets, len(atlas.classes))
    check_size(atlas, len(row), len(target), attack.steps)
    alarm = atlas.thresholds["log_error"] if threshold is None else float(threshold)
    device, total = atlas.engine.device, attack.steps + 1
    every = max(1, TOGETHER // len(target))
    batches = [row[start : start + every] for start in range(0, len(row), every)]
    parts = [_part(atlas, row[:0], target, None, total, alarm, attack)]
    if known is not None:
        if not np.array_equal(known.row, row[: len(known)]):
            raise BadInput("What was made before belongs to another fan: start a new one.")
        parts.append(known)
    begun = 0 if known is None else -(-len(known) // every)
    aim = torch.tensor(target, device=device)
    for number, mine in list(enumerate(batches))[begun:]:

        def tell(done: int, _: int, number: int = number) -> bool:
            if on_step is None:
                return True
            return on_step(number * total + done, len(batches) * total) is not False

        clean = atlas.inputs(mine).to(device)
        start = clean.repeat_interleave(len(target), 0)
        try:
            with Witness(atlas.engine, len(start), total, tell) as witness:
                path = attack.path(witness, start, aim.repeat(len(mine)))
        except Cancelled as stop:
            raise FlowCancelled(join(parts)) from stop
        seen = witness.answer(path)
        if not np.isfinite(seen["outputs"]).all():
            raise BadInput("The network's outputs are not finite on the way: try fewer steps.")
        moved = (path[-1] - start).flatten(1).abs().amax(1).cpu().numpy()
        parts.append(_part(atlas, mine, target, {**seen, "moved": moved}, total, alarm, attack))
        if on_part is not None:
            on_part(parts[-1])
    if on_step is not None:
        on_step(len(batches) * total, len(batches) * total)
    return join(parts)


def check_size(atlas: Atlas, samples: int, targets: int, steps: int) -> None:
    """Refuses what would not fit into memory.

    Raises:
        BadInput: more than a gigabyte of places, or of pictures made at once.
    """
    values = int(np.prod(atlas.classifier.input_shape))
    together = min(samples, max(1, TOGETHER // targets)) * targets
    if 8 * samples * targets * (steps + 1) > LARGEST or 4 * together * steps * values > LARGEST:
        raise BadInput(
            f"The walks of {samples:,} samples towards {targets:,} classes in {steps:,} steps do "
            "not fit into memory: choose fewer samples, classes or steps."
        )


def _part(
    atlas: Atlas,
    row: np.ndarray,
    target: np.ndarray,
    seen: dict[str, np.ndarray] | None,
    points: int,
    threshold: float,
    attack: AbstractAttack,
) -> Flow:
    """The Flow of some rows from what a witness saw of them; of no rows without a witness."""
    shape, k = (len(row), len(target)), len(atlas.classes)
    if seen is None:
        none = np.zeros((0, points), np.float32)
        seen = {"z": none, "outputs": np.zeros((0, points, k)), "log_error": none}
        seen |= {"stalled": none, "moved": np.zeros(0, np.float32)}
    there = seen["outputs"].argmax(2) == np.tile(target, len(row))[:, None]
    return Flow(
        row=row,
        source=atlas.points.predicted[row],
        label=atlas.points.label[row],
        target=target,
        z=seen["z"].reshape(*shape, points, 2),
        success_step=first_true(there).reshape(shape),
        alarm_step=first_true(seen["log_error"] > threshold).reshape(shape),
        linf=seen["moved"].reshape(shape),
        stalled=((seen["stalled"] == 1) & ~there).sum(1).reshape(shape),
        k=k,
        threshold=threshold,
        attack=type(attack).__name__.lower(),
        settings=dataclasses.asdict(attack),  # pyright: ignore[reportArgumentType]
    )


def join(parts: Sequence[Flow]) -> Flow:
    """Flows of the same attack on different samples as one."""
    names = [field.name for field in dataclasses.fields(Flow)]
    own = {name: [getattr(part, name) for part in parts] for name in names}
    rows = {name: np.concatenate(own[name]) for name in PER_SAMPLE}
    return Flow(**{**{name: values[0] for name, values in own.items()}, **rows})


def write_flow(flow: Flow, out: Path) -> None:
    """Writes the arrays of a flow as one npz file, in one step; nothing in it is pickled."""
    sink = io.BytesIO()
    np.savez(sink, **flow.arrays())  # pyright: ignore[reportArgumentType]
    write_file(out, sink.getvalue())


def read_flow(file: Path) -> Flow:
    """The flow in a file that `write_flow` wrote.

    Raises:
        BadInput: the file is gone or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            own = {field.name: kept[field.name] for field in dataclasses.fields(Flow)}
        own |= {name: own[name].item() for name in ("k", "threshold", "attack")}
        return Flow(**{**own, "settings": json.loads(str(own["settings"]))})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(
            "What was computed of this attack is gone or damaged: run it again."
        ) from error
