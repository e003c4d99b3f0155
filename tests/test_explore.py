"""The map page from the server: what it draws, what it takes from a browser, what it sends."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.ui import MAIN, arrivals, explore, later, shelf
from introspect.ui.arrivals import land_picture, read_data_url, take_dropped
from introspect.ui.desk import Desk
from introspect.ui.pinned import relatives
from introspect.ui.recheck import recheck

EVERYWHERE = [[-99, -99], [99, -99], [99, 99], [-99, 99]]


@pytest.fixture
def home(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with the small atlas of digits."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    yield tmp_path
    shelf.changed()


def open_map(**browser: Any) -> AppTest:
    """The page as it stands after the browser has said these things about the map."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explore, "_state", lambda desk, name: browser.get(name))
        app = AppTest.from_file(str(MAIN), default_timeout=60)
        app.query_params["atlas"] = "digits"
        app.run()
        if "pinned" in browser:
            control = app.segmented_control[0] if app.segmented_control else app.button_group[0]
            control.set_value(explore.SAMPLE).run()
    assert not app.exception
    return app


def parts(app: AppTest) -> dict[str, list[dict[str, Any]]]:
    """What each of our components was given, by the name of its module."""
    found: dict[str, list[dict[str, Any]]] = {}
    for element in app.get("bidi_component"):
        given = json.loads(element.proto.json)
        found.setdefault(given["code"].rpartition("/")[2], []).append(given)
    return found


def test_page_shows_map_pad_and_caption(home: Path, atlas: Atlas) -> None:
    app = open_map()
    given = parts(app)
    assert set(given) == {"activation_map.js", "draw_pad.js"}
    pad = given["draw_pad.js"][0]
    assert (pad["channels"], pad["height"], pad["width"]) == (1, 8, 8)
    caption = "\n".join(element.value for element in app.caption)
    assert "How to read this map." in caption and "96 hidden units" in caption


def test_messages_to_the_map_are_small(home: Path) -> None:
    app = open_map(pinned=3)
    for element in app.get("bidi_component"):
        assert len(element.proto.json) < 3_000


def test_pinned_sample_is_told_with_its_relatives(home: Path, atlas: Atlas) -> None:
    row = 17
    future = later.LATER.ask(f"{atlas.fingerprint}/relatives/{row}", relatives, atlas, row)
    rows, _ = future.result(60)
    given = parts(open_map(pinned=row))
    card = given["sample_card.js"][0]
    assert card["title"] == f"#{atlas.points.id[row]:,}"
    assert [fact[1] for fact in card["names"]] == [
        atlas.classes[atlas.points.label[row]],
        atlas.classes[atlas.points.predicted[row]],
    ]
    assert [bar["value"] for bar in card["bars"]] == pytest.approx(
        atlas.points.outputs[row].tolist()
    )
    assert [item[0] for item in given["gallery.js"][0]["items"]] == rows.tolist()
    assert given["activation_map.js"][0]["neighbours"] == rows.tolist()


def test_relatives_are_the_nearest_in_all_activations(atlas: Atlas) -> None:
    h = np.asarray(atlas.recording.h, np.float64)
    rows, distances = relatives(atlas, 5)
    true = np.linalg.norm(h - h[5], axis=1)
    true[5] = np.inf
    assert 5 not in rows and len(rows) == 10
    np.testing.assert_allclose(np.sort(true)[:10], distances, rtol=2e-3)


@pytest.mark.parametrize("pinned", [10**9, -1, 1.5, "x", True, [1], {"a": 1}])
def test_pin_that_is_no_row_is_no_pin(home: Path, pinned: Any) -> None:
    app = open_map(pinned=pinned)
    assert "sample_card.js" not in parts(app)
    assert "Click a dot" in app.info[0].value


