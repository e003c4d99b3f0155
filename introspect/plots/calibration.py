"""Calibration: whether what is said about an answer comes true, bin by bin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from introspect.calibration import Calibration
from introspect.plots.palette import class_colours
from introspect.plots.style import dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def draw(diagram: Calibration, *, errors: bool = False, dark: bool = False) -> Figure:
    """What came true over what was said, with the number of samples a bin below.

    Args:
        diagram: of `introspect.calibration`.
        errors: whether it compares log10 errors instead of probabilities.
    """
    from plotly.subplots import make_subplots

    full = diagram.count > 0
    said, found = diagram.said[full], diagram.found[full]
    ends = _ends(diagram, errors)
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.04)
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": "#9aa4b2", "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="perfect",
        showlegend=False,
        row=1,
        col=1,
    )
    form = ".2f" if errors else ".1%"
    words = (
        f"expected {{x:{form}}}, measured {{y:{form}}} (log10)"
        if errors
        else f"said {{x:{form}}}, right {{y:{form}}}"
    )
    colour = class_colours(10, dark)[0]
    figure.add_scatter(
        x=np.round(said, 5),
        y=np.round(found, 5),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.round(diagram.high[full] - found, 5),
            "arrayminus": np.round(found - diagram.low[full], 5),
            "thickness": 1.2,
            "width": 3,
        },
        customdata=diagram.count[full],
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 7},
        hovertemplate=words.replace("{", "%{") + "<br>%{customdata:,} samples<extra></extra>",
        name="measured",
        showlegend=False,
        row=1,
        col=1,
    )
    edges = diagram.edges
    figure.add_bar(
        x=((edges[1:] + edges[:-1]) / 2)[full],
        y=diagram.count[full],
        width=0.92 * np.diff(edges)[full],
        text=[f"{count:,}" for count in diagram.count[full]],
        textangle=-90,
        textposition="auto",
        marker={"color": "#9aa4b2"},
        hovertemplate="%{y:,} samples<extra></extra>",
        name="samples",
        showlegend=False,
        row=2,
        col=1,
    )
    dress(figure, dark, height=420)
    figure.update_layout(margin={"l": 66, "r": 14, "t": 14, "b": 48}, bargap=0)
    unit = "log10 of the error" if errors else ""
    figure.update_xaxes(
        {"range": ends} if errors else {"range": [-0.01, 1.01], "tickformat": ".0%"}
    )
    figure.update_xaxes(
        title=f"estimated {unit}" if errors else "probability said to be right", row=2, col=1
    )
    figure.update_yaxes(
        title=f"true {unit}" if errors else "share right",
        row=1,
        col=1,
        **({} if errors else {"range": [-0.02, 1.04], "tickformat": ".0%"}),
    )
    figure.update_yaxes(title="samples", type="linear" if errors else "log", row=2, col=1)
    return figure


def _ends(diagram: Calibration, errors: bool) -> list[float]:
    if not errors or not (diagram.count > 0).any():
        return [0.0, 1.0]
    low, high = float(diagram.edges[0]), float(diagram.edges[-1])
    margin = 0.03 * (high - low) or 0.5
    return [low - margin, high + margin]
