"""Gateways: how many steps an attack takes from each class to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from introspect.plots.style import as_text, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def draw(
    steps: Float[np.ndarray, "k T"],
    classes: Sequence[str],
    targets: Sequence[int] | None = None,
    *,
    dark: bool = False,
) -> Figure:
    """A table of medians, source class down, target class across; empty where no walk arrives.

    Args:
        steps: median step of success, NaN where none arrived.
        targets: class numbers of the columns; all classes in order when left out.
    """
    from plotly.graph_objects import Figure

    names = [as_text(name) for name in classes]
    across = names if targets is None else [names[number] for number in targets]
    figure = Figure()
    figure.add_heatmap(
        x=across,
        y=names,
        z=steps,
        colorscale="Blues_r",
        colorbar={"title": "steps"},
        texttemplate="%{z:.0f}" if len(classes) <= 20 else None,
        hovertemplate="%{y} to %{x}: %{z:.0f} steps<extra></extra>",
        hoverongaps=False,
    )
    dress(figure, dark, height=460)
    figure.update_xaxes(title="target class", type="category")
    figure.update_yaxes(title="class at the start", type="category", autorange="reversed")
    return figure
