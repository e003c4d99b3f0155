"""The brainbow as a Plotly figure, for notebooks and for files; the app draws its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from introspect.errors import BadInput
from introspect.plots.palette import class_colours, rgb
from introspect.plots.style import dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from introspect.brainbow import Brainbow

WIDE, GAP = 6, 3
"""Pixels of the embedded picture: a column, and the ground between two of them."""
NONE = (148, 163, 184)
GROUNDS = {True: (18, 22, 28), False: (255, 255, 255)}


def draw(
    brainbow: Brainbow, *, colour: str = "mixture", sort: bool = True, dark: bool = False
) -> Figure:
    """One column a layer, one line a unit (Pardo et al. 2020, fig. 3 a and d).

    Args:
        colour: "mixture" of the class colours by expected activation (eq. 11), or "preferred"
            class alone (eq. 10).
        sort: units in the order of their preferred class; False leaves them as trained.
        dark: on a dark ground.

    Raises:
        BadInput: no such colouring.
    """
    from plotly.graph_objects import Figure

    palette = class_colours(len(brainbow.classes), dark)
    if colour == "mixture":
        shown = brainbow.painted(palette)
    elif colour == "preferred":
        shown = np.array([*map(rgb, palette), NONE], np.uint8)[brainbow.preferred]
    else:
        raise BadInput(f"Units cannot be coloured by {colour!r}: choose mixture or preferred.")
    if sort:
        shown = shown[brainbow.order]
    spans = list(brainbow.spans.values())
    high = max(span.stop - span.start for span in spans)
    picture = np.empty((high, len(spans) * (WIDE + GAP), 3), np.uint8)
    picture[:] = GROUNDS[dark]
    for number, span in enumerate(spans):
        # Smaller layers are stretched: every column shows all of its units.
        lines = np.arange(high) * (span.stop - span.start) // high
        left = number * (WIDE + GAP) + GAP // 2
        picture[:, left : left + WIDE] = shown[span][lines, None]
    figure = Figure()
    figure.add_image(z=picture, hoverinfo="skip")
    dress(figure, dark, height=520)
    figure.update_xaxes(
        title="layer (1 reads the input)",
        tickvals=[number * (WIDE + GAP) + (WIDE + GAP) / 2 for number in range(len(spans))],
        ticktext=[str(number + 1) for number in range(len(spans))],
        constrain="domain",
    )
    figure.update_yaxes(
        title="units, sorted by preferred class" if sort else "units, as trained",
        tickvals=[0, high - 1],
        ticktext=["first", "last"],
        scaleanchor=False,  # columns may be wider than their lines are high
    )
    figure.update_layout(title="Units by the class that they answer most")
    return figure
