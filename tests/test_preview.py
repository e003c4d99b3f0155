"""The small picture on a card: where points are, in their class's colour."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from shelves import put

from introspect import store
from introspect.plots.palette import class_colours
from introspect.ui import preview


def rgb(code: str) -> list[int]:
    return list(bytes.fromhex(code[1:]))


def test_single_point_is_one_pixel_of_its_class_in_the_middle() -> None:
    picture = preview.paint(np.zeros((1, 2), np.float32), np.array([3]))
    rows, columns = np.nonzero(picture[..., 3])
    assert (rows.tolist(), columns.tolist()) == ([preview.HEIGHT // 2], [preview.WIDTH // 2])
    assert picture[rows[0], columns[0], :3].tolist() == rgb(class_colours(4)[3])


def test_up_on_the_map_is_up_in_the_picture_and_right_is_right() -> None:
    z = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]], np.float32)
    picture = preview.paint(np.repeat(z, 50, 0), np.repeat(np.arange(4), 50))
    place = {}
    for k, code in enumerate(class_colours(4)):
        rows, columns = np.nonzero((picture[..., :3] == rgb(code)).all(-1) & (picture[..., 3] > 0))
        place[k] = (rows.mean(), columns.mean())
    assert place[1][0] < place[2][0] == place[3][0] < place[0][0]
    assert place[2][1] < place[0][1] == place[1][1] < place[3][1]


def test_one_stray_does_not_make_the_rest_a_dot() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 2)).astype(np.float32)
    label = np.zeros(2000, np.int64)
    z[0] = 1e4
    rows, columns = np.nonzero(preview.paint(z, label)[..., 3])
    assert np.ptp(rows) > 0.8 * preview.HEIGHT


def test_more_points_on_a_pixel_are_less_see_through() -> None:
    z = np.array([[0, 0]] * 30 + [[1, 0]] * 5, np.float32)
    picture = preview.paint(z, np.zeros(35, np.int64))
    faint, strong = sorted(picture[..., 3][picture[..., 3] > 0].tolist())
    assert faint < strong == 255


def test_samples_without_label_are_grey_and_degenerate_maps_are_drawn() -> None:
    picture = preview.paint(np.full((5, 2), 7, np.float32), np.full(5, -1))
    [colour] = picture[picture[..., 3] > 0][:, :3].tolist()
    assert colour == rgb(preview.UNLABELLED)


def test_stored_atlas_gives_a_png_of_the_stated_size(tmp_path) -> None:
    version = store.open_folder(put(tmp_path / "a.atlas"))
    with Image.open(io.BytesIO(preview.draw(version / "points.parquet"))) as image:
        assert (image.format, image.size) == ("PNG", (preview.WIDTH, preview.HEIGHT))
        assert image.mode == "RGBA"
