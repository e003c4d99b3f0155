"""Expected activations and the sorted network (equations 8 and 10, figure 3)."""

from __future__ import annotations

import numpy as np

from introspect.atlas import Atlas
from introspect.brainbow import find_centres, sort_units
from introspect.experiments.base import Claim, Effort, Found, Tell
from introspect.plots import layer_counts


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """Whether eq. 8 gives the class means, and whether every class has units of its own."""
    centres = find_centres(atlas)
    train, label = atlas.points.split == 0, atlas.points.label
    plain = np.stack(
        [
            atlas.z[train & (label == k)].mean(0, dtype=np.float64)
            if (train & (label == k)).any()
            else np.full(2, np.nan)
            for k in range(len(atlas.classes))
        ]
    )
    gap = float(np.nanmax(np.abs(centres.z - plain)))
    mass = float(np.nanmax(np.abs(centres.mass - 1)))
    colours = sort_units(atlas, "mean")
    counts = colours.counts()
    served = int((counts[:, : len(atlas.classes)].sum(0) > 0).sum())
    return Found(
        [
            Claim(
                "eq. 8",
                "E[z|class] by a Riemann sum over a density is the mean place of the class",
                "not compared",
                f"largest difference {gap:.4f}, mass 1 ± {mass:.4f}",
                "training samples; held: difference <= .02, mass within .01",
                gap <= 0.02 and mass <= 0.01,
            ),
            Claim(
                "fig. 3",
                "sorted by the class that they answer most, units fall into one group a class",
                f"all {len(atlas.classes)} classes",
                f"{served} of {len(atlas.classes)} classes have units of their own",
                "mean activation of every unit over the training samples of every class (eq. 10)",
                served == len(atlas.classes),
            ),
        ],
        {"Units of every layer by the class that they answer most": layer_counts.draw(colours)},
    )
