"""Strangers: how far inputs are from anything recorded, and where they land on the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from introspect.plots.palette import class_colours, marks
from introspect.plots.style import as_text, dress
from introspect.points import OFF_THE_MAP
from introspect.strangers import Company

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from introspect.atlas import Atlas

BINS = 70
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
TICKS = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
SHOWN = 1000
"""Most points of a company drawn over the map."""


def draw(atlas: Atlas, known: Company, met: Sequence[Company], *, dark: bool = False) -> Figure:
    """Share of the inputs at every error of rebuilding; right of the line they are flagged.

    Args:
        known: the test samples, filled.
        met: strangers, one line each.
    """
    from plotly.graph_objects import Figure

    everybody = np.concatenate([np.asarray(one.distance) for one in (known, *met)])
    everybody = np.log10(np.maximum(everybody[np.isfinite(everybody)], 1e-6))
    low, high = float(everybody.min(initial=1)), float(everybody.max(initial=-1))
    edges = np.linspace(low - 0.02, high + 0.02, BINS + 1)
    middle = np.round(10 ** ((edges[1:] + edges[:-1]) / 2), 5)
    figure = Figure()
    colours = class_colours(max(10, len(met) + 1), dark)
    for number, one in enumerate((known, *met)):
        counts, _ = np.histogram(np.log10(np.maximum(one.distance, 1e-6)), edges)
        first = number == 0
        figure.add_scatter(
            x=middle,
            y=np.round(counts / max(1, len(one)), 5),
            mode="lines",
            line={
                "shape": "hvh",
                "width": 1.2 if first else 2,
                "color": "#9aa4b2" if first else colours[number - 1],
                "dash": "solid" if first else DASHES[(number - 1) % len(DASHES)],
            },
            fill="tozeroy" if first else None,
            name=f"{as_text(one.name)} ({one.share:.0%} flagged)",
            hovertemplate=f"{as_text(one.name)}<br>distance about %{{x:.2f}}: %{{y:.1%}}"
            "<extra></extra>",
        )
    ranks = atlas.engine.strangeness.ranks
    level = float(ranks[round(OFF_THE_MAP / 100 * (len(ranks) - 1))])
    figure.add_vline(x=level, line={"width": 1.4, "dash": "dash", "color": "#717581"})
    # Plotly wants the logarithm for annotations of such an axis, and the value for its lines.
    figure.add_annotation(
        x=float(np.log10(level)),
        y=1,
        yref="paper",
        text="flagged →",
        showarrow=False,
        xanchor="left",
        yanchor="top",
    )
    ticks = [v for v in TICKS if low - 0.02 <= np.log10(v) <= high + 0.02]
    dress(figure, dark, height=380)
    figure.update_layout(
        margin={"l": 62, "r": 14, "t": 14, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(
        title="error of rebuilding (standard deviations)",
        type="log",
        tickvals=ticks,
        ticktext=[f"{v:g}" for v in ticks],
    )
    figure.update_yaxes(title="share of the inputs", tickformat=".0%", rangemode="tozero")
    return figure


def draw_map(atlas: Atlas, known: Company, met: Company, *, dark: bool = False) -> Figure:
    """Where strangers land: test samples in grey beneath, strangers flagged or missed above."""
    from plotly.graph_objects import Figure

    figure = Figure()
    colours = marks(dark)
    flagged = met.flagged[:SHOWN]
    layers = (
        (known.name, known.z[:SHOWN], "#8b95a5", 4, 0.5),
        ("flagged", met.z[:SHOWN][flagged], str(colours["wrong"]), 4, 0.75),
        ("taken for known", met.z[:SHOWN][~flagged], str(colours["right"]), 4, 0.75),
    )
    for name, z, colour, size, strength in layers:
        figure.add_scatter(
            x=np.round(z[:, 0].astype(np.float64), 3),
            y=np.round(z[:, 1].astype(np.float64), 3),
            mode="markers",
            marker={"size": size, "color": colour, "opacity": strength},
            name=f"{as_text(name)} ({len(z):,})",
            hovertemplate=f"{as_text(name)}<br>z %{{x:.2f}}, %{{y:.2f}}<extra></extra>",
        )
    dress(figure, dark, height=420)
    figure.update_layout(
        margin={"l": 54, "r": 14, "t": 14, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="z₁")
    figure.update_yaxes(title="z₂", scaleanchor="x")
    return figure
