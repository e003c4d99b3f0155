"""The samples that move a unit most, and what a network loses when units fall silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import seeded
from torch import nn

from introspect.atlas import Atlas
from introspect.brainbow import sort_units
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled
from introspect.samples import Samples
from introspect.ui.brainbow_trial import random_units, run_trial
from introspect.units import (
    choose_rows,
    find_strongest,
    read_strongest,
    silence,
    spread,
    strongest,
)

CLASSES = tuple(map(str, range(10)))


# ---------------------------------------------------------------- strongest samples
def test_strongest_samples_are_those_of_a_full_sort() -> None:
    h = np.random.default_rng(0).normal(size=(9000, 7)).astype(np.float16)
    found = find_strongest(h, 9)
    wanted = np.sort(h.astype(np.float32), 0)[::-1][:9].T
    np.testing.assert_array_equal(found.values, wanted)
    for unit in range(7):
        np.testing.assert_array_equal(h[found.rows[unit], unit].astype(np.float32), wanted[unit])


def test_fewer_samples_than_asked_for_are_all_given() -> None:
    assert find_strongest(np.eye(4, 3, dtype=np.float32)).rows.shape == (3, 4)


def test_strongest_samples_are_kept_and_a_stop_is_obeyed(atlas: Atlas) -> None:
    with pytest.raises(Cancelled):
        find_strongest(np.asarray(atlas.recording.h), on_batch=lambda done, total: False)
    found = strongest(atlas)
    again = read_strongest(atlas)
    assert again is not None
    np.testing.assert_array_equal(found.rows, again.rows)
    h = np.asarray(atlas.recording.h, np.float32)
    np.testing.assert_array_equal(found.values[:, 0], h.max(0))


# ---------------------------------------------------------------- silence
def test_nobody_silent_is_the_network_itself(atlas: Atlas) -> None:
    rows = choose_rows(atlas, 120)
    found = silence(atlas, np.zeros(0, np.int64), rows)
    np.testing.assert_allclose(found.z, atlas.z[rows], atol=1e-4)
    np.testing.assert_array_equal(found.predicted, atlas.points.predicted[rows])


def test_rows_are_labelled_test_samples_and_always_the_same(atlas: Atlas) -> None:
    rows = choose_rows(atlas, 50)
    assert (atlas.points.split[rows] == 2).all()
    np.testing.assert_array_equal(rows, choose_rows(atlas, 50))
    assert len(choose_rows(atlas)) == 300


def test_silent_unit_is_a_unit_with_no_way_out(atlas: Atlas) -> None:
    """The same as a network whose next layer reads zeros there."""
    import copy

    spans = list(atlas.engine.tap.spans.values())
    units = np.array([2, 5, 31])
    rows = choose_rows(atlas, 40)
    module = copy.deepcopy(atlas.classifier.module)
    following = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][1]
    with torch.no_grad():
        following.weight[:, units - spans[0].start] = 0
        wanted = atlas.classifier.link_outputs(module(atlas.samples.floats(rows)))
    found = silence(atlas, units, rows)
    np.testing.assert_allclose(found.outputs, wanted.numpy(), atol=1e-5)


def test_silencing_a_class_hurts_that_class_most_and_leaves_the_network_alone(
    atlas: Atlas,
) -> None:
    before, after, control = run_trial(atlas, ((4, None),))
    label = atlas.points.label[before.rows]
    lost = before.accuracy(label, 10) - after.accuracy(label, 10)
    assert lost.argmax() == 4 and lost[4] > 0.2
    assert spread(before, after) > 0.01
    assert (after.predicted == label).mean() < (control.predicted == label).mean()
    again, *others = run_trial(atlas, ())
    assert all(np.array_equal(again.outputs, other.outputs) for other in others)
    np.testing.assert_array_equal(again.outputs, before.outputs)


def test_control_takes_as_many_units_from_every_layer(atlas: Atlas) -> None:
    found = sort_units(atlas)
    units = found.units_of(4)
    drawn = random_units(found, units)
    assert len(np.unique(drawn)) == len(units) and set(drawn) != set(units)
    for span in found.spans.values():
        inside = [((one >= span.start) & (one < span.stop)).sum() for one in (units, drawn)]
        assert inside[0] == inside[1]


def test_bad_units_and_missing_networks_are_refused(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = choose_rows(atlas, 5)
    with pytest.raises(BadInput, match="units 0 to 95"):
        silence(atlas, np.array([96]), rows)
    with pytest.raises(Cancelled):
        silence(atlas, np.array([1]), rows, lambda done, total: False)
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    with pytest.raises(BadInput, match="without its network"):
        silence(atlas, np.array([1]), rows)


@pytest.fixture(scope="module")
def maps(digits: Samples) -> Atlas:
    """The atlas of a small untrained network of feature maps, all units of all places recorded."""
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10)
        )
    )
    classifier = Classifier.of(module.eval(), input_shape=(1, 8, 8), classes=CLASSES)
    return build_atlas(classifier, digits, name="maps", epochs=1)


def test_feature_map_falls_silent_everywhere(maps: Atlas) -> None:
    assert maps.engine.tap.p == 6
    rows = choose_rows(maps, 20)
    found = silence(maps, np.array([3]), rows)
    conv, relu, flatten, last = maps.classifier.module
    with torch.no_grad():
        held = relu(conv(maps.samples.floats(rows)))
        held[:, 3] = 0
        wanted = maps.classifier.link_outputs(last(flatten(held)))
    np.testing.assert_allclose(found.outputs, wanted.numpy(), atol=1e-5)
