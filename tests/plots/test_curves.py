"""ROC, risk and coverage, calibration: curves where they belong, told in words and numbers."""

from __future__ import annotations

import numpy as np
import pytest
from answered import make_points

from introspect.answers import answers
from introspect.calibration import calibrate, compare_errors
from introspect.plots import calibration, risk_coverage, roc
from introspect.plots.style import LINES, line_of
from introspect.reliability import risk_coverage as risks
from introspect.reliability import roc as rocs

GIVEN = answers(make_points(n=1500), "sigmoid")


def trace(figure, name: str):
    [found] = [one for one in figure.data if one.name == name]
    return found


def test_roc_draws_every_score_with_its_area_and_the_threshold() -> None:
    curves = {name: rocs(GIVEN.scores[name], GIVEN.wrong) for name in ("error", "msp")}
    figure = roc.draw(curves, {"error": 0.91234, "msp": 0.8}, at=("msp", 0.1, 0.6))
    np.testing.assert_allclose(trace(figure, "ê(h) 0.912").y, curves["error"].y, atol=1e-5)
    np.testing.assert_allclose(trace(figure, "MSP 0.800").x, curves["msp"].x, atol=1e-5)
    dot = trace(figure, "threshold")
    assert (dot.x[0], dot.y[0]) == (0.1, 0.6)


def test_perfect_order_and_chance_frame_the_risk() -> None:
    rate = float(GIVEN.wrong.mean())
    curve = risks(GIVEN.scores["error"], GIVEN.wrong)
    figure = risk_coverage.draw({"error": curve}, rate)
    ideal = trace(figure, "perfect order")
    drawn = np.interp(np.asarray(ideal.x), curve.x, curve.y)
    assert (drawn >= np.asarray(ideal.y) - 1e-3).all()
    assert ideal.y[-1] == pytest.approx(rate) and set(trace(figure, "chance").y) == {rate}


def test_scores_have_their_own_colour_and_dashes_in_light_and_dark() -> None:
    for dark in (False, True):
        lines = [line_of(name, dark) for name in LINES]
        assert len({line["color"] for line in lines}) == len(lines)
        assert len({line["dash"] for line in lines}) == len(lines)


def test_diagram_shows_full_bins_with_their_number_of_samples() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.4, 1, 900)
    found = calibrate(confidence, rng.random(900) < confidence)
    figure = calibration.draw(found)
    full = found.count > 0
    np.testing.assert_allclose(trace(figure, "measured").x, found.said[full], atol=1e-5)
    assert list(trace(figure, "samples").text) == [f"{n:,}" for n in found.count[full]]
    low = np.asarray(trace(figure, "measured").y) - trace(figure, "measured").error_y.arrayminus
    np.testing.assert_allclose(low, found.low[full], atol=2e-5)


def test_diagram_of_errors_is_in_decades_and_needs_no_bars() -> None:
    found = compare_errors(GIVEN.scores["error"], GIVEN.log_error)
    figure = calibration.draw(found, errors=True, dark=True)
    assert [one.name for one in figure.data] == ["perfect", "measured"]
    assert figure.layout.xaxis.title.text == "estimated error (log10)"
    np.testing.assert_allclose(trace(figure, "measured").y, found.found, atol=1e-5)


def test_empty_diagrams_can_be_drawn() -> None:
    nothing = np.zeros(0)
    assert len(calibration.draw(calibrate(nothing, np.zeros(0, bool))).data) == 3
    assert len(calibration.draw(compare_errors(nothing, nothing), errors=True).data) == 2
