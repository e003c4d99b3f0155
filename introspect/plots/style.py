"""What all figures share: fonts, margins, and axes that do not shout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from introspect.plots.palette import class_colours

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FONT = "Source Sans 3, Source Sans Pro, Helvetica, Arial, sans-serif"
LINES = {
    "error": (4, "solid"),
    "error_map": (5, "dash"),
    "msp": (8, "dot"),
    "max_logit": (2, "dashdot"),
    "entropy": (3, "longdash"),
    "margin": (7, "longdashdot"),
}
"""Place in the palette and dashes of every score; not the colours of right and wrong."""


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


def mark_threshold(
    figure: Figure, at: tuple[str, float, float], told: str, dark: bool = False
) -> None:
    """A dot where a threshold on a score stands on that score's curve.

    Args:
        at: the score, x and y.
        told: what the pointer is told there, as Plotly's template.
    """
    score, x, y = at
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={
            "size": 11,
            "color": line_of(score, dark)["color"],
            "line": {"width": 2, "color": "#ffffff"},
        },
        hovertemplate=f"{told}<extra></extra>",
        name="threshold",
        showlegend=False,
    )


def as_text(name: str) -> str:
    """A foreign name as text: Plotly reads some HTML in names."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def line_of(score: str, dark: bool = False) -> dict[str, str | float]:
    """Colour and dashes of a score of doubt, the same in all figures; dashes for every eye."""
    code, dash = LINES[score]
    return {"color": class_colours(10, dark)[code], "dash": dash, "width": 2.2}
