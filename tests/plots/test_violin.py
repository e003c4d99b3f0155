"""The violins: every half in its place, every class with its sensitivity, names as text."""

from __future__ import annotations

import numpy as np
import pytest
from answered import make_points

from introspect.answers import answers
from introspect.plots.violin import draw
from introspect.reliability import Violins, violins

CLASSES = ("0", "<b>one</b>", "a very long name of a class", "3")


def of(score: str = "error_map", **rows) -> Violins:
    return violins(answers(make_points(**rows), "sigmoid"), score)


def trace(figure, name: str):
    [found] = [one for one in figure.data if one.name == name]
    return found


@pytest.mark.parametrize("dark", [False, True])
def test_right_halves_lie_left_and_wrong_ones_right_of_their_class(dark: bool) -> None:
    figure = draw(of(n=1200), CLASSES, dark=dark)
    for name, sign in (("right answers", -1), ("wrong answers", 1)):
        x = np.array([v for v in trace(figure, name).x if v is not None])
        away = (x - np.round(x)) * sign
        assert (away >= -1e-6).all() and away.max() == pytest.approx(0.42, abs=0.01)
        gaps = sum(v is None for v in trace(figure, name).x)
        assert gaps == 4


def test_sensitivity_of_every_class_stands_on_top() -> None:
    found = of(n=1200)
    texts = trace(draw(found, CLASSES), "sensitivity").text
    assert [float(text[:-2]) for text in texts] == pytest.approx(
        (100 * found.sensitivity).tolist(), abs=0.05
    )


def test_share_just_below_all_is_never_rounded_up_to_all() -> None:
    found = of(n=60_000, k=2, errors=0.0001, seed=1)
    texts = trace(draw(found, CLASSES), "sensitivity").text
    assert found.counts[1].min() > 0 and "100 %" not in texts


def test_chosen_classes_are_drawn_in_the_chosen_order_and_names_are_text() -> None:
    figure = draw(of(n=1200), CLASSES, shown=[2, 1, 77])
    assert list(figure.layout.xaxis.ticktext) == ["a very long n…", "&lt;b&gt;one&lt;/b&gt;"]
    assert len(trace(figure, "sensitivity").x) == 2


def test_few_answers_are_dots_at_their_values() -> None:
    found = of(n=240, only=2, errors=0.2)
    dots = trace(draw(found, CLASSES), "few wrong")
    np.testing.assert_allclose(dots.y, found.wrong[2].few)
    assert (np.round(dots.x) == 2).all()


def test_without_errors_the_wrong_halves_are_empty() -> None:
    figure = draw(of(errors=0.0), CLASSES)
    assert list(trace(figure, "wrong answers").x) == [None]


def test_threshold_is_a_line_and_the_axis_names_its_unit() -> None:
    figure = draw(of("error"), CLASSES, threshold=-2.5)
    [line] = figure.layout.shapes
    assert line.y0 == line.y1 == -2.5
    assert figure.layout.yaxis.title.text == "ê(h), log10 of the expected error"
    assert not draw(of(), CLASSES).layout.shapes
