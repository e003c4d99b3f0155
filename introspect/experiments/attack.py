"""Adversarial paths and the gateways between classes (figure 6, section 3.5)."""

from __future__ import annotations

import numpy as np

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.experiments.base import Claim, Effort, Found, Tell, papers_row, sample_name
from introspect.flow import choose_rows, fan
from introspect.plots import gateways
from introspect.trajectory import Trajectory, trace


def run_one(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """One sample towards every class, and when the alarm sounds."""
    row = papers_row(atlas)
    walk: Trajectory = trace(
        atlas, atlas.inputs([row])[0], Fgsm(), label=int(atlas.points.label[row])
    )
    others = walk.target != walk.source
    reached = walk.success_step[others]
    arrived = reached >= 0
    alarm = walk.alarm_step[others]
    first = arrived & (alarm >= 0) & (alarm <= reached)
    return Found(
        [
            Claim(
                "fig. 6",
                f"steps of .01 along the sign of the gradient lead {sample_name(atlas, row)} to "
                "other classes",
                "all 9 targets shown, some not reached",
                f"{int(arrived.sum())} of {len(reached)} reached, "
                f"median step {np.median(reached[arrived]):.0f}"
                if arrived.any()
                else f"0 of {len(reached)} reached",
                "FGSM path, ε = .01, 100 steps, no ball; held: at least one is reached",
                bool(arrived.any()),
            ),
            Claim(
                "fig. 6",
                "on the way the estimated error rises before the answer changes",
                "a picture",
                f"the alarm sounds no later than the answer changes in {int(first.sum())} of "
                f"{int(arrived.sum())}",
                "ê(h) above the level that 1 % of right validation answers exceed; held: in more "
                "than half",
                bool(first.sum() > arrived.sum() / 2) if arrived.any() else None,
            ),
        ]
    )


def run_many(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """Many samples towards every class: which give way, and how often the alarm is first."""

    def on_step(done: int, total: int) -> None:
        if tell is not None:
            tell("Many samples attacked", done, total)

    flow = fan(atlas, choose_rows(atlas, effort.attacked), Fgsm(), on_step=on_step)
    steps, rate = flow.median_step, flow.success_rate
    how = f"{len(flow)} test samples towards every other class, ε = .01, 100 steps"
    drawn = {}
    if np.isnan(steps).all():
        told = "no walk arrived"
    else:
        source, column = np.unravel_index(np.nanargmin(steps), steps.shape)
        names = atlas.classes
        told = (
            f"{np.nanmean(rate):.0%} of the walks arrive; shortest in the median: from "
            f"{names[int(source)]} to {names[int(flow.target[column])]}, "
            f"{steps[source, column]:.0f} steps; longest {np.nanmax(steps):.0f}"
        )
        title = "Median steps of an attack from class to class"
        drawn = {title: gateways.draw(steps, names, flow.target.tolist())}
    claims = [
        Claim(
            "§3.5",
            "some classes give way to others more easily (gateways)",
            "a picture",
            told,
            how,
            None,
        ),
    ]
    foreign = flow.source[:, None] != flow.target[None]
    arrived = (flow.success_step >= 0) & foreign
    if arrived.any():
        first = (flow.alarm_step >= 0) & (flow.alarm_step <= flow.success_step) & arrived
        share = first.sum() / arrived.sum()
        claims.append(
            Claim(
                "§3.5",
                "paths cross regions of high estimated error, where an attack could be detected",
                "a picture",
                f"the alarm sounds no later than the answer changes on {share:.0%} of the "
                f"{int(arrived.sum()):,} walks that arrive",
                f"{how}; alarm of 1 % false alarms; held: more than half",
                bool(share > 0.5),
            )
        )
    return Found(claims, drawn)
