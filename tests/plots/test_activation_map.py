"""The Plotly map: every dot once, at its place, in the colour of its class."""

from __future__ import annotations

import numpy as np
import pytest
from standin import CLASSES, pretend

from introspect.errors import BadInput
from introspect.plots.activation_map import draw

ATLAS = pretend()


def dots(figure) -> dict[int, tuple[float, float]]:
    found = {}
    for trace in figure.data:
        if trace.type == "scattergl":
            ids = np.asarray(trace.customdata)
            ids = ids[:, 0] if ids.ndim == 2 else ids
            found |= dict(zip(ids.tolist(), zip(trace.x, trace.y, strict=True), strict=True))
    return found


@pytest.mark.parametrize("colour", ["label", "predicted", "correct", "log_error", "off_map"])
@pytest.mark.parametrize("view", ["infovae", "umap"])
def test_every_sample_is_drawn_once_at_its_place(colour: str, view: str) -> None:
    figure = draw(ATLAS, colour=colour, view=view, count=None)
    places = dots(figure)
    assert sum(len(t.x) for t in figure.data if t.type == "scattergl") == len(ATLAS.points.id)
    for row in (0, 17, 299):
        assert places[int(ATLAS.points.id[row])] == tuple(ATLAS.points.views[view][row])


def test_error_map_lies_beneath_the_first_projection_only() -> None:
    first = draw(ATLAS).data[0]
    assert first.type == "heatmap" and first.colorbar.title.text == "estimated error (log10)"
    assert first.x[0] == pytest.approx(-3 + 0.5 * 6 / 200)
    assert all(trace.type != "heatmap" for trace in draw(ATLAS, view="umap").data)
    assert all(trace.type != "heatmap" for trace in draw(ATLAS, error_map=False).data)


def test_fewer_dots_are_a_seeded_choice() -> None:
    first, again = dots(draw(ATLAS, count=50)), dots(draw(ATLAS, count=50))
    assert len(first) == 50 and first == again
    assert dots(draw(ATLAS, count=50, seed=1)) != first


def test_mistakes_wear_a_ring() -> None:
    figure = draw(ATLAS, count=None)
    ringed = {
        int(number)
        for trace in figure.data
        if trace.type == "scattergl"
        for number, ring in zip(
            np.asarray(trace.customdata)[:, 0], trace.marker.line.width, strict=True
        )
        if ring > 0
    }
    points = ATLAS.points
    wrong = (points.label >= 0) & (points.label != points.predicted)
    assert ringed == set(points.id[wrong].tolist())


def test_axes_have_one_scale_and_class_names_are_text() -> None:
    figure = draw(ATLAS)
    assert figure.layout.yaxis.scaleanchor == "x"
    names = {trace.name for trace in figure.data}
    assert "&lt;b&gt;one&lt;/b&gt;" in names and CLASSES[1] not in names


def test_unknown_projection_or_colouring_is_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="choose infovae, umap"):
        draw(ATLAS, view="tsne")
    with pytest.raises(BadInput, match="cannot be coloured by 'size'"):
        draw(ATLAS, colour="size")
