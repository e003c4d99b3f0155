"""What the attack flow in the browser is made of: walks as bytes under their hash, rates as JSON.

Places travel as 16-bit levels over the box of all walks: a screen cannot show more.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt16

from introspect.fanning import summarise
from introspect.plots.palette import class_colours
from introspect.ui.payload import content_key
from introspect.ui.player_payload import Ground, Played, frames_of, plain_value
from introspect.ui.selection import harmless

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.flow import Flow

MOST = 24 << 20
"""Most bytes of places; more or longer walks travel with fewer steps."""

LEVELS = 65535
COLUMNS = ("source", "target", "walks", "arrive", "success_rate", "median_step", "alarm_rate")


def pack_flow(atlas: Atlas, ground: Ground, flow: Flow) -> Played:
    """A flow with the ground of its atlas under it.

    Raises:
        ValueError: the flow has no samples.
    """
    if not len(flow):
        raise ValueError("a flow without samples cannot be drawn")
    points = flow.z.shape[2]
    frames = frames_of(points, 4 * len(flow), len(flow.target), MOST)
    places, extent = pack_places(flow.z[:, :, frames])
    counts = np.stack([tally(flow), tally(flow, flow.success_step >= 0)])
    rates = np.stack([flow.success_rate, flow.median_step, flow.alarm_rate])
    parts = {
        "walks": places.tobytes(),
        "source": flow.source.astype("<u2").tobytes(),
        "success": flow.success_step.astype("<i2").tobytes(),
        "counts": counts.astype("<u4").tobytes(),
        "rates": rates.astype("<f4").tobytes(),
        **ground.parts,
    }
    told = summarise(atlas, flow)
    names = ("samples", "walks", "arrived", "alarmed", "stalled", "gateways", "attack")
    manifest = {
        **{name: told[name] for name in names},
        "atlas": atlas.name,
        "settings": {name: plain_value(value) for name, value in flow.settings.items()},
        "classes": list(atlas.classes),
        "targets": flow.target.tolist(),
        "steps": points,
        "frames": frames,
        "extent": extent,
        "palette": {
            "light": class_colours(flow.k),
            "dark": class_colours(flow.k, dark=True),
        },
        "ground": ground.about,
        "parts": {name: content_key(body) for name, body in parts.items()},
    }
    return Played(json.dumps(manifest).encode(), parts)


def pack_places(
    z: Float32[np.ndarray, "m T t 2"],
) -> tuple[UInt16[np.ndarray, "m T t 2"], list[float]]:
    """Places as levels 0 to 65,535 over their box, and the box (x0, x1, y0, y1)."""
    low, high = z.min((0, 1, 2)).astype(np.float64), z.max((0, 1, 2)).astype(np.float64)
    high = np.maximum(high, low + 1e-6)
    levels = np.round((z - low) * (LEVELS / (high - low))).astype("<u2")
    return levels, [float(low[0]), float(high[0]), float(low[1]), float(high[1])]


def tally(flow: Flow, among: np.ndarray | None = None) -> np.ndarray:
    """How many walks there are from every class to every target, int64 `k T`.

    Args:
        among: only these walks, bool `m T`.
    """
    there = np.ones(flow.success_step.shape, bool) if among is None else among
    there = there & (flow.source[:, None] != flow.target[None, :])
    count = np.zeros((flow.k, len(flow.target)), np.int64)
    np.add.at(count, flow.source, there)
    return count


def to_csv(flow: Flow, classes: tuple[str, ...]) -> bytes:
    """One line a pair of classes that has walks: how many, how many arrive, when; UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    walks, arrive = tally(flow), tally(flow, flow.success_step >= 0)
    rates = (flow.success_rate, flow.median_step, flow.alarm_rate)
    for i, j in zip(*np.nonzero(walks), strict=True):
        figures = ["" if np.isnan(rate[i, j]) else f"{rate[i, j]:.6g}" for rate in rates]
        names = harmless(classes[i]), harmless(classes[flow.target[j]])
        writer.writerow([*names, int(walks[i, j]), int(arrive[i, j]), *figures])
    return file.getvalue().encode()


def to_npz(flow: Flow) -> bytes:
    """Everything that was computed, at full precision, for `numpy.load`."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {
        **flow.arrays(),
        "success_rate": flow.success_rate,
        "median_step": flow.median_step,
        "alarm_rate": flow.alarm_rate,
    }
    np.savez_compressed(file, **arrays)
    return file.getvalue()
