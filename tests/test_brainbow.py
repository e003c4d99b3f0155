"""Expectations, preferences, order and colours of units; their strongest samples; silence."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from networks import seeded
from streamlit.testing.v1 import AppTest
from torch import nn

from introspect import library
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
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled
from introspect.plots import brainbow as brainbow_figure
from introspect.plots.palette import class_colours, rgb
from introspect.plugin import Progress
from introspect.samples import Samples
from introspect.ui import MAIN, nav, shelf
from introspect.ui.brainbow_payload import find_ways, pack_brainbow, pack_strongest, to_csv
from introspect.ui.brainbow_trial import Bench, run_trial, take
from introspect.ui.brainbow_work import Work
from introspect.ui.payload import unpack_score
from introspect.units import (
    choose_rows,
    find_strongest,
    read_strongest,
    silence,
    spread,
    strongest,
)

CLASSES = tuple(map(str, range(10)))
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
    from dataclasses import replace

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
    from dataclasses import replace

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
    from dataclasses import replace

    label = np.full(len(atlas.points), -1)
    bare = replace(atlas, points=replace(atlas.points, label=label))
    groups = Groups.of(bare)
    assert groups.by == "predicted"
    np.testing.assert_array_equal(groups.code, atlas.points.predicted)
    assert not np.isnan(sort_units(bare).expected).any()


def test_class_without_samples_is_left_out_and_says_so(atlas: Atlas) -> None:
    from dataclasses import replace

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
    from dataclasses import replace

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
    before, after = run_trial(atlas, ((4, None),))
    label = atlas.points.label[before.rows]
    lost = before.accuracy(label, 10) - after.accuracy(label, 10)
    assert lost.argmax() == 4 and lost[4] > 0.2
    assert spread(before, after) > 0.01
    again, _ = run_trial(atlas, ())
    np.testing.assert_array_equal(again.outputs, before.outputs)


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


# ---------------------------------------------------------------- what the page is given
def test_browser_gets_what_python_knows(atlas: Atlas) -> None:
    import json

    packed = pack_brainbow(atlas)
    manifest = json.loads(bytes(packed.parts[packed.manifest]))
    assert [way["name"] for way in manifest["ways"]] == ["decoder", "mean"]
    assert sum(layer["stop"] - layer["start"] for layer in manifest["layers"]) == 96
    assert manifest["samples"] == [
        int(((atlas.points.label == k) & (atlas.points.split == 0)).sum()) for k in range(10)
    ]
    for way in manifest["ways"]:
        found = sort_units(atlas, way["name"])
        levels = np.frombuffer(bytes(packed.parts[way["expected"]["key"]]), "<u2")
        seen = unpack_score(levels, way["expected"]["low"], way["expected"]["high"])
        np.testing.assert_allclose(seen.reshape(10, 96), found.expected, atol=1e-3)
        order = np.frombuffer(bytes(packed.parts[way["order"]]), "<i4")
        np.testing.assert_array_equal(order, found.order)
        colours = np.frombuffer(bytes(packed.parts[way["dark"]]), "u1").reshape(96, 3)
        np.testing.assert_array_equal(colours, found.painted(class_colours(10, dark=True)))


def test_strongest_samples_travel_with_ids_labels_and_values(atlas: Atlas) -> None:
    import json

    found = strongest(atlas)
    packed = pack_strongest(atlas, found)
    about = json.loads(bytes(packed.parts[packed.manifest]))
    body = bytes(packed.parts[about["key"]])
    size = found.rows.size
    ids = np.frombuffer(body, "<f8", size)
    np.testing.assert_array_equal(ids, atlas.points.id[found.rows].ravel())
    values = np.frombuffer(body, "<f4", size, offset=20 * size)
    np.testing.assert_array_equal(values, found.values.ravel())


def test_table_of_units_has_a_row_for_each(atlas: Atlas) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(find_ways(atlas)[0]).decode())))
    found = sort_units(atlas)
    assert len(rows) == 96
    row, unit = rows[40], 40
    layer, span = next((n, s) for n, s in found.spans.items() if s.start <= unit < s.stop)
    assert row["layer"] == layer and int(row["unit"]) == unit - span.start
    assert row["preferred_decoder"] == CLASSES[found.preferred[unit]]
    assert found.order[span.start + int(row["place_decoder"])] == unit
    told = [float(row[f"expected_decoder_{name}"]) for name in CLASSES]
    np.testing.assert_allclose(told, found.expected[:, unit], rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- the page
@pytest.fixture
def app(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The brainbow page on the small atlas of digits."""
    import shutil

    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    opened = AppTest.from_file(str(MAIN), default_timeout=60)
    opened.query_params["atlas"] = "digits"
    opened.run()
    return opened.switch_page(str(nav.page_files()["brainbow"])).run()


