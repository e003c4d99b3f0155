"""Layer counts: how many units of each layer answer most to each class (Pardo et al., fig. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from introspect.plots.palette import class_colours
from introspect.plots.style import as_text, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from introspect.brainbow import Brainbow

QUIET = "#9aa4b2"


def draw(brainbow: Brainbow, *, dark: bool = False) -> Figure:
    """One stacked bar a layer; the last part are the units that answer all classes alike."""
    from plotly.graph_objects import Figure

    counts = brainbow.counts()
    layers = [str(number + 1) for number in range(len(counts))]
    colours = [*class_colours(len(brainbow.classes), dark), QUIET]
    figure = Figure()
    for number, name in enumerate([*brainbow.classes, "no class"]):
        if number < len(brainbow.classes) or counts[:, number].any():
            figure.add_bar(
                x=layers, y=counts[:, number], name=as_text(name), marker_color=colours[number]
            )
    dress(figure, dark, height=380)
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(title="hidden layer, from input to output", type="category")
    figure.update_yaxes(title="units")
    return figure
