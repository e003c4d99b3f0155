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
        errors: whether it compares log10 errors instead of probabilities; its bins are equally
            full, so their number of samples is told under the pointer only.
    """
    from plotly.subplots import make_subplots

    rows = 1 if errors else 2
    figure = make_subplots(
        rows,
        1,
        shared_xaxes=True,
        row_heights=None if errors else [0.72, 0.28],
        vertical_spacing=0.05,
    )
    _add_bins(figure, diagram, errors, class_colours(10, dark)[0])
    if not errors:
        _add_counts(figure, diagram)
    dress(figure, dark, height=420)
    figure.update_layout(margin={"l": 66, "r": 14, "t": 14, "b": 48}, bargap=0, showlegend=False)
    if errors:
        low, high = _ends(diagram, errors)
        figure.update_xaxes(title="estimated error (log10)", range=[low, high])
        figure.update_yaxes(title="true error (log10)")
    else:
        figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%")
        figure.update_xaxes(title="probability said to be right", row=2, col=1)
        figure.update_yaxes(
            title="share right", range=[-0.03, 1.04], tickformat=".0%", row=1, col=1
        )
        most = float(np.log10(max(int(diagram.count.max(initial=0)), 1)))
        figure.update_yaxes(
            title="samples",
            type="log",
            range=[-0.3, most + 1.1],
            dtick=2 if most > 3 else 1,
            row=2,
            col=1,
        )
    return figure


def _add_bins(figure: Figure, diagram: Calibration, errors: bool, colour: str) -> None:
    full = diagram.count > 0
    said, found = diagram.said[full], diagram.found[full]
    ends = _ends(diagram, errors)
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": "#9aa4b2", "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="perfect",
        row=1,
        col=1,
    )
    words = (
        "expected %{x:.2f}, measured %{y:.2f} (log10)"
        if errors
        else "said %{x:.1%}, right %{y:.1%}"
    )
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
        mode="markers",
        marker={"size": 8, "color": colour},
        hovertemplate=words + "<br>%{customdata:,} samples<extra></extra>",
        name="measured",
        row=1,
        col=1,
    )


def _add_counts(figure: Figure, diagram: Calibration) -> None:
    full = diagram.count > 0
    edges = diagram.edges
    figure.add_bar(
        x=((edges[1:] + edges[:-1]) / 2)[full],
        y=diagram.count[full],
        width=0.9 * np.diff(edges)[full],
        text=[f"{count:,}" for count in diagram.count[full]],
        textangle=0,
        textposition="outside",
        textfont={"size": 10},
        cliponaxis=False,
        marker={"color": "#9aa4b2"},
        hovertemplate="%{y:,} samples<extra></extra>",
        name="samples",
        row=2,
        col=1,
    )


def _ends(diagram: Calibration, errors: bool) -> list[float]:
    if not errors or not (diagram.count > 0).any():
        return [0.0, 1.0]
    low, high = float(diagram.edges[0]), float(diagram.edges[-1])
    margin = 0.03 * (high - low) or 0.5
    return [low - margin, high + margin]