def test_selection_is_shown_counted_and_tabled(home: Path, atlas: Atlas) -> None:
    selection = {"polygon": EVERYWHERE, "view": "infovae", "filter": {"wrong": True}}
    app = open_map(selection=selection)
    wrong = int((~atlas.points.correct).sum())
    assert any(f"{wrong:,} selected" in element.value for element in app.markdown)
    items = parts(app)["gallery.js"][0]["items"]
    assert len(items) == wrong
    doubt = atlas.points.log_error[[item[0] for item in items]]
    assert (np.diff(doubt) <= 0).all()
    assert len(app.dataframe[0].value) == wrong
    tables = [one.proto.body for one in app.get("html") if "<table" in one.proto.body]
    shown = ElementTree.fromstring(tables[0])
    assert list(shown.iter("tr"))[-1][-1].text == f"{wrong:,}"


@pytest.mark.parametrize("raw", [{}, {"polygon": "x", "view": "infovae"}, {"view": "tsne"}, 3])
def test_selection_that_is_none_is_told_in_a_sentence(home: Path, raw: Any) -> None:
    app = open_map(selection=raw)
    assert len(app.error) == 1 and "outline" in app.error[0].value


def test_atlas_without_its_network_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app = open_map()
    assert "came without its network" in app.info[0].value
    given = parts(app)["activation_map.js"][0]
    assert given["checks"] is False and given["drops"] is False


def test_atlas_of_tables_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "picture_shape", lambda shape: None)
    app = open_map()
    assert "reads tables" in app.info[0].value
    assert "draw_pad.js" not in parts(app)


# ---------------------------------------------------------------- files let go over the map
def as_url(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_stored_picture_lands_on_its_own_dot(atlas: Atlas) -> None:
    data = read_data_url(as_url(atlas.picture(42)))
    landing = land_picture(atlas, data, "k", "x.png", (1, 8, 8), dark=True, centre=True)
    np.testing.assert_allclose(landing.z, atlas.z[42], atol=1e-5)


def test_larger_picture_is_fitted_and_lands_near_its_own_dot(atlas: Atlas) -> None:
    large = np.kron(atlas.picture(42), np.ones((9, 9), np.uint8))
    data = read_data_url(as_url(large))
    landing = land_picture(atlas, data, "k", "x.png", (1, 8, 8), dark=True, centre=False)
    np.testing.assert_allclose(landing.z, atlas.z[42], atol=0.2)
    assert np.linalg.norm(atlas.z - landing.z, axis=1).argsort().tolist().index(42) < 60


def test_dropped_files_land_and_bad_ones_are_told(home: Path, atlas: Atlas) -> None:
    desk = Desk("digits")
    take_dropped(
        atlas,
        desk,
        [
            {"name": "good.png", "data": as_url(atlas.picture(3))},
            {"name": "bad.png", "data": "data:image/png;base64,AAAA"},
            {"name": "odd.png", "data": "https://elsewhere/x.png"},
            "nonsense",
        ],
    )
    assert [landing.title for landing in desk.dropped.values()] == ["good.png"]
    assert len(desk.problems) == 3
    take_dropped(atlas, desk, "nonsense")
    take_dropped(atlas, desk, [{"name": "n", "data": as_url(atlas.picture(4))}] * 40)
    assert len(desk.dropped) == arrivals.MOST


@pytest.mark.parametrize("url", [None, 3, "", "x", "data:", "data:;base64,?", "file:///etc/passwd"])
def test_what_is_no_data_url_is_refused(url: Any) -> None:
    with pytest.raises(BadInput, match="upload box|whole"):
        if read_data_url(url) == b"":
            raise BadInput("whole, but nothing in it")


# ---------------------------------------------------------------- same input, same place
@pytest.mark.parametrize("seed", range(5))
def test_stored_sample_is_located_where_it_is_stored(atlas: Atlas, seed: int) -> None:
    found = recheck(atlas, seed)
    assert found.alone_twice == 0
    assert found.in_batch <= 1e-5 and found.stored <= 1e-5
    x = atlas.samples.floats([found.row])
    assert torch.equal(x, atlas.samples.floats(slice(found.row, found.row + 1)))
