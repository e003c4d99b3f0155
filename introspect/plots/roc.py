"""ROC: how many wrong answers a score catches for how many false alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from introspect.answers import SCORES
from introspect.plots.style import dress, line_of, mark_threshold
from introspect.reliability import Curve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def draw(
    curves: Mapping[str, Curve],
    area: Mapping[str, float],
    *,
    at: tuple[str, float, float] | None = None,
    dark: bool = False,
) -> Figure:
    """One curve a score, and chance as the diagonal.

    Args:
        curves: of `introspect.reliability.roc`, by score.
        area: AUROC by score, told in the legend.
        at: a score and the point on its curve where a threshold stands.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#9aa4b2", "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="chance",
        showlegend=False,
    )
    for score, curve in curves.items():
        figure.add_scatter(
            x=np.round(curve.x, 5),
            y=np.round(curve.y, 5),
            mode="lines",
            line=line_of(score, dark),
            name=f"{SCORES[score]} {area[score]:.3f}" if score in area else SCORES[score],
            hovertemplate="%{y:.1%} of the wrong answers caught<br>"
            f"%{{x:.1%}} of the right ones flagged<extra>{SCORES[score]}</extra>",
        )
    if at is not None:
        mark_threshold(figure, at, "threshold: %{y:.1%} caught, %{x:.1%} false alarms", dark)
    dress(figure, dark, height=380)
    figure.update_layout(
        margin={"l": 60, "r": 14, "t": 14, "b": 48},
        legend={
            "x": 0.98,
            "y": 0.04,
            "xanchor": "right",
            "yanchor": "bottom",
            "title": "AUROC",
            "entrywidth": 96,
        },
    )
    figure.update_xaxes(
        title="right answers flagged (false alarms)", range=[-0.01, 1.01], tickformat=".0%"
    )
    figure.update_yaxes(title="wrong answers caught", range=[-0.01, 1.02], tickformat=".0%")
    return figure
