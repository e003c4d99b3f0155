"""What the attack player says beside the figure: a table of all targets, and how to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from introspect.ui.player_payload import DOTS

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.trajectory import Trajectory


def table(walk: Trajectory, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per target: when it was reached, when the alarm sounded, how far the input moved.

    The distances are those of the step at which the target was reached, else of the last one.
    """
    rows = []
    for place, code in enumerate(walk.target):
        success, alarm = int(walk.success_step[place]), int(walk.alarm_step[place])
        step = success if success >= 0 else walk.z.shape[1] - 1
        rows.append(
            {
                "target": classes[code],
                "reached at step": success if success >= 0 else None,
                "alarm at step": alarm if alarm >= 0 else None,
                "L∞": float(walk.linf[place, step]),
                "L2": float(walk.l2[place, step]),
                "last output of the target": float(walk.outputs[place, -1, code]),
                "inputs without gradient at the end": float(walk.stalled[place, -1]),
            }
        )
    return rows


def explain(atlas: Atlas, walk: Trajectory) -> str:
    """The figure explained to a newcomer."""
    classes, points = atlas.classifier.classes, len(atlas.points.id)
    others = walk.target != walk.source
    reached, asked = int((walk.success_step[others] >= 0).sum()), int(others.sum())
    told = f"{reached} of {asked} other classes were reached" if asked else "no other was asked for"
    start = "the sample" if not walk.linf[:, 0].any() else "the sample, after its random start,"
    return (
        f"The cross is where {start} lies on the activation map; from there one path leads "
        "towards every target class, in that class's colour. At every step the "
        f"{walk.attack.upper()} attack changes the input a little, so that the network says the "
        "target more strongly; move the slider (or press the space bar and the arrow keys) and "
        "picture, change, answer and map move together. A dot marks the step at which the network "
        "says the target, an × a path that never got there. The curve is the error that is "
        "estimated from the network's own activations: where it rises above the dashed line, an "
        "alarm sounds (the diamond). The strip below the curve has the colour of the class that "
        "the network says; the ground's tint is the estimated error at each place of the map. "
        "The narrow picture at the right has the network's units: one column a layer, sorted by "
        "the class each prefers (the thin strip in that class's colour), bright where a unit "
        "answers strongly. "
        f"Here the network first says {classes[walk.source]}, and {told}. L∞ is the most that any "
        "value of the input has moved, L2 the length of the whole change, both in units of the "
        f"input. Behind the paths lie {min(points, DOTS):,} of the {points:,} recorded samples. "
        "Changes are shown in 255 levels, probabilities as 16-bit floats; the npz file has "
        "everything at full precision."
    )
