"""Training evolution: where learning took a fixed set of samples, snapshot by snapshot.

After fig. 2 (a) and (e) of Pardo et al. 2020. The paper's encoder learns from the record of all
cycles; here the atlas's own, which learnt from the finished network, reads every snapshot, so that
the paths end where the samples lie on the activation map.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32, Float64, Int64

from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled
from introspect.formats.safetensors import fill_module, read_tensors, write_tensors
from introspect.plugin import Progress
from introspect.points import Points
from introspect.recording import choose_device
from introspect.samples import SPLITS
from introspect.store import replace, writing
from introspect.tap import Tap

if TYPE_CHECKING:
    from introspect.atlas import Atlas

__all__ = ["Checkpoint", "Evolution", "EvolutionCancelled", "evolve", "find_checkpoints"]

COUNT = 2000
"""Samples that are followed."""

BATCH = 250


@dataclass(frozen=True, eq=False)
class Evolution:
    """What a network said of the same n samples at s moments of its training; read-only.

    `step` is the number in each checkpoint's file name, rising; `row` and `id` tell which samples
    of the atlas they are; `label` -1 where there is none; `z` places by the atlas's encoder;
    `outputs` ŷ as half floats; `predicted` the class with the highest output.
    """

    step: Int64[np.ndarray, " s"]
    row: Int64[np.ndarray, " n"]
    id: Int64[np.ndarray, " n"]
    label: Int64[np.ndarray, " n"]
    z: Float32[np.ndarray, "s n 2"]
    outputs: Float16[np.ndarray, "s n k"]
    predicted: Int64[np.ndarray, "s n"]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.step)

    @property
    def accuracy(self) -> Float64[np.ndarray, " s"]:
        """Share of right answers at every snapshot, 0-1; NaN where no sample has a label."""
        known = self.label >= 0
        if not known.any():
            return np.full(len(self), np.nan)
        return (self.predicted[:, known] == self.label[known]).mean(1)

    def certainty(self, code: Int64[np.ndarray, "s n"]) -> Float32[np.ndarray, "s n"]:
        """How much a network has made up its mind for given classes, from 0 (chance) to 1.

            min(1, Σŷ) · (ŷ_c / Σŷ − 1/k) / (1 − 1/k), not below 0

        With a softmax the sum is 1; sigmoids that all say ½, as they do before training, are as
        undecided as shares of 1/k.
        """
        outputs = self.outputs.astype(np.float32).clip(0, None)
        total = outputs.sum(2)
        own = np.take_along_axis(outputs, code[..., None], 2)[..., 0]
        chance = 1 / outputs.shape[2]
        share = (own / np.maximum(total, 1e-12) - chance) / (1 - chance)
        return share.clip(0, 1) * total.clip(0, 1)


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a network at one step of its training: a safetensors state dict."""

    step: int
    file: Path


Places = str | Path | Iterable[str | Path | Checkpoint]
"""Where checkpoints are: a folder, or files and folders."""


class EvolutionCancelled(Cancelled):
    """It was stopped; `done` is the Evolution of the snapshots read until then, or None."""

    def __init__(self, done: Evolution | None) -> None:
        super().__init__("Following the training was stopped; the snapshots read so far are kept.")
        self.done = done


# ---------------------------------------------------------------- checkpoints
def find_checkpoints(source: Places) -> tuple[Checkpoint, ...]:
    """Checkpoints in the order of their steps, each the last number in its file's name.

    Args:
        source: a folder, whose .safetensors files with a number in their name are taken, or files
            and folders; what this function answered is taken as it is.

    Raises:
        BadInput: fewer than two, a name without a number, or two with the same number.
    """
    places = [source] if isinstance(source, str | Path) else list(source)
    found = sorted((one for place in places for one in _look(place)), key=lambda one: one.step)
    if len(found) < 2:
        raise BadInput(
            f"{len(found) or 'No'} checkpoint{'s' * (not found)} found, but an evolution needs two "
            "or more: give a folder of safetensors files such as step001000.safetensors."
        )
    for before, after in pairwise(found):
        if before.step == after.step:
            raise BadInput(
                f"{before.file.name} and {after.file.name} both say step {after.step}: leave one "
                "out or rename it, the last number in the name is the step."
            )
    return tuple(found)


def _look(place: str | Path | Checkpoint) -> list[Checkpoint]:
    if isinstance(place, Checkpoint):
        return [place]
    path = Path(place).expanduser()
    if path.is_dir():
        files = [file for file in path.glob("*.safetensors") if re.search(r"[0-9]", file.stem)]
        return [Checkpoint(_step_of(file), file) for file in files]
    if not path.is_file():
        raise BadInput(f"There is no checkpoint or folder {place}: check the path.")
    return [Checkpoint(_step_of(path), path)]


