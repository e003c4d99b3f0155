"""Scores weighed side by side, curves, violins and thresholds; and the page that shows them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
import reference
from answered import make_atlas, make_points
from sklearn.metrics import roc_curve
from streamlit.testing.v1 import AppTest

from introspect.answers import Answers, answers
from introspect.atlas import Atlas
from introspect.reliability import (
    alarm_level,
    difference,
    risk_coverage,
    roc,
    trade,
    verdict,
    violins,
    weigh,
)
from introspect.ui import reliability_table


def given(**rows: Any) -> Answers:
    return answers(make_points(**rows), "sigmoid")


def with_scores(wrong: np.ndarray, **scores: np.ndarray) -> Answers:
    n = len(wrong)
    return Answers(
        "test",
        np.arange(n),
        np.zeros(n, np.int64),
        wrong,
        np.zeros(n),
        {name: np.asarray(score, np.float64) for name, score in scores.items()},
        0,
    )


# ---------------------------------------------------------------- side by side
def test_differences_are_of_the_values_and_turn_round_with_the_pair() -> None:
    found = weigh(given(n=900), resamples=300)
    a, b = (found.values[name]["auroc"].value for name in ("error", "msp"))
    gap = difference(found, "error", "msp", "auroc")
    back = difference(found, "msp", "error", "auroc")
    assert gap.value == pytest.approx(a - b) == pytest.approx(-back.value)
    assert gap.low <= gap.value <= gap.high
    assert (back.low, back.high) == (-gap.high, -gap.low)


def test_pairs_are_surer_than_their_parts() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(4000) < 0.1
    common = rng.normal(size=4000) + wrong
    near = common + 0.05 * rng.normal(size=4000)
    found = weigh(with_scores(wrong, error=common, msp=near), resamples=400)
    alone, pair = found.values["error"]["auroc"], found.differences["error", "msp"]["auroc"]
    assert pair.high - pair.low < 0.3 * (alone.high - alone.low)


def test_clear_winner_is_named_and_equals_are_called_equal() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(3000) < 0.1
    good = rng.normal(size=3000) + 3 * wrong
    found = weigh(
        with_scores(wrong, error=good, error_map=2 * good - 1, msp=rng.normal(size=3000)),
        resamples=300,
    )
    said = verdict(found)
    assert "ê(h) is better than MSP" in said
    assert "equals ê(z)" in said and "as far as these samples tell" in said
    assert f"Of 3,000 answers {wrong.sum()} are wrong" in said


def test_scores_that_nobody_can_tell_apart_are_all_called_equal() -> None:
    rng = np.random.default_rng(1)
    wrong = rng.random(200) < 0.1
    noise = {name: rng.normal(size=200) for name in ("error", "error_map", "msp")}
    said = verdict(weigh(with_scores(wrong, **noise), resamples=300))
    assert "better" not in said and "equals" in said


@pytest.mark.parametrize(("value", "word"), [(False, "wrong"), (True, "right")])
def test_verdict_without_both_kinds_says_so(value: bool, word: str) -> None:
    found = weigh(with_scores(np.full(30, value), error=np.arange(30.0)), resamples=200)
    assert verdict(found) == f"None of these 30 answers is {word}: there is nothing to tell apart."


def test_verdict_without_labels_says_so() -> None:
    assert "no labelled samples" in verdict(weigh(given(labels=False)))


# ---------------------------------------------------------------- curves
def test_roc_is_scikit_learns_and_its_area_the_auroc() -> None:
    one = given(n=900)
    score = np.round(one.scores["error"], 1)
    curve = roc(score, one.wrong)
    x, y, _ = roc_curve(one.wrong, score, drop_intermediate=False)
    theirs = {(round(a, 9), round(b, 9)) for a, b in zip(x, y, strict=True)}
    assert {(round(a, 9), round(b, 9)) for a, b in zip(curve.x, curve.y, strict=True)} <= theirs
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(reference.auroc(score, one.wrong))
    assert len(roc(score[one.wrong], one.wrong[one.wrong]).x) == 0


def test_risk_at_every_coverage_is_the_error_rate_among_the_surest() -> None:
    one = given(n=900)
    score = one.scores["msp"]
    curve = risk_coverage(score, one.wrong)
    order = np.argsort(score)
    for x, y in zip(curve.x[::25], curve.y[::25], strict=True):
        surest = order[: round(x * len(score))]
        assert y == pytest.approx(one.wrong[surest].mean())
    assert curve.x[-1] == 1 and curve.y[-1] == pytest.approx(one.wrong.mean())
    level = risk_coverage(np.zeros(len(score)), one.wrong)
    np.testing.assert_allclose(level.y, one.wrong.mean())


# ---------------------------------------------------------------- violins
def test_violins_count_every_answer_once_and_sensitivity_is_recall() -> None:
    one = given(n=1200, k=5)
    found = violins(one, "error")
    right, wrong = found.counts
    assert right.sum() + wrong.sum() == len(one)
    for code in range(5):
        recall = (~one.wrong[one.label == code]).mean()
        assert found.sensitivity[code] == pytest.approx(recall)
        mine = one.scores["error"][(one.label == code) & one.wrong]
        assert found.wrong[code].quartiles[1] == pytest.approx(np.median(mine))


def test_density_is_the_kernel_sum_written_out() -> None:
    value = np.random.default_rng(0).normal(-4, 1, 400)
    one = violins(with_scores(np.zeros(400, bool), error=value), "error")
    side = one.right[0]
    q1, q3 = np.quantile(value, (0.25, 0.75))
    width = 0.9 * min(value.std(), (q3 - q1) / 1.34) * 400**-0.2
    literal = np.array([np.exp(-0.5 * ((g - value) / width) ** 2).sum() for g in one.grid])
    inside = (one.grid > value.min()) & (one.grid < value.max())
    np.testing.assert_allclose(side.density[inside], (literal / literal.max())[inside], atol=0.01)
    step = one.grid[1] - one.grid[0]
    beyond = (one.grid < value.min() - step) | (one.grid > value.max() + step)
    assert beyond.any() and not side.density[beyond].any()
    assert side.count == 400 and len(side.few) == 0


def test_classes_without_errors_have_no_wrong_half_and_few_errors_are_kept() -> None:
    found = violins(given(n=240, k=4, only=2, errors=0.2))
    _, wrong = found.counts
    assert wrong[2] > 0 and wrong[[0, 1, 3]].tolist() == [0, 0, 0]
    assert not found.wrong[0].density.any()
    assert len(found.wrong[2].few) == wrong[2]
    assert found.most_errors(1) == [2]


def test_constant_score_makes_narrow_violins() -> None:
    found = violins(given(constant=True), "error")
    peak = found.grid[found.right[0].density.argmax()]
    assert peak == pytest.approx(-2, abs=0.01)
    assert (found.right[0].density > 0.01).mean() < 0.2


# ---------------------------------------------------------------- thresholds
def test_threshold_counts_what_lies_above_it() -> None:
    one = given(n=900)
    found = trade(one, "error")
    score = one.scores["error"]
    for step in (0, 57, 200, 333, 400):
        flagged = score > found.threshold[step]
        assert found.caught[step] == (flagged & one.wrong).sum()
        assert found.alarms[step] == (flagged & ~one.wrong).sum()
    assert found.caught[0] == one.wrong.sum() and found.alarms[-1] == found.caught[-1] == 0
    assert found.right.sum() == (~one.wrong).sum() and found.wrong.sum() == one.wrong.sum()


def test_alarm_level_flags_the_wanted_share_of_right_answers_at_most() -> None:
    one = given(n=3000)
    level = alarm_level(one, "error", 0.05)
    assert level is not None
    share = (one.scores["error"][~one.wrong] > level).mean()
    assert 0.05 - 2 / (~one.wrong).sum() <= share <= 0.05
    assert alarm_level(with_scores(np.ones(4, bool), error=np.arange(4.0)), "error") is None


def test_constant_score_has_a_threshold_below_and_one_above() -> None:
    found = trade(given(constant=True), "error")
    assert found.alarms[0] > 0 and found.alarms[-1] == 0
    assert found.nearest(-2) == pytest.approx(200, abs=1)


# ---------------------------------------------------------------- the page
def page(rows: dict, link: str) -> None:
    from answered import make_atlas

    from introspect.ui import reliability

    reliability.draw(make_atlas(link=link, **rows))


def show(link: str = "sigmoid", **rows: Any) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60, kwargs={"rows": rows, "link": link})
    app.run()
    assert not app.exception, app.exception
    return app


def texts(app: AppTest) -> str:
    return "\n".join(e.value for kind in (app.markdown, app.caption, app.info) for e in kind)


def figures(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.spec) for element in app.get("plotly_chart")]


def parts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


@pytest.mark.parametrize("link", ["sigmoid", "softmax", "probabilities"])
@pytest.mark.parametrize("k", [2, 10])
def test_page_shows_violins_table_threshold_and_curves(k: int, link: str) -> None:
    app = show(link, n=900, k=k)
    assert len(figures(app)) == 5
    said = texts(app)
    assert "By AUROC" in said and "Expected calibration error" in said
    scores, differences = (element.value for element in app.dataframe)
    assert scores["score"].tolist() == ["ê(h)", "ê(z)", "MSP"] and len(differences) == 3
    [threshold] = parts(app)
    assert threshold["wrongs"] + threshold["rights"] == 300
    assert len(json.dumps(threshold)) < 20_000


def test_other_split_and_other_estimate_are_told_apart() -> None:
    app = show(n=900)
    split, score = app.segmented_control if app.segmented_control else app.button_group
    first = parts(app)[0]["about"]
    split.set_value("validation")
    score.set_value("error")
    app.run()
    assert not app.exception
    assert "learnt on the validation samples" in texts(app)
    about = parts(app)[0]["about"]
    assert about != first and about.endswith("validation error")


def test_hundred_classes_show_the_most_wrong_and_offer_all() -> None:
    app = show(n=6000, k=100)
    [choice] = app.multiselect
    assert len(choice.options) == 100 and len(choice.value) == 14
    violin = figures(app)[0]
    assert len(violin["layout"]["xaxis"]["tickvals"]) == 14
    choice.set_value([3, 99]).run()
    ticks = figures(app)[0]["layout"]["xaxis"]["ticktext"]
    assert ticks == ["&lt;b&gt;class_3", "&lt;b&gt;class_99"]


def test_without_errors_the_page_says_so_and_shows_what_remains() -> None:
    app = show(errors=0.0)
    said = texts(app)
    assert "None of these answers is wrong" in said and "nothing to tell apart" in said
    assert parts(app) == [] and len(figures(app)) == 3


def test_without_labels_the_page_says_so_and_shows_nothing_else() -> None:
    app = show(labels=False)
    assert "nobody knows which answers are wrong" in texts(app)
    assert figures(app) == [] and parts(app) == []


def test_constant_scores_are_called_equal() -> None:
    said = texts(show(constant=True))
    assert "equals" in said and "better than" not in said


def test_one_class_wrong_only_is_shown() -> None:
    app = show(only=1, errors=0.4, n=900)
    assert len(figures(app)) == 5


def test_threshold_starts_at_the_alarm_level_of_the_atlas() -> None:
    app = show(n=900)
    controls = app.segmented_control if app.segmented_control else app.button_group
    controls[1].set_value("error").run()
    found = parts(app)[0]
    assert found["threshold"][found["start"]] == pytest.approx(-1.0, abs=0.02)


def test_table_as_a_file_holds_every_value_and_difference() -> None:
    weighing = weigh(given(n=900), resamples=200)
    rows = list(csv.DictReader(io.StringIO(reliability_table.to_csv(weighing))))
    assert len(rows) == 6 * (3 + 3)
    [one] = [r for r in rows if (r["score"], r["minus"], r["measure"]) == ("msp", "", "auroc")]
    assert float(one["value"]) == weighing.values["msp"]["auroc"].value
    [gap] = [r for r in rows if (r["score"], r["minus"], r["measure"]) == ("error", "msp", "aurc")]
    assert float(gap["low"]) == weighing.differences["error", "msp"]["aurc"].low


def test_page_agrees_with_a_real_atlas(atlas: Atlas) -> None:
    one = answers(atlas.points, atlas.classifier.link)
    test = atlas.points.split == 2
    assert one.wrong.sum() == (~atlas.points.correct[test]).sum()
    found = weigh(one, resamples=200)
    measured = atlas.settings["auroc"]
    assert found.values["error"]["auroc"].value == pytest.approx(measured["log_error"], abs=1e-6)
    assert found.values["error_map"]["auroc"].value == pytest.approx(
        measured["log_error_map"], abs=1e-6
    )


def test_make_atlas_is_what_the_tests_say() -> None:
    points = make_atlas(n=90, errors=0.0).points
    assert points.correct.all()
