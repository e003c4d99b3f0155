"""Expectations, preferences, order and colours of units, and the figure of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from introspect.atlas import Atlas
from introspect.brainbow import (
    Brainbow,
    Centres,
    Groups,
    activate,
    colour_range,
    column,
    find_centres,
    find_means,
    integrate,
    linear,
    mix,
    paint,
    sort_units,
)
from introspect.errors import BadInput
from introspect.plots import brainbow as brainbow_figure
from introspect.plots import layer_counts
from introspect.plots.palette import class_colours, rgb

SPANS = {"a": slice(0, 4), "b": slice(4, 10)}


def some_expectations(k: int = 5, p: int = 10) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(k, p)).astype(np.float32)


# ---------------------------------------------------------------- eq. 8
def test_riemann_sum_is_that_of_the_paper_written_out() -> None:
    z = np.random.default_rng(0).normal(0.3, 0.4, (25, 2))
    found, mass = integrate(z, 2.5, 0.125)
    width = np.maximum(z.std(0) * 25 ** (-1 / 6), 0.75 * 0.125)
    wanted, whole = reference.expected_place(z, 2.5, 0.125, (width[0], width[1]))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert mass == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_riemann_sum_is_the_mean_of_the_class_within_two_hundredths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = (rng.uniform(-1.5, 1.5, 2) + rng.gamma(2, 0.25, (900, 2))).astype(np.float32)
    found, mass = integrate(z)
    assert np.abs(found - z.mean(0)).max() <= 0.02
    assert 0.99 <= mass <= 1.01


def test_even_a_single_point_has_its_own_place() -> None:
    found, mass = integrate(np.float32([[0.51, -1.27]]))
    np.testing.assert_allclose(found, [0.51, -1.27], atol=1e-3)
    assert mass == pytest.approx(1, abs=1e-3)


def test_window_widens_until_it_holds_the_classes(atlas: Atlas) -> None:
    far = replace(atlas, points=replace(atlas.points, z=atlas.points.z * 19, views={}))
    near, wide = find_centres(atlas), find_centres(far)
    assert near.half.min() == 4 and wide.half.min() > 8
    assert min(near.mass.min(), wide.mass.min()) >= 0.99
    np.testing.assert_allclose(wide.z / 19, near.z, atol=0.05)


def test_centres_of_an_atlas_are_the_means_of_its_training_samples(atlas: Atlas) -> None:
    centres = find_centres(atlas)
    assert isinstance(centres, Centres)
    points = atlas.points
    for k in range(10):
        rows = (points.label == k) & (points.split == 0)
        assert np.abs(centres.z[k] - points.z[rows].mean(0)).max() <= 0.02
        assert 0.99 <= centres.mass[k] <= 1.01


# ---------------------------------------------------------------- E[h|H]
def test_decoder_is_asked_at_the_centres(atlas: Atlas) -> None:
    found = sort_units(atlas, "decoder")
    wanted = atlas.lift(find_centres(atlas).z.astype(np.float32))
    np.testing.assert_array_equal(found.expected, wanted)


def test_sample_means_read_and_measured_are_the_means_of_the_activations(atlas: Atlas) -> None:
    h = np.asarray(atlas.recording.h, np.float64)
    points = atlas.points
    wanted = [h[(points.label == k) & (points.split == 0)].mean(0) for k in range(10)]
    np.testing.assert_allclose(find_means(atlas), wanted, atol=2e-3)
    without = replace(atlas, folder=None, made_of=atlas.samples)
    np.testing.assert_allclose(find_means(without), wanted, atol=2e-3)


def test_both_ways_agree_on_most_units_of_a_map_that_fits(atlas: Atlas) -> None:
    decoder, mean = sort_units(atlas, "decoder"), sort_units(atlas, "mean")
    assert (decoder.preferred == mean.preferred).mean() > 0.6
    assert np.corrcoef(decoder.expected.ravel(), mean.expected.ravel())[0, 1] > 0.9


def test_samples_without_labels_are_grouped_by_prediction(atlas: Atlas) -> None:
    label = np.full(len(atlas.points), -1)
    bare = replace(atlas, points=replace(atlas.points, label=label))
    groups = Groups.of(bare)
    assert groups.by == "predicted"
    np.testing.assert_array_equal(groups.code, atlas.points.predicted)
    assert not np.isnan(sort_units(bare).expected).any()


def test_class_without_samples_is_left_out_and_says_so(atlas: Atlas) -> None:
    label = np.where(atlas.points.label == 3, -1, atlas.points.label)
    less = replace(atlas, points=replace(atlas.points, label=label))
    for way in ("decoder", "mean"):
        found = sort_units(less, way)
        assert np.isnan(found.expected[3]).all()
        assert not np.isnan(found.expected[[0, 9]]).any()
        assert (found.preferred != 3).all()
        assert found.painted(class_colours(10)).any()


def test_unknown_way_is_refused(atlas: Atlas) -> None:
    with pytest.raises(BadInput, match="decoder or mean"):
        sort_units(atlas, "magic")


def test_damaged_table_of_means_is_told(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "classes.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(BadInput, match="classes.parquet"):
        find_means(replace(atlas, folder=tmp_path))


# ---------------------------------------------------------------- eq. 10
def test_preferred_class_is_that_of_the_paper_written_out() -> None:
    expected = some_expectations()
    found = Brainbow.of(expected, SPANS, "abcde")
    assert found.preferred.tolist() == [reference.preferred_class(expected, u) for u in range(10)]


def test_order_sorts_every_layer_by_class_and_then_by_strength() -> None:
    expected = some_expectations(p=200)
    spans = {"a": slice(0, 80), "b": slice(80, 200)}
    found = Brainbow.of(expected, spans, "abcde")
    assert sorted(found.order.tolist()) == list(range(200))
    for span in spans.values():
        units = found.order[span]
        assert set(units.tolist()) == set(range(span.start, span.stop))
        liked = found.preferred[units]
        assert (np.diff(liked) >= 0).all()
        strength = expected[liked, units]
        assert (np.diff(strength)[np.diff(liked) == 0] <= 0).all()


def test_unit_that_answers_all_alike_prefers_none_and_comes_last() -> None:
    expected = some_expectations()
    expected[:, [1, 6]] = 0.7
    found = Brainbow.of(expected, SPANS, "abcde")
    assert found.preferred[[1, 6]].tolist() == [-1, -1]
    assert (found.order[3], found.order[9]) == (1, 6)
    assert found.counts().sum(1).tolist() == [4, 6]
    assert found.counts()[:, -1].tolist() == [1, 1]


def test_groups_of_units_cover_every_unit_once() -> None:
    found = Brainbow.of(some_expectations(), SPANS, "abcde")
    every = np.concatenate([found.units_of(k) for k in range(5)])
    assert sorted(every.tolist()) == list(range(10))
    for k in range(5):
        parts = [found.units_of(k, layer) for layer in SPANS]
        np.testing.assert_array_equal(np.concatenate(parts), found.units_of(k))


def test_column_puts_activations_into_the_sorted_order(atlas: Atlas) -> None:
    found = sort_units(atlas)
    x = atlas.samples.floats([3, 5])
    h = activate(atlas, x)
    assert h.shape == (2, 96)
    sorted_h = column(found, h)
    np.testing.assert_array_equal(sorted_h, h[:, found.order])
    assert torch.equal(column(found, torch.from_numpy(h)), torch.from_numpy(sorted_h))
    low, high = colour_range(found)
    assert low <= -1 and high >= 4


def test_own_class_is_brighter_than_others_in_the_sorted_network(atlas: Atlas) -> None:
    found = sort_units(atlas)
    rows = np.flatnonzero(atlas.points.correct & (atlas.points.split == 2))
    h = activate(atlas, atlas.samples.floats(rows))
    layer = list(found.spans)[-1]
    own, others = [], []
    for i, row in enumerate(rows):
        units = found.units_of(int(atlas.points.label[row]), layer)
        if len(units):
            own.append(h[i, units].mean())
            others.append(h[i, found.spans[layer]].mean())
    assert len(own) > 100 and np.mean(own) > np.mean(others) + 0.2


# ---------------------------------------------------------------- eq. 11
def test_mixture_is_that_of_the_paper_written_out() -> None:
    expected, colours = some_expectations(), np.random.default_rng(2).random((5, 3))
    wanted = [reference.mixture(expected, colours, unit) for unit in range(10)]
    np.testing.assert_allclose(mix(expected, colours), wanted, atol=1e-6)


def test_unit_of_one_class_gets_that_hue_and_an_equal_one_the_mean_colour() -> None:
    colours = np.stack([linear(colour) for colour in class_colours(4)])
    expected = np.float32([[2, 1], [0, 1], [0, 1], [0, 1]])
    one, equal = mix(expected, colours)
    np.testing.assert_allclose(one / one.max(), colours[0] / colours[0].max(), atol=1e-6)
    np.testing.assert_allclose(equal, colours.mean(0), atol=1e-6)


def test_identical_colours_give_that_colour_times_the_mean() -> None:
    colour = np.float64([0.2, 0.5, 0.9])
    expected = some_expectations()
    found = mix(expected, np.tile(colour, (5, 1)))
    np.testing.assert_allclose(found, expected.mean(0)[:, None] * colour, atol=1e-6)


def test_painted_layers_are_bright_whatever_their_scale_and_negative_is_black() -> None:
    alpha = np.abs(np.random.default_rng(3).normal(size=(200, 3)))
    alpha[100:] *= 1e-4
    alpha[7] = -1
    shown = paint(alpha, {"a": slice(0, 100), "b": slice(100, 200)})
    assert shown[7].tolist() == [0, 0, 0]
    assert shown[:100].max() == 255 and shown[100:].max() == 255
    assert not paint(np.zeros((4, 3)), {"a": slice(0, 4)}).any()


# ---------------------------------------------------------------- the figure for notebooks
@pytest.mark.parametrize("dark", [False, True])
def test_figure_shows_every_unit_of_every_layer_in_its_colour(dark: bool) -> None:
    found = Brainbow.of(some_expectations(), SPANS, tuple("abcde"))
    picture = np.asarray(brainbow_figure.draw(found, dark=dark).data[0].z)
    painted = found.painted(class_colours(5, dark))
    assert picture.shape[0] == 6
    for line in range(6):
        assert picture[line, 12].tolist() == painted[found.order[4 + line]].tolist()
        assert picture[line, 3].tolist() == painted[found.order[line * 4 // 6]].tolist()


def test_both_figures_count_layers_from_one() -> None:
    found = Brainbow.of(some_expectations(), SPANS, tuple("abcde"))
    assert list(brainbow_figure.draw(found).layout.xaxis.ticktext) == ["1", "2"]
    assert [list(bar.x) for bar in layer_counts.draw(found).data] == [["1", "2"]] * 5


def test_figure_leaves_units_as_trained_when_asked_and_refuses_other_colours() -> None:
    found = Brainbow.of(some_expectations(), SPANS, tuple("abcde"))
    picture = np.asarray(brainbow_figure.draw(found, colour="preferred", sort=False).data[0].z)
    wanted = [rgb(class_colours(5)[found.preferred[4 + line]]) for line in range(6)]
    assert [tuple(line) for line in picture[:, 12].tolist()] == wanted
    with pytest.raises(BadInput, match="mixture or preferred"):
        brainbow_figure.draw(found, colour="taste")
