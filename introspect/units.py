"""What single units do: the samples that move them most, and what is lost when they fall silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from introspect.errors import BadInput, Cancelled
from introspect.formats.safetensors import read_tensors
from introspect.plugin import Progress
from introspect.samples import SPLITS
from introspect.store import cache_dir, write_file, writing

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.tap import Tap

CHUNK, BATCH = 4096, 500
TOP = 9
TRIED = 2000
"""Test samples on which a silenced network is tried."""


@dataclass(frozen=True, eq=False)
class Strongest:
    """The recorded rows that make each unit answer most, strongest first."""

    rows: Int64[np.ndarray, "p c"]
    values: Float32[np.ndarray, "p c"]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            value.setflags(write=False)


def find_strongest(
    h: Float[np.ndarray, "n p"], count: int = TOP, on_batch: Progress | None = None
) -> Strongest:
    """The rows with the highest activation of every unit, one streaming pass over h.

    Raises:
        Cancelled: `on_batch` answered False.
    """
    n, p = h.shape
    values, rows = torch.empty(p, 0), torch.empty(p, 0, dtype=torch.int64)
    for start in range(0, n, CHUNK):
        part = torch.from_numpy(np.array(h[start : start + CHUNK])).float().T.contiguous()
        new, place = part.topk(min(count, part.shape[1]), 1)
        values, rows = torch.cat([values, new], 1), torch.cat([rows, place + start], 1)
        values, best = values.topk(min(count, values.shape[1]), 1)
        rows = rows.gather(1, best)
        if on_batch is not None and on_batch(min(n, start + CHUNK), n) is False:
            raise Cancelled("The search for the strongest samples was stopped.")
    return Strongest(rows.numpy(), values.numpy())


def strongest(atlas: Atlas, on_batch: Progress | None = None) -> Strongest:
    """The nine strongest samples of every unit, found once and kept in the cache.

    The activations are recorded first where they did not travel along; `on_batch` is told
    (done, total) over the recording and then over the search.

    Raises:
        BadInput: the atlas came without its network or inputs.
        Cancelled: `on_batch` answered False; what was recorded stays.
    """
    found = read_strongest(atlas)
    if found is None:
        found = find_strongest(atlas.record(on_batch).h, TOP, on_batch)
        if atlas.kept is not None:
            found = Strongest(atlas.kept.rows[found.rows], found.values)
        _keep(found, _file(atlas))
    return found


def read_strongest(atlas: Atlas) -> Strongest | None:
    """The strongest samples of every unit found earlier on this machine, or None."""
    file = _file(atlas)
    if not file.exists():
        return None
    try:
        found = read_tensors(file)
        rows, values = found["rows"].numpy(), found["values"].numpy()
    except (BadInput, KeyError):
        return None
    if len(rows) != atlas.engine.tap.p or rows.max(initial=0) >= len(atlas.points):
        return None
    return Strongest(rows, values)


def _file(atlas: Atlas) -> Path:
    kept = atlas.kept
    # Found among some rows only, they must not stand for all when the rest comes to this machine.
    some = "" if kept is None or len(kept) == len(atlas.points) else f"-{len(kept)}"
    return cache_dir() / "strongest" / f"{atlas.fingerprint[:24]}{some}.safetensors"


def _keep(found: Strongest, file: Path) -> None:
    from safetensors.numpy import save

    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, save(dict(vars(found))))


# ---------------------------------------------------------------- silencing
@dataclass(frozen=True, eq=False)
class Ablation:
    """What a network says of some rows while units of it are silent, and where the rows lie.

    With no unit silenced it is the whole network, which the others are compared with.
    """

    rows: Int64[np.ndarray, " m"]
    z: Float32[np.ndarray, "m 2"]
    outputs: Float32[np.ndarray, "m k"]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            value.setflags(write=False)

    @property
    def predicted(self) -> Int64[np.ndarray, " m"]:
        """The class with the highest output."""
        return self.outputs.argmax(1)

    def accuracy(self, label: Int64[np.ndarray, " m"], k: int) -> Float[np.ndarray, " k"]:
        """Share of right answers among the rows of every class; NaN for a class without rows."""
        right = np.bincount(label[self.predicted == label], minlength=k)
        count = np.bincount(label, minlength=k)
        return np.where(count, right / np.maximum(count, 1), np.nan)


def choose_rows(atlas: Atlas, count: int = TRIED, seed: int = 0) -> Int64[np.ndarray, " m"]:
    """Labelled test rows drawn at random, in ascending order; of any split where none is for tests.

    Only rows whose inputs are at hand, where some are.

    Raises:
        BadInput: no row has a label, so there is no accuracy to see.
    """
    points = atlas.points
    fits = points.label >= 0
    if atlas.kept is not None:
        fits &= atlas.kept.mask(len(points))
    rows = np.flatnonzero(fits & (points.split == SPLITS.index("test")))
    if not len(rows):
        rows = np.flatnonzero(fits)
    if not len(rows):
        raise BadInput("No sample of this atlas has a label, so accuracy cannot be told.")
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


@torch.inference_mode()
def silence(
    atlas: Atlas,
    units: Int64[np.ndarray, " u"],
    rows: Int64[np.ndarray, " m"],
    on_batch: Progress | None = None,
) -> Ablation:
    """Runs rows through the network while some units answer 0, whatever they would have said.

    A unit that is a whole feature map (reduction "mean" or "grid2") falls silent everywhere in it.
    The encoder sees the silenced activations, so the places tell how far the state moves.

    Args:
        units: columns of h; none leaves the network whole.

    Raises:
        BadInput: the atlas came without its network or inputs.
        Cancelled: `on_batch` answered False.
    """
    engine = atlas.engine
    if atlas.kept is None or not atlas.complete:
        raise BadInput(
            "This atlas came without its network or inputs, so no unit of it can be silenced."
        )
    if len(units) and not 0 <= units.min() <= units.max() < engine.tap.p:
        raise BadInput(f"The network has units 0 to {engine.tap.p - 1}; give such numbers.")
    masks = _masks(engine.tap, units, engine.device)
    places, outputs = [], []
    for start in range(0, len(rows), BATCH):
        x = atlas.inputs(rows[start : start + BATCH]).to(engine.device)
        parts: list[Tensor] = []

        def take(slot: int, activation: Tensor, parts: list[Tensor] = parts) -> None:
            if slot in masks:
                activation.mul_(masks[slot])
            parts.append(engine.tap.reduce(slot, activation).clone())

        logits = engine.tap.run(x, take)
        places.append(engine.encoder(torch.cat(parts, 1)).cpu().numpy())
        outputs.append(engine.classifier.link_outputs(logits).cpu().numpy())
        if on_batch is not None and on_batch(min(len(rows), start + BATCH), len(rows)) is False:
            raise Cancelled("The trial was stopped.")
    return Ablation(rows, np.concatenate(places), np.concatenate(outputs))


def _masks(tap: Tap, units: Int64[np.ndarray, " u"], device: torch.device) -> dict[int, Tensor]:
    """Factors 0 and 1 for the activations of the layers that lose units, by slot."""
    masks = {}
    for slot, (layer, span) in enumerate(zip(tap.layers, tap.spans.values(), strict=True)):
        mine = units[(units >= span.start) & (units < span.stop)] - span.start
        if not len(mine):
            continue
        width = span.stop - span.start
        if width == math.prod(layer.shape):
            shape = layer.shape
        else:
            # Several numbers may stand for one feature: it is silent when any of them is chosen.
            mine = np.unique(mine // (width // layer.units))
            shape = [1] * len(layer.shape)
            shape[layer.channel] = width = layer.units
        mask: Bool[np.ndarray, " w"] = np.ones(width, bool)
        mask[mine] = False
        masks[slot] = torch.from_numpy(mask).to(device, torch.float32).reshape(tuple(shape))
    return masks


def spread(before: Ablation, after: Ablation) -> float:
    """Mean distance on the map between the two places of every row."""
    return float(np.linalg.norm(after.z - before.z, axis=1).mean())
