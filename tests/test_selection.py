"""What was drawn round: the right samples, whatever the browser says."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
from standin import CLASSES, pretend

from introspect.errors import BadInput
from introspect.ui.selection import (
    chosen_rows,
    confusions,
    inside,
    passing,
    read_polygon,
    to_csv,
)

ATLAS = pretend()
POINTS = ATLAS.points
EVERYWHERE = [[-99, -99], [99, -99], [99, 99], [-99, 99]]


def test_inside_agrees_with_the_winding_of_a_circle() -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = 0.8 * np.stack([np.cos(angle), np.sin(angle)], 1)
    z = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    radius = np.hypot(z[:, 0], z[:, 1])
    clear = np.abs(radius - 0.8) > 1e-3
    np.testing.assert_array_equal(inside(circle, z)[clear], (radius < 0.8)[clear])


def test_inside_does_not_depend_on_where_the_outline_begins_or_turns() -> None:
    rng = np.random.default_rng(1)
    polygon, z = rng.normal(size=(17, 2)), rng.normal(size=(2000, 2)).astype(np.float32)
    wanted = inside(polygon, z)
    np.testing.assert_array_equal(inside(np.roll(polygon, 5, 0), z), wanted)
    np.testing.assert_array_equal(inside(polygon[::-1], z), wanted)


def test_whole_plane_chooses_everything_most_doubtful_first() -> None:
    rows = chosen_rows(POINTS, 3, {"polygon": EVERYWHERE, "view": "infovae", "filter": {}})
    assert sorted(rows.tolist()) == list(range(len(POINTS.id)))
    assert (np.diff(POINTS.log_error[rows]) <= 0).all()


def test_outline_belongs_to_the_projection_it_was_drawn_in() -> None:
    half = [[-99, -99], [0, -99], [0, 99], [-99, 99]]
    rows = chosen_rows(POINTS, 3, {"polygon": half, "view": "umap", "filter": None})
    assert set(rows.tolist()) == set(np.flatnonzero(POINTS.views["umap"][:, 0] < 0).tolist())


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        [],
        "x",
        {"label": "0"},
        {"label": True},
        {"wrong": 1},
        {"low": "x", "high": None},
        {"low": math.nan},
        {"only": {"by": "__class__", "codes": [0]}},
        {"only": [1]},
        {"only": {"by": "label", "codes": "0"}},
    ],
)
def test_filter_that_makes_no_sense_lets_all_pass(wanted: Any) -> None:
    assert passing(POINTS, 3, wanted).all()


def test_filter_by_no_label() -> None:
    np.testing.assert_array_equal(passing(POINTS, 3, {"label": 3}), POINTS.label < 0)
    only = {"only": {"by": "correct", "codes": [2]}}
    np.testing.assert_array_equal(passing(POINTS, 3, only), POINTS.label < 0)


@pytest.mark.parametrize(
    "polygon",
    [
        None,
        [],
        [[0, 0], [1, 1]],
        [[0, 0, 0]] * 4,
        [[0, "x"], [1, 1], [2, 0]],
        [[0, 0], [1], [2, 0]],
        [[0, math.nan], [1, 1], [2, 0]],
        [[0, math.inf], [1, 1], [2, 0]],
        [[0, 0]] * 20_001,
        {"a": 1},
    ],
)
def test_outline_that_is_none_is_refused_in_a_sentence(polygon: Any) -> None:
    with pytest.raises(BadInput, match="draw it again"):
        read_polygon(polygon)


@pytest.mark.parametrize("view", [None, "tsne", 3, ["infovae"]])
def test_projection_that_is_not_there_is_refused(view: Any) -> None:
    with pytest.raises(BadInput, match="projection"):
        chosen_rows(POINTS, 3, {"polygon": EVERYWHERE, "view": view})


def test_confusions_count_every_labelled_sample_once_mistakes_first() -> None:
    rows = np.arange(len(POINTS.id))
    found = confusions(POINTS, rows)
    assert sum(count for _, _, count in found) == (POINTS.label >= 0).sum()
    right = [label == predicted for label, predicted, _ in found]
    assert right == sorted(right)
    for label, predicted, count in found:
        assert count == ((POINTS.label == label) & (POINTS.predicted == predicted)).sum()


def test_csv_has_ids_and_no_formula() -> None:
    rows = np.array([5, 0, 7])
    text = to_csv(POINTS, rows, CLASSES).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [int(line["id"]) for line in table] == POINTS.id[rows].tolist()
    assert [float(line["x"]) for line in table] == pytest.approx(POINTS.z[rows, 0], rel=1e-5)
    everything = list(csv.DictReader(io.StringIO(to_csv(POINTS, np.arange(300), CLASSES).decode())))
    assert {line["predicted"] for line in everything} == {"0", "<b>one</b>", "'=2+3"}
    assert everything[0]["label"] == "" and everything[0]["correct"] == ""