def parts(app: AppTest) -> dict[str, dict]:
    import json

    given = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return {one["code"].rpartition("/")[2]: one for one in given}


def test_page_shows_figure_sample_and_caption(app: AppTest) -> None:
    assert not app.exception
    given = parts(app)
    assert set(given) == {"brainbow.js", "brainbow_sample.js"}
    assert len(given["brainbow_sample.js"]["samples"]) == 1
    assert any("96 units in 3 layers" in element.value for element in app.caption)
    for element in app.get("bidi_component"):
        assert len(element.proto.json) < 1_000


def test_second_sample_is_shown_beside_the_first(app: AppTest) -> None:
    app.toggle[0].set_value(True).run()
    assert not app.exception
    titles = [one["title"] for one in parts(app)["brainbow_sample.js"]["samples"]]
    assert [title[:2] for title in titles] == ["A:", "B:"]


def test_units_fall_silent_and_come_back(app: AppTest) -> None:
    def button(start: str):
        return next(one for one in app.button if one.label.startswith(start))

    assert button("Undo").disabled
    button("Silence").click().run()
    given = parts(app)["brainbow_trial.js"]
    assert given["count"] == 300 and len(given["was"]) == 10
    assert given["now"][0] < given["was"][0]
    assert any("units are silent" in element.value for element in app.markdown)
    assert button("Silence").disabled
    button("Undo").click().run()
    assert "brainbow_trial.js" not in parts(app)
    assert not app.exception


def test_atlas_without_its_network_still_shows_its_layers(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app.run()
    assert not app.exception
    assert set(parts(app)) == {"brainbow.js"}
    assert sum("without its network" in element.value for element in app.info) == 2


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


def test_figure_leaves_units_as_trained_when_asked_and_refuses_other_colours() -> None:
    found = Brainbow.of(some_expectations(), SPANS, tuple("abcde"))
    picture = np.asarray(brainbow_figure.draw(found, colour="preferred", sort=False).data[0].z)
    wanted = [rgb(class_colours(5)[found.preferred[4 + line]]) for line in range(6)]
    assert [tuple(line) for line in picture[:, 12].tolist()] == wanted
    with pytest.raises(BadInput, match="mixture or preferred"):
        brainbow_figure.draw(found, colour="taste")


# ---------------------------------------------------------------- work in the background
def test_work_tells_how_far_it_is_and_stops_on_a_word() -> None:
    def endless(start: int, on_batch: Progress) -> int:
        done = start
        while on_batch(done, 100) is not False:
            done = min(99, done + 1)
        raise Cancelled("It was stopped.")

    work = Work.start("Counting", endless, 3)
    deadline = time.monotonic() + 30
    while work.done < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert work.done >= 5 and work.total == 100
    work.stop()
    with pytest.raises(Cancelled):
        work.future.result(30)


def test_stopped_trial_leaves_no_unit_silent() -> None:
    bench = Bench(groups=[(4, None)])
    bench.work = Work.start("Trying", _stopped)
    bench.work.future.exception(30)
    take(bench, bench.work)
    assert bench.groups == [] and bench.after is None
    assert "no unit is silenced" in bench.problem


def _stopped(on_batch: Progress) -> None:
    raise Cancelled("It was stopped.")
