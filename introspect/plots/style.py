"""What all figures share: fonts, margins, and axes that do not shout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FONT = "Source Sans 3, Source Sans Pro, Helvetica, Arial, sans-serif"


def dress(figure: Figure, dark: bool = False, height: int = 640) -> Figure:
    """The figure with our fonts, margins and colours, on a light or dark ground."""
    ink, paper, line = (
        ("#e6eaf0", "#12161c", "#2d3642") if dark else ("#1c2530", "#ffffff", "#dbe1e8")
    )
    figure.update_layout(
        height=height,
        margin={"l": 48, "r": 16, "t": 48, "b": 48},
        paper_bgcolor=paper,
        plot_bgcolor=paper,
        font={"family": FONT, "size": 13, "color": ink},
        legend={"itemsizing": "constant", "tracegroupgap": 0},
        hoverlabel={"font": {"family": FONT}},
    )
    figure.update_xaxes(gridcolor=line, zeroline=False, linecolor=line, ticks="")
    figure.update_yaxes(gridcolor=line, zeroline=False, linecolor=line, ticks="")
    return figure
