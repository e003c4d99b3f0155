"""How much disk and time an atlas will take, told before the work begins."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from introspect.building import PRESETS
from introspect.projections.infovae import InfoVAE

TRAINED = 0.8
"""Share of the samples the map is learnt from, as data without a split are divided."""

STEP = 4e-3
"""Seconds of one step of the map's learning on two cores; it sees 64 directions, not the units."""

EACH = 8e-4
"""Seconds a sample for the two estimators and the measures, of which no number of units is a part.

Both constants are of the bundled atlases' own builds (70,000 samples, 2,400 units), where a step
took 1.7 to 20 ms and a sample 0.6 to 1 ms, as busy as the machine was."""

UNIT = 4e-8
"""Seconds for one activation to be written, centred, turned and placed."""

PASSES = 2
"""Every sample goes through the network when it is recorded and when it is placed."""


@dataclass(frozen=True)
class Forecast:
    """What a build will take: bytes for its recording, bytes of the atlas, seconds on processors.

    The seconds are right within a factor of about two; nothing is promised for a busy machine.
    """

    work: int
    atlas: int
    seconds: float


def forecast(
    n: int,
    units: int,
    classes: int,
    input_shape: Sequence[int],
    seconds: float,
    preset: str = "standard",
    epochs: float | None = None,
) -> Forecast:
    """The size and time of an atlas of n samples.

    Args:
        units: recorded numbers a sample, float16.
        seconds: that one sample takes in the network, on one core.
        preset, epochs: as `build_atlas` takes them.
    """
    knobs = PRESETS[preset] | ({"epochs": epochs, "steps": 0} if epochs is not None else {})
    plan = InfoVAE(**{name: value for name, value in knobs.items() if name != "schedule"})
    rows = max(1, int(TRAINED * n))
    batch = min(plan.batch, max(32, rows // 16))
    steps = max(plan.epochs * rows / batch, plan.steps)
    cores = max(1.0, 0.7 * (os.cpu_count() or 1))
    spent = PASSES * n * seconds / cores + STEP * steps + n * (EACH + UNIT * units)
    picture = math.prod(input_shape)
    return Forecast(2 * n * units, n * (100 + 4 * classes + picture), spent + 3)
