"""Risk and coverage: how often the network errs if it may stay silent where it is least sure."""

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
    rate: float,
    *,
    at: tuple[str, float, float] | None = None,
    dark: bool = False,
) -> Figure:
    """One curve a score, between a perfect order (below) and chance (level).

    Args:
        curves: of `introspect.reliability.risk_coverage`, by score.
        rate: share of wrong answers among all.
        at: a score, the share of answers accepted and the error rate there.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    accepted = np.linspace(0.01, 1, 200)
    grey = {"color": "#9aa4b2", "width": 1}
    figure.add_scatter(
        x=[0, 1],
        y=[rate, rate],
        mode="lines",
        line={**grey, "dash": "dot"},
        hoverinfo="skip",
        name="chance",
    )
    figure.add_scatter(
        x=accepted,
        y=np.maximum(0, (accepted - (1 - rate)) / accepted),
        mode="lines",
        line=grey,
        hoverinfo="skip",
        name="perfect order",
    )
    top = rate
    for score, curve in curves.items():
        steady = curve.y[curve.x > 0.05]
        top = max(top, float(steady.max()) if len(steady) else rate)
        figure.add_scatter(
            x=np.round(curve.x, 5),
            y=np.round(curve.y, 6),
            mode="lines",
            line=line_of(score, dark),
            name=SCORES[score],
            hovertemplate="the surest %{x:.1%} accepted:<br>%{y:.2%} of them wrong"
            f"<extra>{SCORES[score]}</extra>",
        )
    if at is not None:
        mark_threshold(figure, at, "threshold: %{x:.1%} accepted, %{y:.2%} wrong", dark)
    dress(figure, dark, height=380)
    figure.update_layout(
        margin={"l": 66, "r": 14, "t": 14, "b": 48},
        legend={"x": 0.02, "y": 0.66, "xanchor": "left", "yanchor": "top", "entrywidth": 96},
    )
    figure.update_xaxes(title="answers accepted (coverage)", range=[0, 1.01], tickformat=".0%")
    figure.update_yaxes(
        title="wrong among the accepted (risk)",
        range=[-0.02 * top, (1.45 * top) or 0.01],
        tickformat=".1%",
    )
    return figure
