"""Violins: how doubtful right and wrong answers of each class look (Pardo et al., fig. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from introspect.answers import UNITS
from introspect.plots.palette import marks
from introspect.plots.style import as_text, dress
from introspect.reliability import Side, Violins

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HALF = 0.42
LONGEST = 14


def draw(
    violins: Violins,
    classes: Sequence[str],
    *,
    shown: Sequence[int] | None = None,
    threshold: float | None = None,
    dark: bool = False,
) -> Figure:
    """Right answers to the left, wrong ones to the right of each class; its sensitivity on top.

    Every half is drawn equally wide, however many answers it holds; up to 12 answers are dots.

    Args:
        shown: codes of the classes drawn; None draws all that have samples.
        threshold: answers above it would be flagged.
    """
    from plotly.graph_objects import Figure

    codes = violins.code.tolist()
    places = [codes.index(code) for code in (codes if shown is None else shown) if code in codes]
    colours = marks(dark)
    figure = Figure()
    for name, sides, sign in (("right", violins.right, -1), ("wrong", violins.wrong, 1)):
        chosen = [(x, sides[place]) for x, place in enumerate(places)]
        _add_halves(figure, name, chosen, violins.grid, sign, str(colours[name]))
        _add_dots(figure, name, chosen, sign, str(colours[name]), classes, codes, places)
        _add_medians(figure, name, chosen, sign, dark, classes, codes, places)
    names = [_short(str(classes[codes[place]])) for place in places]
    share = violins.sensitivity
    right, wrong = violins.counts
    figure.add_scatter(
        x=np.arange(len(places)),
        y=np.full(len(places), 0.965),
        yaxis="y2",
        mode="text",
        text=[_percent(float(share[place])) for place in places],
        textfont={"size": 12},
        customdata=[
            (as_text(str(classes[codes[p]])), int(right[p]), int(right[p] + wrong[p]))
            for p in places
        ],
        hovertemplate="%{customdata[0]}: %{customdata[1]:,} of %{customdata[2]:,} right"
        "<extra>sensitivity</extra>",
        showlegend=False,
        name="sensitivity",
    )
    if threshold is not None and np.isfinite(threshold):
        figure.add_hline(y=threshold, line={"width": 1.2, "dash": "dash", "color": "#717581"})
    dress(figure, dark, height=440)
    figure.update_layout(
        margin={"l": 62, "r": 12, "t": 36, "b": 56},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "entrywidth": 110},
        yaxis2={
            "overlaying": "y",
            "range": [0, 1],
            "visible": False,
            "fixedrange": True,
        },
        hovermode="closest",
    )
    low, high = float(violins.grid[0]), float(violins.grid[-1])
    figure.update_xaxes(
        tickvals=list(range(len(places))),
        ticktext=names,
        range=[-0.6, max(len(places) - 0.4, 0.6)],
        showgrid=False,
        automargin=True,
        title="class of the sample (on top: share of it answered right)",
    )
    # Room on top for the sensitivities.
    figure.update_layout(
        yaxis={"title": UNITS[violins.score], "range": [low, high + 0.1 * (high - low)]}
    )
    return figure


def _add_halves(
    figure: Figure,
    name: str,
    chosen: list[tuple[int, Side]],
    grid: np.ndarray,
    sign: int,
    colour: str,
) -> None:
    across, up = [], []
    for x, side in chosen:
        body = np.flatnonzero(side.density > 1e-3)
        if len(body):
            cut = slice(max(body[0] - 1, 0), body[-1] + 2)
            edge = x + sign * HALF * side.density[cut]
            across += [x, *edge.tolist(), x, None]
            up += [grid[cut][0], *grid[cut].tolist(), grid[cut][-1], None]
    figure.add_scatter(
        x=[None if v is None else round(float(v), 3) for v in across] or [None],
        y=[None if v is None else round(float(v), 3) for v in up] or [None],
        mode="lines",
        fill="toself",
        line={"width": 1, "color": colour},
        fillcolor=_faint(colour),
        hoverinfo="skip",
        name=f"{name} answers",
    )


def _add_dots(
    figure: Figure,
    name: str,
    chosen: list[tuple[int, Side]],
    sign: int,
    colour: str,
    classes: Sequence[str],
    codes: list[int],
    places: list[int],
) -> None:
    dots = [
        (x + sign * 0.08, float(value), as_text(str(classes[codes[places[x]]])))
        for x, side in chosen
        for value in side.few
    ]
    if dots:
        figure.add_scatter(
            x=[dot[0] for dot in dots],
            y=[dot[1] for dot in dots],
            customdata=[dot[2] for dot in dots],
            mode="markers",
            marker={"size": 5, "color": colour, "opacity": 0.9},
            hovertemplate="%{customdata}: %{y:.2f}" + f"<extra>{name}</extra>",
            showlegend=False,
            name=f"few {name}",
        )


def _add_medians(
    figure: Figure,
    name: str,
    chosen: list[tuple[int, Side]],
    sign: int,
    dark: bool,
    classes: Sequence[str],
    codes: list[int],
    places: list[int],
) -> None:
    full = [(x, side) for x, side in chosen if side.count]
    figure.add_scatter(
        x=[x + sign * HALF / 3 for x, _ in full],
        y=[side.quartiles[1] for _, side in full],
        customdata=[
            (
                as_text(str(classes[codes[places[x]]])),
                side.count,
                side.quartiles[0],
                side.quartiles[2],
            )
            for x, side in full
        ],
        mode="markers",
        marker={
            "symbol": "line-ew",
            "size": 12,
            "line": {"width": 2.4, "color": "#e6eaf0" if dark else "#1c2530"},
        },
        hovertemplate="%{customdata[0]}: %{customdata[1]:,} " + name + "<br>median %{y:.2f}, "
        "half of them between %{customdata[2]:.2f} and %{customdata[3]:.2f}<extra></extra>",
        name="median",
        legendrank=1001,
        showlegend=name == "right",
    )


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.42)"


def _short(name: str) -> str:
    return as_text(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…")


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{min(share, 0.9999):.1%}".replace("%", " %")
