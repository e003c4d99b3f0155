"""The map at some checkpoints of the training, side by side (Pardo et al. 2020, figure 2a, e)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int64

from introspect.plots.palette import class_colours
from introspect.plots.style import as_text, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST = 120
"""Most points of a class in a panel: more would only cover one another."""


def draw(
    steps: Sequence[tuple[int, Float32[np.ndarray, "s 2"], float]],
    label: Int64[np.ndarray, " s"],
    classes: Sequence[str],
    *,
    dark: bool = False,
) -> Figure:
    """One panel a checkpoint, all with the same axes; points in the colour of their class.

    Args:
        steps: training step, places of the samples then, and the share of them whose neighbours
            have their class.
    """
    from plotly.subplots import make_subplots

    titles = [f"step {step:,}: {share:.0%}" for step, _, share in steps]
    figure = make_subplots(
        1, len(steps), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.01
    )
    colours = class_colours(len(classes), dark)
    for place, (_, z, _) in enumerate(steps, 1):
        for code in np.unique(label):
            mine = np.flatnonzero(label == code)[:MOST]
            figure.add_scatter(
                x=np.round(z[mine, 0], 3),
                y=np.round(z[mine, 1], 3),
                mode="markers",
                marker={"size": 3, "color": "#9aa4b2" if code < 0 else colours[code]},
                name="no label" if code < 0 else as_text(str(classes[code])),
                legendgroup=str(code),
                showlegend=place == 1,
                hoverinfo="skip",
                row=1,
                col=place,
            )
    dress(figure, dark, height=340)
    # A few far points of early steps would squeeze everything else.
    everywhere = np.concatenate([z for _, z, _ in steps])
    low, high = np.quantile(everywhere, (0.005, 0.995), axis=0).astype(np.float64)
    low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)
    figure.update_layout(legend={"orientation": "h", "y": -0.28})
    figure.update_xaxes(title="z₁", range=[float(low[0]), float(high[0])])
    figure.update_yaxes(range=[float(low[1]), float(high[1])])
    figure.update_layout(yaxis={"title": "z₂"})
    return figure
