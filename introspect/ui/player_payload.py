"""What the attack player in the browser is made of: one attack as bytes under their content hash.

The perturbation travels as 255 levels between ± its largest value on each path, probabilities as
16-bit floats, everything else as 32-bit floats: a screen cannot show more. The answers travel too:
16-bit floats make sure outputs equal, so that the highest is not told from them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64, UInt8

from introspect.brainbow import Brainbow, activate, colour_range, column, sort_units
from introspect.errors import BadInput
from introspect.plots.palette import VIRIDIS, class_colours
from introspect.ui.landing import picture_shape
from introspect.ui.payload import content_key, pack_chart, wide_chart

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.trajectory import Trajectory

DOTS = 20_000
"""Most recorded samples shown as dots behind the paths."""

MOST = 48 << 20
"""Most bytes of perturbations; a longer walk of larger inputs travels with fewer pictures."""

CELLS = 240
"""Most cells of one layer."""

BATCH = 1024

SERIES = ("z", "log_error", "log_error_map", "linf", "l2", "stalled")


@dataclass(frozen=True)
class Ground:
    """What lies under the paths, the same for every attack on an atlas."""

    parts: dict[str, bytes] = field(repr=False)
    about: dict[str, Any]


@dataclass(frozen=True)
class Played:
    """One attack for the browser: a manifest (JSON) and its parts by name, all as bytes."""

    manifest: bytes = field(repr=False)
    parts: dict[str, bytes] = field(repr=False)

    @property
    def key(self) -> str:
        """The name of the manifest's blob."""
        return content_key(self.manifest)

    @property
    def blobs(self) -> dict[str, bytes]:
        """Everything that has to be published, by content hash."""
        bodies = (self.manifest, *self.parts.values())
        return {content_key(body): body for body in bodies}


@dataclass(frozen=True)
class Units:
    """How the units of a network are shown: cells of every layer in class-sorted order.

    `starts` are the columns of the sorted activations at which a cell begins; cells of wide layers
    hold the mean of several neighbours, which prefer the same class or nearly so.
    """

    brainbow: Brainbow
    starts: Int64[np.ndarray, " cells"]
    preferred: Int64[np.ndarray, " cells"]
    layers: list[dict[str, Any]]
    low: float
    high: float

    @staticmethod
    def of(atlas: Atlas) -> Units | None:
        """The cells of an atlas, sorted by its decoder's expectations; None where it has none."""
        try:
            found = sort_units(atlas)
        except BadInput:
            return None
        starts: list[int] = []
        layers = []
        for name, span in found.spans.items():
            count = span.stop - span.start
            cells = span.start + np.linspace(0, count, min(count, CELLS), endpoint=False).astype(
                int
            )
            layers.append({"name": name, "from": len(starts), "to": len(starts) + len(cells)})
            starts += cells.tolist()
        low, high = colour_range(found)
        preferred = found.preferred[found.order][starts]
        return Units(found, np.array(starts), preferred, layers, low, high)

    def levels(self, atlas: Atlas, x: Float32[np.ndarray, " m *input"]) -> UInt8[np.ndarray, "m c"]:
        """Activations of inputs as levels 0 to 255 between `low` and `high`."""
        parts = []
        for start in range(0, len(x), BATCH):
            batch = torch.from_numpy(np.array(x[start : start + BATCH]))
            h = column(self.brainbow, activate(atlas, batch))
            sums = np.add.reduceat(np.asarray(h), self.starts, axis=1)
            mean = sums / np.diff(np.append(self.starts, h.shape[1]))
            level = (mean - self.low) * (255 / (self.high - self.low))
            parts.append(np.clip(np.round(level), 0, 255).astype(np.uint8))
        return np.concatenate(parts)


def pack_ground(atlas: Atlas) -> Ground:
    """Error map, some of the recorded samples as dots, and where every class has its name."""
    points, k = atlas.points, len(atlas.classifier.classes)
    rng = np.random.default_rng(0)
    n = len(points.id)
    rows = np.sort(rng.choice(n, DOTS, replace=False)) if n > DOTS else np.arange(n)
    rng.shuffle(rows)  # no class always on top
    chart = wide_chart(atlas)
    levels, low, high = pack_chart(chart, points.log_error_map)
    centres = []
    for code in range(k):
        mine = points.z[points.predicted == code]
        if len(mine):
            x, y = np.median(mine, 0)
            centres.append({"code": code, "x": round(float(x), 4), "y": round(float(y), 4)})
    places = np.concatenate([points.z[rows, 0], points.z[rows, 1]]).astype("<f4")
    return Ground(
        {
            "places": places.tobytes(),
            "codes": points.predicted[rows].astype("<u1" if k < 256 else "<u2").tobytes(),
            "chart": levels.tobytes(),
        },
        {
            "wide": k >= 256,
            "dots": len(rows),
            "samples": n,
            "centres": centres,
            "chart": {
                "width": levels.shape[1],
                "height": levels.shape[0],
                "extent": [float(edge) for edge in chart.extent],
                "low": low,
                "high": high,
            },
        },
    )


