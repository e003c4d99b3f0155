"""What was drawn round: the right samples, whatever the browser says."""

from __future__ import annotations

import csv
import io
import math
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion
from standin import CLASSES, pretend

from introspect.errors import BadInput
from introspect.ui.confusion_matrix import to_html
from introspect.ui.selection import (
    chosen_rows,
    confusion_matrix,
    confusions,
    confusions_csv,
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


def of_pairs(pairs: list[tuple[int, int]]) -> Any:
    """Points with these labels and answers."""
    label, predicted = np.array(pairs, np.int64).T
    return SimpleNamespace(label=label, predicted=predicted)


def test_confusion_matrix_is_scikit_learn_s_over_the_classes_present() -> None:
    rng = np.random.default_rng(4)
    present = np.array([3, 5, 40, 77])
    points = of_pairs([tuple(pair) for pair in present[rng.integers(0, 4, (500, 2))]])
    points.label[::9] = -1
    found = confusion_matrix(points, np.arange(500))
    known = points.label >= 0
    wanted = sklearn_confusion(points.label[known], points.predicted[known], labels=present)
    assert found.codes == tuple(present) and found.others == 0
    np.testing.assert_array_equal(found.counts, wanted)


def test_rare_classes_of_a_hundred_are_summed_and_no_sample_is_lost() -> None:
    rng = np.random.default_rng(5)
    common = rng.integers(0, 12, (4000, 2)) * 3
    rare = rng.integers(50, 100, (300, 2))
    points = of_pairs([tuple(pair) for pair in np.concatenate([common, rare])])
    found = confusion_matrix(points, np.arange(4300))
    assert found.codes == tuple(range(0, 36, 3)) and found.others == 50
    assert found.counts.shape == (13, 13) and found.counts[12, 12] == 300
    wanted = sklearn_confusion(common[:, 0], common[:, 1], labels=range(0, 36, 3))
    np.testing.assert_array_equal(found.counts[:12, :12], wanted)


def test_confusion_matrix_of_nothing_labelled_is_empty() -> None:
    found = confusion_matrix(of_pairs([(-1, 2), (-1, 0)]), np.arange(2))
    assert found.codes == () and found.counts.sum() == 0


def test_confusion_table_shows_names_as_text_and_every_count() -> None:
    found = confusion_matrix(POINTS, np.arange(300))
    shown = ElementTree.fromstring(to_html(found, CLASSES))
    heads = [node.text for node in shown.iter("th")]
    assert heads.count("<b>one</b>") == 2 and "other" not in heads
    cells = [[cell.text or "" for cell in line.iter("td")] for line in shown.iter("tr")][1:]
    counts = [[int(text.replace("·", "0")) for text in line] for line in cells]
    np.testing.assert_array_equal(np.array(counts)[:3, :3], found.counts)
    np.testing.assert_array_equal(np.array(counts)[3, :3], found.counts.sum(0))
    np.testing.assert_array_equal(np.array(counts)[:3, 3], found.counts.sum(1))


def test_confusions_can_be_kept_whole() -> None:
    text = confusions_csv(POINTS, np.arange(300), CLASSES).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(line["count"]) for line in lines) == (POINTS.label >= 0).sum()
    assert {line["predicted"] for line in lines} == {"0", "<b>one</b>", "'=2+3"}


def test_csv_has_ids_and_no_formula() -> None:
    rows = np.array([5, 0, 7])
    text = to_csv(POINTS, rows, CLASSES).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [int(line["id"]) for line in table] == POINTS.id[rows].tolist()
    assert [float(line["x"]) for line in table] == pytest.approx(POINTS.z[rows, 0], rel=1e-5)
    everything = list(csv.DictReader(io.StringIO(to_csv(POINTS, np.arange(300), CLASSES).decode())))
    assert {line["predicted"] for line in everything} == {"0", "<b>one</b>", "'=2+3"}
    assert everything[0]["label"] == "" and everything[0]["correct"] == ""
