"""Noise constellations (figure 5, section 3.4)."""

from __future__ import annotations

import numpy as np

from introspect.atlas import Atlas
from introspect.bundled import sample_atlases
from introspect.constellation import Constellation, scatter
from introspect.experiments.base import Claim, Effort, Found, Tell, papers_row, sample_name
from introspect.flow import choose_rows
from introspect.plots import constellation

SIGMAS = (0.1, 0.2, 0.3)
TWINS = {"mnist-net1": "mnist-net1-noise"}
"""The same network trained on noisy pictures, where there is one."""


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """How many noisy copies keep their class, with the twin trained on noise where it is there."""
    models = {atlas.name: atlas}
    twin = sample_atlases().get(TWINS.get(atlas.name, ""))
    if twin is not None:
        models[twin.stem] = Atlas.load(twin)
    row = papers_row(atlas)
    found: dict[str, Constellation] = {}
    shifts: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    rows = choose_rows(atlas, effort.noisy)
    for name, model in models.items():
        found[name] = scatter(model, atlas.inputs([row])[0], SIGMAS)
        many = []
        for place, one in enumerate(rows):
            if tell is not None:
                tell(f"Noise on {name}", place, len(rows))
            many.append(scatter(model, atlas.inputs([int(one)])[0], SIGMAS, copies=50))
        shifts[name] = np.mean([one.shift for one in many], 0)
        kept[name] = np.mean([one.kept for one in many], 0)
    told = "; ".join(
        f"{name}: {', '.join(f'{share:.0%}' for share in found[name].kept)}" for name in models
    )
    claims = [
        Claim(
            "fig. 5",
            f"copies of {sample_name(atlas, row)} that keep the class at σ = .1, .2, .3",
            "a picture",
            told,
            "200 copies a level, not clipped",
            None,
        )
    ]
    if len(models) == 2:
        plain, trained = kept.values()
        near, far = shifts.values()
        claims.append(
            Claim(
                "§3.4",
                "a network trained with noise keeps the class of noisy copies more often",
                "a picture",
                f"at σ = .3: {plain[-1]:.1%} without, {trained[-1]:.1%} with; "
                f"mean shift on its own map {near[-1]:.2f}, {far[-1]:.2f}",
                f"{len(rows)} test samples, 50 copies each",
                bool(trained[-1] > plain[-1]),
            )
        )
    return Found(claims, {"Noisy copies that keep the class": constellation.draw(kept, SIGMAS)})
