"""The activation map as a Plotly figure, for notebooks and for files; the app draws its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from introspect.errors import BadInput
from introspect.plots.palette import (
    ERROR_ON_DARK,
    ERROR_ON_LIGHT,
    VIRIDIS,
    class_colours,
    marks,
)
from introspect.plots.style import as_text, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from introspect.atlas import Atlas, Points

AXES = {"infovae": ("z₁", "z₂"), "umap": ("UMAP 1", "UMAP 2"), "pca": ("PC 1", "PC 2")}
SCORES = ("log_error", "log_error_map", "off_map")


def draw(
    atlas: Atlas,
    *,
    view: str = "infovae",
    colour: str = "label",
    count: int | None = 20_000,
    error_map: bool = True,
    dark: bool = False,
    seed: int = 0,
) -> Figure:
    """Every sample at the place its activations have in the plane, over the error to expect there.

    Args:
        view: projection, one of `atlas.points.views`.
        colour: label, predicted, correct, log_error, log_error_map or off_map; mistakes get a
            ring where classes are coloured.
        count: most samples drawn, chosen at random; None draws all (slow in a browser).
        error_map: whether the error estimated over the plane lies beneath; InfoVAE view only.
        dark: on a dark ground.
        seed: of the choice and of the drawing order.

    Raises:
        BadInput: no such projection or colouring.
    """
    from plotly.graph_objects import Figure

    points, classes = atlas.points, atlas.classifier.classes
    if view not in points.views:
        raise BadInput(f"There is no projection {view!r}: choose {', '.join(points.views)}.")
    if colour not in ("label", "predicted", "correct", *SCORES):
        raise BadInput(f"Points cannot be coloured by {colour!r}: choose label or predicted.")
    rows = np.random.default_rng(seed).permutation(len(points.id))[:count]
    figure = Figure()
    if error_map and view == "infovae":
        _add_error_map(figure, atlas, dark)
    if colour in SCORES:
        _add_score(figure, points, points.views[view], rows, colour)
    else:
        _add_classes(figure, points, view, rows, colour, classes, dark)
    across, up = AXES.get(view, (f"{view} 1", f"{view} 2"))
    dress(figure, dark)
    figure.update_layout(title=f"Activation map of {atlas.name}")
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=up, scaleanchor="x")
    return figure


def _add_error_map(figure: Figure, atlas: Atlas, dark: bool) -> None:
    chart = atlas.chart(200)
    x0, x1, y0, y1 = chart.extent
    height, width = chart.log_error.shape
    figure.add_heatmap(
        z=chart.log_error.astype(np.float32),
        x=_middles(x0, x1, width),
        y=_middles(y0, y1, height),
        colorscale=list(ERROR_ON_DARK if dark else ERROR_ON_LIGHT),
        colorbar={"title": "estimated error (log10)", "x": 1.0, "len": 0.4, "y": 0.2},
        zsmooth="best",
        hoverinfo="skip",
        name="estimated error",
    )


def _middles(low: float, high: float, count: int) -> np.ndarray:
    return (low + (np.arange(count) + 0.5) * (high - low) / count).astype(np.float32)


def _add_score(
    figure: Figure, points: Points, z: np.ndarray, rows: Int64[np.ndarray, " m"], name: str
) -> None:
    values = getattr(points, name)[rows]
    low, high = np.nanquantile(values, (0.002, 0.998)) if len(values) else (0, 1)
    figure.add_scattergl(
        x=z[rows, 0].astype(np.float32),
        y=z[rows, 1].astype(np.float32),
        mode="markers",
        marker={
            "size": 4,
            "color": values.astype(np.float32),
            "colorscale": list(VIRIDIS),
            "cmin": float(low),
            "cmax": float(high),
            "colorbar": {"title": name, "len": 0.4, "y": 0.75},
        },
        customdata=points.id[rows],
        hovertemplate=f"#%{{customdata}}<br>{name} %{{marker.color:.2f}}<extra></extra>",
        name=name,
        showlegend=False,
    )


def _add_classes(
    figure: Figure,
    points: Points,
    view: str,
    rows: Int64[np.ndarray, " m"],
    by: str,
    classes: tuple[str, ...],
    dark: bool,
) -> None:
    z = points.views[view]
    labelled = points.label[rows] >= 0
    wrong = labelled & (points.label[rows] != points.predicted[rows])
    if by == "correct":
        names, colours = ("wrong", "right"), (marks(dark)["wrong"], marks(dark)["right"])
        codes = np.where(labelled, (~wrong).astype(np.int64), -1)
    else:
        names, colours = classes, class_colours(len(classes), dark)
        codes = (points.label if by == "label" else points.predicted)[rows]
    ink = "#e6eaf0" if dark else "#1c2530"
    for code in np.unique(codes):
        chosen = codes == code
        ring = np.where(wrong[chosen] & (by != "correct"), 1.2, 0.0)
        figure.add_scattergl(
            x=z[rows[chosen], 0].astype(np.float32),
            y=z[rows[chosen], 1].astype(np.float32),
            mode="markers",
            marker={
                "size": 4 + 2 * (ring > 0),
                "color": "#9aa4b2" if code < 0 else colours[code],
                "line": {"width": ring, "color": ink},
            },
            customdata=np.stack([points.id[rows[chosen]], points.predicted[rows[chosen]]], 1),
            hovertemplate="#%{customdata[0]}<br>z %{x:.2f}, %{y:.2f}",
            name="no label" if code < 0 else as_text(names[code]),
        )
