"""Choosing one input: by id, by chance, from the map's pin, drawn or uploaded."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from standin import pretend
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.ui import components, shelf
from introspect.ui.chooser import Chosen, enlarge, pick, stored, to_picture
from introspect.ui.desk import Desk


@pytest.fixture
def home(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with the small atlas of digits."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    yield tmp_path
    shelf.changed()


def script() -> None:
    import streamlit as st

    from introspect.ui import chooser, session

    st.session_state.got = None
    st.session_state.got = chooser.choose(session.atlas(), "test")


def opened(**query: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=60)
    app.query_params.update({"atlas": "digits", **query})
    app.run()
    assert not app.exception
    return app


def got(app: AppTest) -> Chosen:
    assert not app.exception
    return app.session_state.got


def button(app: AppTest, label: str) -> Any:
    return next(found for found in app.button if found.label == label)


# ---------------------------------------------------------------- stored samples
def test_sample_named_by_its_id_or_its_place_in_a_split_is_chosen(home: Path, atlas: Atlas) -> None:
    test = np.flatnonzero(atlas.points.split == 2)
    app = opened()
    assert got(app).row == test[0]
    app.text_input[0].set_value("17").run()
    row, x, label, title = got(app)
    assert (row, label) == (17, atlas.points.label[17]) and title.startswith("#17, ")
    assert x.dtype == np.float32 and x.shape == (1, 8, 8)
    np.testing.assert_array_equal(np.round(x[0] * 255), atlas.picture(17))
    app.text_input[0].set_value("test:5").run()
    assert got(app).row == test[5]
    assert app.query_params["sample"] == str(atlas.points.id[test[5]])


def test_link_opens_the_sample_it_names(home: Path) -> None:
    assert got(opened(sample="23")).row == 23


@pytest.mark.parametrize("text", ["", "nine", "99999", "-1", "test:99999", "exam:3", "<b>"])
def test_sample_that_does_not_exist_is_told_and_the_last_one_stays(home: Path, text: str) -> None:
    app = opened(sample="23")
    app.text_input[0].set_value(text).run()
    assert got(app).row == 23
    assert len(app.error) == 1 and "There is no sample" in app.error[0].value
    assert app.text_input[0].value == "23"
    assert not app.run().error


@pytest.mark.parametrize(("label", "correct"), [("Right", True), ("Wrong", False)])
def test_random_sample_is_of_the_wanted_kind_and_from_the_test_split(
    home: Path, atlas: Atlas, label: str, correct: bool
) -> None:
    app = opened()
    rows = [got(button(app, label).click().run()).row for _ in range(4)]
    assert all(atlas.points.correct[row] == correct for row in rows)
    assert all(atlas.points.split[row] == 2 for row in rows)


def test_random_samples_cover_what_there_is_and_nothing_else() -> None:
    atlas = pretend(n=300)
    points = atlas.points
    random = np.random.default_rng(0)
    test = points.split == 2
    for kind, fits in (
        ("any", test),
        ("right", test & (points.label == points.predicted)),
        ("wrong", test & (points.label >= 0) & (points.label != points.predicted)),
    ):
        assert {pick(atlas, kind, random) for _ in range(3000)} == set(np.flatnonzero(fits))


def test_no_wrong_answer_at_all_is_told_in_a_sentence() -> None:
    atlas = pretend(n=60)
    atlas.points.predicted = atlas.points.label
    with pytest.raises(BadInput, match="No sample of this atlas is answered wrong"):
        pick(atlas, "wrong", np.random.default_rng(0))


def test_pinned_sample_of_the_map_is_offered(home: Path, atlas: Atlas) -> None:
    app = opened(sample="3")
    assert "Pinned" not in [found.label for found in app.button]
    desk = Desk(atlas.fingerprint[:12], pinned=41)
    app.session_state[f"desk-{desk.name}"] = desk
    app.run()
    assert got(button(app, "Pinned").click().run()).row == 41


def test_atlas_without_inputs_says_so() -> None:
    atlas = pretend(n=20)
    atlas.kept = None
    with pytest.raises(BadInput, match="came without its inputs"):
        stored(atlas, 3)


# ---------------------------------------------------------------- new pictures
def test_drawing_is_chosen_as_it_was_drawn_and_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.arange(64, dtype=np.uint8) * 4
    raw: dict[str, Any] = {"pixels": base64.b64encode(pixels.tobytes()).decode(), "turn": 1}
    said: dict[str, Any] = {}
    monkeypatch.setattr(components, "draw_pad", lambda *_, **__: said)
    app = opened()
    source = app.segmented_control[0] if app.segmented_control else app.button_group[0]
    source.set_value("Drawing").run()
    assert got(app) is None  # stopped: nothing is drawn yet
    said["drawing"] = raw
    row, x, label, title = got(app.run())
    assert (row, label, title) == (None, -1, "your drawing")
    np.testing.assert_allclose(x.ravel() * 255, pixels, atol=1e-4)
    said.clear()  # as after a look at another page
    np.testing.assert_array_equal(got(app.run()).x, x)
    said["drawing"] = {"pixels": "AAAA"}
    assert "another size" in app.run().error[0].value


def test_uploaded_picture_of_the_right_size_is_taken_as_it_is(home: Path, atlas: Atlas) -> None:
    buffer = io.BytesIO()
    Image.fromarray(atlas.picture(9)).save(buffer, "PNG")
    app = opened()
    source = app.segmented_control[0] if app.segmented_control else app.button_group[0]
    source.set_value("Picture file").run()
    assert got(app) is None
    app.file_uploader[0].set_value(("nine.png", buffer.getvalue(), "image/png")).run()
    row, x, _, title = got(app)
    assert (row, title) == (None, "nine.png")
    np.testing.assert_array_equal(np.round(x[0] * 255), atlas.picture(9))
    app.file_uploader[0].set_value(("bad.png", b"no picture", "image/png")).run()
    assert "not a PNG" in app.error[0].value.replace("\\", "")


def test_picture_is_shown_enlarged_without_blur() -> None:
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    picture = to_picture(x)
    assert picture is not None and picture.shape == (8, 8)
    large = enlarge(picture)
    np.testing.assert_array_equal(large[:: len(large) // 8, :: len(large) // 8], picture)
    colour = to_picture(np.zeros((3, 4, 5), np.float32))
    assert colour is not None and colour.shape == (4, 5, 3)
    assert to_picture(np.zeros(7, np.float32)) is None