def pack_delta(
    change: Float32[np.ndarray, "T f *input"],
) -> tuple[Int8[np.ndarray, "T f *input"], Float32[np.ndarray, " T"]]:
    """Perturbations as whole numbers from -127 to 127, and the value that 127 stands for.

    The rounding error is at most 1/254 of the largest change on the path: no more than half a grey
    level of 255 where the change is as large as the picture's whole range.
    """
    flat = np.abs(change.reshape(len(change), -1))
    largest = flat.max(1).astype(np.float32)
    safe = np.maximum(largest, 1e-12).reshape(-1, *[1] * (change.ndim - 1))
    return np.round(change / safe * 127).astype(np.int8), largest


def frames_of(points: int, size: int, targets: int, most: int = MOST) -> list[int]:
    """The steps whose pictures travel: all of them, or evenly fewer where they are too many bytes.

    Args:
        points: points of a path, the start included.
        size: values of one input.
    """
    fits = max(2, most // max(1, size * targets))
    if points <= fits:
        return list(range(points))
    return sorted({round(i) for i in np.linspace(0, points - 1, fits)})


def pack_player(
    atlas: Atlas, ground: Ground, walk: Trajectory, title: str, units: Units | None = None
) -> Played:
    """One trajectory with the ground under it.

    Args:
        title: what the sample is called.
        units: how its activations are shown; None shows none.
    """
    classes = atlas.classifier.classes
    targets, points = walk.z.shape[:2]
    shape = picture_shape(walk.clean.shape) or (1, 1, walk.clean.size)
    cells = 0 if units is None else len(units.starts)
    frames = frames_of(points, walk.clean.size + cells, targets)
    delta, largest = pack_delta(walk.x[:, frames] - walk.clean)
    series = [np.asarray(getattr(walk, name), "<f4").ravel() for name in SERIES]
    parts = {
        "clean": walk.clean.astype("<f4").tobytes(),
        "delta": delta.tobytes(),
        "outputs": walk.outputs.astype("<f2").tobytes(),
        "predicted": walk.predicted.astype("<u2").tobytes(),
        "series": np.concatenate(series).tobytes(),
        **ground.parts,
    }
    if units is not None:
        x = walk.x[:, frames].reshape(-1, *walk.clean.shape)
        parts["units"] = units.levels(atlas, x).tobytes()
        # A unit without a preference has the code 65535.
        parts["preferred"] = units.preferred.astype("<i2").astype("<u2").tobytes()
    manifest = {
        "title": title,
        "atlas": atlas.name,
        "attack": walk.attack,
        "settings": {name: plain_value(value) for name, value in walk.settings.items()},
        "classes": list(classes),
        "source": walk.source,
        "label": walk.label,
        "targets": [int(code) for code in walk.target],
        "steps": points,
        "shape": list(shape),
        "pictures": picture_shape(walk.clean.shape) is not None,
        "bounds": [float(edge) for edge in getattr(atlas.classifier, "bounds", (0, 1))],
        "frames": frames,
        "largest": [float(value) for value in largest],
        "success": [int(step) for step in walk.success_step],
        "units": None
        if units is None
        else {
            "layers": units.layers,
            "low": units.low,
            "high": units.high,
            "ramp": VIRIDIS,
            "count": int(units.brainbow.order.size),
        },
        **tell_alarm(atlas, walk),
        "palette": {
            "light": class_colours(len(classes)),
            "dark": class_colours(len(classes), dark=True),
        },
        **ground.about,
        "parts": {name: content_key(body) for name, body in parts.items()},
    }
    return Played(json.dumps(manifest).encode(), parts)


def tell_alarm(atlas: Atlas, walk: Trajectory) -> dict[str, Any]:
    """All that the manifest says of the alarm."""
    return {
        "threshold": float(walk.threshold),
        "alarm": [int(step) for step in walk.alarm_step],
        "alarmShare": alarm_share(atlas, walk.threshold),
    }


def with_alarm(played: Played, atlas: Atlas, walk: Trajectory) -> Played:
    """The same attack with the threshold of this trajectory; nothing large is packed again."""
    told = {**json.loads(played.manifest), **tell_alarm(atlas, walk)}
    return Played(json.dumps(told).encode(), played.parts)


def alarm_share(atlas: Atlas, threshold: float) -> str:
    """How many right answers of the test split raise this alarm, "" if none are known."""
    points = atlas.points
    calm = (points.split == 2) & (points.label >= 0) & (points.label == points.predicted)
    if not calm.any():
        return ""
    share = 100 * float((points.log_error[calm] > threshold).mean())
    return f"{share:.1f} % of right test answers"


def plain_value(value: Any) -> Any:
    """A setting as JSON knows it."""
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)
