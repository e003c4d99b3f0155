"""What travels to the browser: every array comes back as it was, and nothing large in JSON."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from standin import CLASSES, pretend

from introspect.ui.payload import (
    MISSING,
    content_key,
    pack_chart,
    pack_codes,
    pack_map,
    pack_score,
    picture_url,
    unpack_score,
    wide_chart,
)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pretend(tmp_path_factory.mktemp("thumbs"))


@pytest.fixture(scope="module")
def packed(atlas: Any) -> Any:
    return pack_map(atlas)


@pytest.fixture(scope="module")
def manifest(packed: Any) -> dict[str, Any]:
    return json.loads(packed.parts[packed.manifest])


def test_score_comes_back_within_half_a_level() -> None:
    values = np.random.default_rng(0).normal(-4, 2, 5000).astype(np.float32)
    levels, low, high = pack_score(values)
    back = unpack_score(levels, low, high)
    assert np.abs(back - values).max() <= (high - low) / 65534 / 2 + 1e-6
    assert low == values.min() and high == values.max()


def test_missing_values_stay_missing() -> None:
    values = np.array([0.0, np.nan, 1.0, np.inf, -np.inf], np.float32)
    levels, low, high = pack_score(values)
    assert (low, high) == (0.0, 1.0)
    assert (levels == MISSING).tolist() == [False, True, False, True, True]
    assert np.isnan(unpack_score(levels, low, high)).tolist() == [False, True, False, True, True]


@pytest.mark.parametrize("values", [[], [2.5, 2.5], [np.nan]])
def test_score_without_a_range_is_no_division_by_zero(values: list[float]) -> None:
    levels, low, high = pack_score(np.array(values, np.float32))
    assert high > low
    assert len(unpack_score(levels, low, high)) == len(values)


def test_codes_lie_one_after_the_other_and_no_label_is_one_past_the_last_class() -> None:
    points = SimpleNamespace(
        label=np.array([0, -1, 2]),
        predicted=np.array([1, 1, 2]),
        split=np.array([0, 1, 2], np.uint8),
    )
    assert pack_codes(points, 3) == (bytes([0, 3, 2, 1, 1, 2, 0, 1, 2]), "u1")


def test_many_classes_take_two_bytes_each() -> None:
    points = SimpleNamespace(
        label=np.array([299, -1]), predicted=np.array([0, 299]), split=np.zeros(2, np.uint8)
    )
    body, kind = pack_codes(points, 300)
    assert kind == "u2"
    assert np.frombuffer(body[:8], "<u2").tolist() == [299, 300, 0, 299]


def test_chart_levels_span_the_range_of_the_points_and_end_there() -> None:
    grid = np.array([[-50.0, -5.0], [-2.5, 7.0]], np.float32)
    estimates = np.array([-5.0] * 10 + [0.0] * 10 + [np.nan], np.float32)
    levels, low, high = pack_chart(SimpleNamespace(log_error=grid, extent=(0, 1, 0, 1)), estimates)
    assert (low, high) == (-5.0, 0.0)
    assert levels.tolist() == [[0, 0], [128, 255]]


def test_chart_reaches_beyond_the_points_on_all_sides(atlas: Any) -> None:
    x0, x1, y0, y1 = atlas.chart(2).extent
    chart = wide_chart(atlas)
    assert chart.extent == pytest.approx((-7.2, 7.2, -3.2, 3.2))
    assert chart.extent[0] < x0 and chart.extent[1] > x1
    assert chart.extent[2] < y0 and chart.extent[3] > y1


def test_manifest_names_parts_that_exist_under_the_hash_of_their_content(packed: Any) -> None:
    manifest = json.loads(packed.parts[packed.manifest])
    named = [
        manifest["codes"]["key"],
        manifest["ids"]["key"],
        manifest["chart"]["key"],
        *(entry["key"] for entry in (*manifest["views"], *manifest["scores"])),
        *manifest["thumbs"]["sheets"],
    ]
    assert {packed.manifest, *named} == set(packed.parts)
    for key, body in packed.parts.items():
        assert key == content_key(body.read_bytes() if isinstance(body, Path) else body)


def test_places_travel_as_exact_float32(atlas: Any, packed: Any, manifest: dict[str, Any]) -> None:
    assert [view["name"] for view in manifest["views"]] == ["infovae", "umap"]
    for view in manifest["views"]:
        z = np.frombuffer(packed.parts[view["key"]], "<f4").reshape(-1, 2)
        np.testing.assert_array_equal(z, atlas.points.views[view["name"]])


def test_ids_travel_only_when_they_are_not_the_row_numbers(
    atlas: Any, packed: Any, manifest: dict[str, Any]
) -> None:
    ids = np.frombuffer(packed.parts[manifest["ids"]["key"]], "<i4")
    np.testing.assert_array_equal(ids, atlas.points.id)
    plain = SimpleNamespace(**vars(atlas))
    plain.points = SimpleNamespace(**{**vars(atlas.points), "id": np.arange(len(ids))})
    plain_packed = pack_map(plain)
    assert json.loads(plain_packed.parts[plain_packed.manifest])["ids"] is None


def test_ids_beyond_32_bits_stay_exact(atlas: Any) -> None:
    far = SimpleNamespace(**vars(atlas))
    wanted = atlas.points.id + 2**40
    far.points = SimpleNamespace(**{**vars(atlas.points), "id": wanted})
    packed = pack_map(far)
    ids = json.loads(packed.parts[packed.manifest])["ids"]
    np.testing.assert_array_equal(np.frombuffer(packed.parts[ids["key"]], "<f8"), wanted)


def test_manifest_is_small_and_keeps_class_names_as_text(
    packed: Any, manifest: dict[str, Any]
) -> None:
    assert len(packed.parts[packed.manifest]) < 8_000
    assert tuple(manifest["classes"]) == CLASSES


def test_equal_atlases_have_equal_manifests(
    packed: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = pack_map(pretend(tmp_path_factory.mktemp("again")))
    assert again.manifest == packed.manifest


def test_atlas_without_pictures_has_no_sheets() -> None:
    packed = pack_map(pretend())
    assert json.loads(packed.parts[packed.manifest])["thumbs"] is None


@pytest.mark.parametrize("shape", [(12, 12), (12, 12, 3), (400, 300, 3)])
def test_picture_travels_as_a_small_png(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    head, body = picture_url(picture).split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert max(image.size) <= 160
        if max(shape) <= 160:
            np.testing.assert_array_equal(np.asarray(image), picture)
