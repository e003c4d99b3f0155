"""The constellation: against a slow literal twin, at its edges, and as the browser is given it."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from introspect.atlas import Absent, Atlas
from introspect.classifier import Classifier
from introspect.constellation import EXAMPLES, answer, estimate_errors, families, scatter
from introspect.corruptions.blur import Blur
from introspect.corruptions.rotation import Rotation
from introspect.errors import BadInput, Cancelled
from introspect.tap import Tap
from introspect.ui import constellation
from introspect.ui.constellation_payload import (
    draw_sprite,
    pack_constellation,
    to_csv,
    to_npz,
)

SIGMAS = [0.0, 0.1, 0.3]


@pytest.fixture(scope="module")
def x(atlas: Atlas) -> torch.Tensor:
    """A test sample that the network gets right."""
    samples = atlas.samples
    assert samples is not None
    return samples.floats([atlas.points.row_of("test:7")])[0]


# ---------------------------------------------------------------- what is computed
def test_constellation_is_what_locate_says_of_every_copy_on_its_own(
    atlas: Atlas, x: torch.Tensor
) -> None:
    found = scatter(atlas, x, SIGMAS, copies=6, seed=11)
    noise = torch.randn(6, *x.shape, generator=torch.Generator().manual_seed(11))
    start, errors = atlas.locate(x[None]), estimate_errors(atlas, found)
    kept, shift = [], []
    for s, sigma in enumerate(SIGMAS):
        same, way = 0, 0.0
        for c in range(6):
            one = atlas.engine.locate((x + sigma * noise[c])[None])
            np.testing.assert_allclose(found.z[s, c], one.z[0], atol=2e-5)
            np.testing.assert_allclose(found.outputs[s, c], one.outputs[0], atol=2e-5)
            assert errors[s, c] == pytest.approx(float(one.log_error_map[0]), abs=2e-4)
            same += int(one.predicted[0] == start.predicted[0])
            way += math.dist(one.z[0], start.z[0])
        kept.append(same / 6)
        shift.append(way / 6)
    np.testing.assert_allclose(found.kept, kept, atol=1e-9)
    np.testing.assert_allclose(found.shift, shift, atol=5e-5)
    assert found.source == int(start.predicted[0])


def test_without_noise_all_copies_lie_at_the_clean_place_and_keep_their_class(
    atlas: Atlas, x: torch.Tensor
) -> None:
    found = scatter(atlas, x, [0.0], copies=200)
    np.testing.assert_array_equal(found.z[0], np.broadcast_to(found.clean, (200, 2)))
    assert found.kept[0] == 1 and found.shift[0] == 0
    np.testing.assert_allclose(found.clean, atlas.locate(x[None]).z[0], atol=1e-5)


def test_hardly_any_noise_lands_where_none_does(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [0.0, 1e-7], copies=50)
    np.testing.assert_allclose(found.z[1], found.z[0], atol=1e-4)
    assert found.kept[1] == 1


def test_more_noise_scatters_further_and_keeps_less(atlas: Atlas) -> None:
    samples = atlas.samples
    assert samples is not None
    rows = np.flatnonzero((atlas.points.split == 2) & atlas.points.correct)[:12]
    each = [scatter(atlas, samples.floats([r])[0], [0.05, 0.2, 0.6], 40) for r in rows]
    shift = np.mean([found.shift for found in each], 0)
    kept = np.mean([found.kept for found in each], 0)
    assert shift[0] < shift[1] < shift[2]
    assert kept[0] > kept[1] > kept[2]


def test_two_models_are_shown_the_same_copies(atlas: Atlas, cnn: Classifier, x) -> None:
    # Another network under the same map: its places mean nothing, its copies and answers do.
    other = replace(atlas, engine=replace(atlas.engine, tap=Tap(cnn)))
    first, second = (scatter(one, x, SIGMAS, 10, seed=4) for one in (atlas, other))
    np.testing.assert_array_equal(first.examples, second.examples)
    assert not np.array_equal(first.outputs, second.outputs)
    again = scatter(atlas, x, SIGMAS, 10, seed=4)
    np.testing.assert_array_equal(first.z, again.z)
    assert not np.array_equal(first.z, scatter(atlas, x, SIGMAS, 10, seed=5).z)


def test_examples_are_the_first_copies_as_the_network_got_them(atlas: Atlas, x) -> None:
    found = scatter(atlas, x, SIGMAS, copies=20, seed=2)
    noise = torch.randn(20, *x.shape, generator=torch.Generator().manual_seed(2))
    assert found.examples.shape == (3, EXAMPLES, *x.shape)
    np.testing.assert_allclose(found.examples[2], (x + 0.3 * noise[:EXAMPLES]).numpy(), atol=1e-6)
    cut = scatter(atlas, x, SIGMAS, copies=20, seed=2, clip=True)
    np.testing.assert_allclose(cut.examples, found.examples.clip(0, 1), atol=1e-6)
    assert found.examples.min() < 0 <= cut.examples.min()


def test_batches_leave_no_trace(
    atlas: Atlas, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scatter(atlas, x, SIGMAS, copies=23)
    monkeypatch.setattr("introspect.constellation.BATCH", 5)
    parts = scatter(atlas, x, SIGMAS, copies=23)
    np.testing.assert_allclose(parts.z, whole.z, atol=2e-5)
    np.testing.assert_allclose(parts.outputs, whole.outputs, atol=2e-5)


def test_what_draws_nothing_makes_one_copy_a_level(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [0.0, 0.5, 2.0], copies=200, corruption=Blur())
    assert found.z.shape == (3, 1, 2) and found.corruption == "blur"
    assert set(found.kept) <= {0.0, 1.0} and found.kept[0] == 1


@pytest.mark.parametrize("name", families())
def test_every_corruption_scatters_a_picture(atlas: Atlas, x: torch.Tensor, name: str) -> None:
    kind = families()[name]
    found = scatter(atlas, x, kind.grid(), copies=5, corruption=kind)
    assert found.corruption == name
    assert np.isfinite(found.z).all() and found.shift[-1] > found.shift[0] == 0


def test_arrays_cannot_be_changed(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [0.1], copies=3)
    for value in (found.z, found.outputs, found.clean, found.examples, found.x):
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0


def test_progress_is_told_and_a_stop_is_obeyed(
    atlas: Atlas, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("introspect.constellation.BATCH", 100)
    told: list[tuple[int, int]] = []
    scatter(atlas, x, SIGMAS, 300, on_batch=lambda done, total: told.append((done, total)))
    assert len(told) >= 5 and told[-1] == (601, 601)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    with pytest.raises(Cancelled):
        scatter(atlas, x, SIGMAS, 300, on_batch=lambda done, total: done > 9999)


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("sigma", "said"),
    [
        (-0.1, "means nothing"),
        (float("nan"), "means nothing"),
        (float("inf"), "means nothing"),
        (1e38, "overflow"),
    ],
)
def test_noise_that_cannot_be_is_refused(atlas: Atlas, x, sigma: float, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        scatter(atlas, x, [0.0, sigma], copies=5)


def test_huge_noise_is_placed_as_it_is(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [1000.0], copies=50)
    assert np.isfinite(found.z).all() and found.kept[0] < 0.9 and found.shift[0] > 1


def test_samples_that_cannot_be_placed_are_refused(atlas: Atlas, x: torch.Tensor) -> None:
    broken = x.clone()
    broken[0, 2, 2] = float("nan")
    for wrong, said in (
        (broken, "NaN"),
        (broken.numpy(), "NaN"),
        (torch.zeros(1, 9, 9), "pixels"),
        (torch.zeros(2, 1, 8, 8), "one sample"),
    ):
        with pytest.raises(BadInput, match=said):
            scatter(atlas, wrong, [0.1], copies=2)


@pytest.mark.parametrize("copies", (0, -3, 100_001))
def test_a_senseless_number_of_copies_is_refused(atlas: Atlas, x, copies: int) -> None:
    with pytest.raises(BadInput, match="choose from 1"):
        scatter(atlas, x, [0.1], copies=copies)


def test_atlas_without_network_is_refused(atlas: Atlas, x: torch.Tensor) -> None:
    classifier = replace(atlas.classifier, module=Absent())
    tap = object.__new__(Tap)
    tap.__dict__.update(vars(atlas.engine.tap) | {"classifier": classifier})
    with pytest.raises(BadInput, match="without its network"):
        scatter(replace(atlas, engine=replace(atlas.engine, tap=tap)), x, [0.1])


@pytest.fixture(scope="module")
def table(atlas: Atlas) -> Atlas:
    """The same network and map reading rows of 64 numbers instead of pictures."""
    classifier = Classifier.of(
        atlas.classifier.module, input_shape=(64,), classes=atlas.classes, link="sigmoid"
    )
    return replace(atlas, engine=replace(atlas.engine, tap=Tap(classifier)))


def test_a_table_gets_the_noise_of_its_picture_and_nothing_else(
    table: Atlas, atlas: Atlas, x: torch.Tensor
) -> None:
    rows = scatter(table, x.reshape(64), SIGMAS, copies=8)
    pictures = scatter(atlas, x, SIGMAS, copies=8)
    np.testing.assert_allclose(rows.z, pictures.z, atol=2e-5)
    with pytest.raises(BadInput, match="for pictures"):
        scatter(table, x.reshape(64), [5.0], corruption=Rotation())
    offered = [n for n, kind in families().items() if constellation.fits(kind, (64,))]
    assert offered == ["noise"]


# ---------------------------------------------------------------- the command's answer
def test_answer_is_that_of_the_recorded_sample(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [0.2], copies=30, seed=3)
    said = answer(atlas, "test:7", 0.2, 30, 3)
    assert said == {"kept": float(found.kept[0]), "mean_shift": float(found.shift[0])}
    identity = int(atlas.points.id[atlas.points.row_of("test:7")])
    assert answer(atlas, str(identity), 0.2, 30, 3) == said
    assert answer(atlas, identity, 0.0) == {"kept": 1.0, "mean_shift": 0.0}


@pytest.mark.parametrize("sample", ("nobody", "test:999999", "99999999"))
def test_answer_about_an_unknown_sample_is_refused(atlas: Atlas, sample: str) -> None:
    with pytest.raises(BadInput, match="no sample"):
        answer(atlas, sample, 0.1)


# ---------------------------------------------------------------- as the browser is given it
def test_payload_holds_places_classes_shares_and_pictures(atlas: Atlas, x: torch.Tensor) -> None:
    kind = families()["noise"]
    found = scatter(atlas, x, kind.grid(), copies=30)
    packed = pack_constellation([found, found], ["a", "b"], ["m", "n"], kind, "#7")
    manifest = json.loads(bytes(packed.parts[packed.manifest]))
    assert manifest["levels"] == list(kind.grid()) and manifest["copies"] == 30
    panel = manifest["panels"][1]
    assert (panel["name"], panel["map"]) == ("b", "n")
    z = np.frombuffer(packed.parts[panel["z"]], "<f4").reshape(found.z.shape)
    np.testing.assert_array_equal(z, found.z)
    codes = np.frombuffer(packed.parts[panel["codes"]["key"]], "u1")
    np.testing.assert_array_equal(codes.reshape(found.predicted.shape), found.predicted)
    np.testing.assert_allclose(panel["kept"], found.kept)
    sprite = manifest["sprite"]
    sheet = np.asarray(Image.open(io.BytesIO(packed.parts[sprite["key"]])))
    last = len(kind.grid()) - 1
    tile = sheet[8 * last : 8 * last + 8, 8 * 3 : 8 * 4]
    wanted = np.round(found.examples[last, 2, 0].clip(0, 1) * 255)
    np.testing.assert_array_equal(tile, wanted)
    np.testing.assert_array_equal(sheet[:8, :8], np.round(x[0].numpy() * 255))


def test_table_has_no_pictures_to_send(table: Atlas, x: torch.Tensor) -> None:
    found = scatter(table, x.reshape(64), SIGMAS, copies=3)
    packed = pack_constellation([found], ["t"], ["m"], families()["noise"], "#7")
    assert json.loads(bytes(packed.parts[packed.manifest]))["sprite"] is None


def test_large_colour_pictures_are_sent_small(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, [0.1], copies=2)
    large = replace(
        found,
        x=np.ones((3, 200, 300), np.float32),
        examples=np.zeros((1, 2, 3, 200, 300), np.float32),
    )
    sheet, width, height, columns = draw_sprite(large)
    assert max(width, height) <= 96 and columns == 3
    assert sheet.shape == (height, 3 * width, 3)
    assert (sheet[:, :width] == 255).all() and (sheet[:, width:] == 0).all()


def test_downloads_hold_every_copy(atlas: Atlas, x: torch.Tensor) -> None:
    found = scatter(atlas, x, SIGMAS, copies=4)
    atlases = [replace(atlas, name="=one"), atlas]
    lines = list(csv.DictReader(io.StringIO(to_csv([found, found], atlases).decode())))
    assert len(lines) == 2 * 3 * 4
    assert lines[0]["atlas"] == "'=one" and float(lines[-1]["level"]) == 0.3
    assert float(lines[-1]["z1"]) == pytest.approx(float(found.z[-1, -1, 0]), rel=1e-4)
    said = atlas.locate(x[None])
    assert float(lines[0]["log_error_map"]) == pytest.approx(float(said.log_error_map[0]), abs=1e-3)
    assert float(lines[0]["output"]) == pytest.approx(float(said.outputs.max()), abs=1e-4)
    with np.load(io.BytesIO(to_npz([found, found], atlases))) as kept:
        np.testing.assert_array_equal(kept["z_2"], found.z)
        np.testing.assert_allclose(kept["kept"], found.kept)
        assert str(kept["atlas"]) == "=one" and str(kept["corruption"]) == "noise"