def _step_of(file: Path) -> int:
    numbers = re.findall(r"[0-9]+", file.stem)
    if not numbers or len(numbers[-1]) > 18:
        raise BadInput(
            f"The name of {file.name} does not say its step: rename it such as "
            "step001000.safetensors, where the last number is the step of the training."
        )
    return int(numbers[-1])


def revive(classifier: Classifier, checkpoint: Checkpoint) -> Classifier:
    """The same network with the weights it had then; the classifier given stays as it is.

    Raises:
        BadInput: naming the file, and the first tensor that is missing, unexpected, misshaped or
            not finite.
    """
    tensors = read_tensors(checkpoint.file)
    module = copy.deepcopy(classifier.module).cpu()
    try:
        fill_module(module, tensors)
    except BadInput as problem:
        said = str(problem)
        raise BadInput(
            f"The checkpoint {checkpoint.file.name} cannot be used: {said[0].lower()}{said[1:]}"
        ) from problem
    return dataclasses.replace(classifier, module=module, lock=threading.RLock())


def check_checkpoints(classifier: Classifier, checkpoints: Iterable[Checkpoint]) -> None:
    """Reads every checkpoint into the network once, so that hours of work do not end in a refusal.

    Raises:
        BadInput: as `revive`.
    """
    for checkpoint in checkpoints:
        revive(classifier, checkpoint)


# ---------------------------------------------------------------- following
def evolve(
    atlas: Atlas,
    checkpoints: Places,
    *,
    count: int = COUNT,
    seed: int = 0,
    device: str = "auto",
    work: Path | None = None,
    on_batch: Progress | None = None,
) -> Evolution:
    """Places the same test samples on the map at every checkpoint of the network's training.

    Keep it with `dataclasses.replace(atlas, evolution=evolve(atlas, folder)).save(path)`.

    Args:
        checkpoints: a folder or files, as `find_checkpoints` takes them.
        count: how many samples of the test split, drawn at random; all where there are fewer.
        work: folder for what is done of every checkpoint: the same call goes on where it was ended.
        on_batch: told (done, total) in samples.

    Raises:
        BadInput: a checkpoint does not fit, its answers are not finite, fewer than two, equal
            steps, or the atlas came without its network or its inputs.
        EvolutionCancelled: `on_batch` answered False; its `done` holds what was computed.
    """
    found = find_checkpoints(checkpoints)
    if atlas.kept is None or not atlas.complete:
        raise BadInput(
            "This atlas came without its network or inputs, so its training cannot be followed: "
            "build it again with checkpoints."
        )
    rows = watched(atlas.points, count, seed, atlas.kept.mask(len(atlas.points)))
    told = _Told(on_batch, len(found) * len(rows))
    snapshots: list[dict[str, torch.Tensor]] = []
    try:
        for checkpoint in found:
            snapshots.append(_read_snapshot(atlas, checkpoint, rows, device, work, told))
    except Cancelled as stop:
        done = _joined(atlas.points, rows, found, snapshots) if snapshots else None
        raise EvolutionCancelled(done) from stop
    return _joined(atlas.points, rows, found, snapshots)


def watched(
    points: Points,
    count: int = COUNT,
    seed: int = 0,
    at_hand: Bool[np.ndarray, " rows"] | None = None,
) -> Int64[np.ndarray, " n"]:
    """Rows of the samples that are followed: of the test split, seeded, in rising order.

    Args:
        at_hand: which rows can be run; all of them when left out.
    """
    if count < 1:
        raise BadInput(f"{count} samples are too few to follow: choose 1 or more.")
    here = np.ones(len(points), bool) if at_hand is None else at_hand
    rows = np.flatnonzero(here & (points.split == SPLITS.index("test")))
    if not len(rows):
        raise BadInput("This atlas has no test samples to follow: build it with a test split.")
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:count])]


class _Told:
    """Progress over all checkpoints."""

    def __init__(self, on_batch: Progress | None, total: int) -> None:
        self.on_batch = on_batch
        self.total = total
        self.done = 0

    def __call__(self, more: int) -> None:
        self.done += more
        if self.on_batch is not None and self.on_batch(self.done, self.total) is False:
            raise Cancelled("stopped")


