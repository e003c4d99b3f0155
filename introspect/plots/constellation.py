"""Kept shares: how many noisy copies keep their class, by the strength of the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from introspect.plots.palette import class_colours
from introspect.plots.style import as_text, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DASHES = ("solid", "dash", "dot", "dashdot")


def draw(
    kept: Mapping[str, Float[np.ndarray, " s"]], sigmas: Sequence[float], *, dark: bool = False
) -> Figure:
    """One line a model: share of copies (0-1) that keep the class, over σ in units of the pixels.

    Args:
        kept: by name of the model, mean over the samples.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    colours = class_colours(max(len(kept), 2), dark)
    for number, (name, share) in enumerate(kept.items()):
        figure.add_scatter(
            x=[0.0, *sigmas],
            y=[1.0, *np.round(share, 5).tolist()],
            mode="lines+markers",
            line={"color": colours[number], "dash": DASHES[number % len(DASHES)]},
            name=as_text(name),
        )
    dress(figure, dark, height=360)
    figure.update_xaxes(title="standard deviation of the noise, pixels from 0 to 1")
    figure.update_yaxes(title="copies that keep the class", tickformat=".0%", rangemode="tozero")
    return figure