def _read_snapshot(
    atlas: Atlas,
    checkpoint: Checkpoint,
    rows: np.ndarray,
    device: str,
    work: Path | None,
    told: _Told,
) -> dict[str, torch.Tensor]:
    """z, outputs and predicted at one checkpoint, out of the work folder where they are there."""
    kept = None if work is None else work / f"{_mark(atlas, checkpoint, rows)}.safetensors"
    if kept is not None and kept.is_file():
        told(len(rows))
        return read_tensors(kept)
    then = revive(atlas.classifier, checkpoint).to(choose_device(device))
    encoder = copy.deepcopy(atlas.engine.encoder).to(then.device)
    tap = Tap(then, list(atlas.engine.tap.spans), atlas.engine.tap.reduction)
    parts: list[tuple[torch.Tensor, ...]] = []
    # cuDNN's TF32 keeps ten bits; the same picture must come out at the same place everywhere.
    precise = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.inference_mode(), precise:
        for x in _batches(atlas, rows):
            h, logits = tap(x.to(then.device))
            outputs = then.link_outputs(logits)
            parts.append((encoder(h).cpu(), outputs.half().cpu(), outputs.argmax(1).cpu()))
            if not all(torch.isfinite(part).all() for part in parts[-1]):
                raise BadInput(
                    f"The network of {checkpoint.file.name} answers with NaN or infinite values: "
                    "leave this checkpoint out."
                )
            told(len(x))
    names = ("z", "outputs", "predicted")
    made = {
        name: torch.cat(part) for name, part in zip(names, zip(*parts, strict=True), strict=True)
    }
    if kept is not None:
        half = kept.with_suffix(".part")
        with writing(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(made, half)
            replace(half, kept)
    return made


def _batches(atlas: Atlas, rows: np.ndarray) -> Iterator[torch.Tensor]:
    for start in range(0, len(rows), BATCH):
        yield atlas.inputs(rows[start : start + BATCH])


def _mark(atlas: Atlas, checkpoint: Checkpoint, rows: np.ndarray) -> str:
    """A name for what one checkpoint makes of these rows of this atlas."""
    digest = hashlib.sha256(json.dumps([atlas.fingerprint, rows.tolist()]).encode())
    with checkpoint.file.open("rb") as weights:
        digest.update(hashlib.file_digest(weights, "sha256").digest())
    return f"snapshot-{digest.hexdigest()[:16]}"


def _joined(
    points: Points,
    rows: np.ndarray,
    found: Iterable[Checkpoint],
    snapshots: list[dict[str, torch.Tensor]],
) -> Evolution:
    z, outputs, predicted = (
        np.stack([snapshot[name].numpy() for snapshot in snapshots])
        for name in ("z", "outputs", "predicted")
    )
    steps = [checkpoint.step for checkpoint in found][: len(snapshots)]
    return Evolution(
        step=np.array(steps, np.int64),
        row=rows,
        id=points.id[rows],
        label=points.label[rows],
        z=z,
        outputs=outputs,
        predicted=predicted,
    )


# ---------------------------------------------------------------- on disk
def write_evolution(evolution: Evolution, file: Path) -> None:
    """Writes checkpoints.safetensors: step, id, z, outputs, predicted."""
    kept: dict[str, Any] = {
        name: torch.from_numpy(np.array(getattr(evolution, name)))
        for name in ("step", "id", "z", "outputs", "predicted")
    }
    write_tensors(kept, file)


def read_evolution(file: Path, points: Points) -> Evolution:
    """The evolution kept in an atlas; labels come from its table, by id.

    Raises:
        BadInput: the file is damaged or belongs to another table.
    """
    try:
        held = {name: tensor.numpy() for name, tensor in read_tensors(file).items()}
        step, id = held["step"].astype(np.int64), held["id"].astype(np.int64)
        z, outputs = held["z"].astype(np.float32), held["outputs"].astype(np.float16)
        # The first atlases kept no predictions: there the halves decide.
        told = held["predicted"] if "predicted" in held else outputs.argmax(2)
        predicted = told.astype(np.int64)
        order = np.argsort(points.id, kind="stable")
        place = np.searchsorted(points.id, id, sorter=order).clip(max=len(order) - 1)
        row = order[place]
        s, n, k = outputs.shape
        whole = (
            (step.shape, id.shape, z.shape) == ((s,), (n,), (s, n, 2))
            and predicted.shape == (s, n)
            and k == points.outputs.shape[1]
            and (points.id[row] == id).all()
            and (np.diff(step) > 0).all()
            and bool(np.isfinite(z).all() and s and n)
            and 0 <= predicted.min() <= predicted.max() < k
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadInput(_DAMAGED) from error
    if not whole:
        raise BadInput(_DAMAGED)
    return Evolution(step, row, id, points.label[row], z, outputs, predicted)


_DAMAGED = "The training evolution in this atlas is damaged: build or download the atlas again."
