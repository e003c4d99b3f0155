"""The sample card: what is known of a sample, what the browser is given, and what buttons do."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import table_atlas
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.errors import BadInput, Cancelled
from introspect.ui import MAIN, nav, sample_card, shelf
from introspect.ui.chooser import Chosen, stored
from introspect.ui.routes import BLOBS
from introspect.ui.sample_card import contrast
from introspect.ui.sample_card_payload import list_values, measure, pack_card, see


def new(atlas: Atlas, x: np.ndarray) -> Chosen:
    """An input that is not recorded."""
    return Chosen(None, x, -1, "your drawing")


def read(atlas: Atlas, seen: Any) -> dict[str, Any]:
    packed = pack_card(atlas, seen)
    return json.loads(bytes(packed.parts[packed.manifest])) | {"parts": packed.parts}


# ---------------------------------------------------------------- one sample
def test_stored_sample_keeps_what_the_map_says_of_it(atlas: Atlas) -> None:
    row = 17
    seen = see(atlas, stored(atlas, row))
    points = atlas.points
    np.testing.assert_array_equal(seen.z, points.z[row])
    np.testing.assert_array_equal(seen.outputs, points.outputs[row])
    assert seen.predicted == points.predicted[row]
    assert seen.log_error == pytest.approx(points.log_error[row])
    # The recording keeps eleven bits of every activation.
    np.testing.assert_allclose(seen.h, atlas.recording.h[row], rtol=1e-3, atol=1e-5)


def test_same_picture_drawn_anew_is_seen_alike(atlas: Atlas) -> None:
    kept = stored(atlas, 17)
    old, fresh = see(atlas, kept), see(atlas, new(atlas, kept.x))
    np.testing.assert_allclose(fresh.z, old.z, atol=1e-4)
    np.testing.assert_allclose(fresh.outputs, old.outputs, atol=1e-5)
    assert measure(old, fresh)["units"] == pytest.approx(0, abs=1e-4)


def test_browser_gets_picture_outputs_place_and_units(atlas: Atlas) -> None:
    seen = see(atlas, stored(atlas, 17))
    card = read(atlas, seen)
    assert card["picture"].startswith("data:image/png") and card["values"] is None
    assert card["label"] == atlas.points.label[17]
    assert card["outputs"] == pytest.approx(seen.outputs.tolist(), abs=1e-6)
    assert card["z"] == pytest.approx(seen.z.tolist())
    units = np.frombuffer(bytes(card["parts"][card["units"]]), "<f4")
    np.testing.assert_array_equal(units, seen.h)
    assert "%" in card["verdict"] and card["stranger"] == (seen.off_map > 99)


def test_new_input_has_no_label(atlas: Atlas) -> None:
    card = read(atlas, see(atlas, new(atlas, np.zeros((1, 8, 8), np.float32))))
    assert card["label"] is None
    assert [name for name, _, _ in card["names"]] == ["prediction"]


def test_atlas_without_its_network_still_shows_stored_samples(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    seen = see(atlas, stored(atlas, 17))
    assert seen.h is None and read(atlas, seen)["units"] is None
    assert measure(seen, seen) == {"map": 0.0, "units": None}


def test_table_is_listed_by_its_columns_and_long_ones_are_cut() -> None:
    found = list_values(np.array([0.5, -1.25, 3.0], np.float32))
    assert found == {"rows": [["1", "0.5"], ["2", "−1.25"], ["3", "3"]], "more": 0}
    many = list_values(np.zeros((5, 9, 9), np.float32))
    assert len(many["rows"]) == 200 and many["more"] == 205
    assert many["rows"][9][0] == "1, 2, 1"


# ---------------------------------------------------------------- two samples
def test_distances_are_those_written_out(atlas: Atlas) -> None:
    a, b = (see(atlas, stored(atlas, row)) for row in (3, 900))
    h = np.asarray(atlas.recording.h, np.float64)
    found = measure(a, b)
    assert found["units"] == pytest.approx(np.linalg.norm(h[3] - h[900]), rel=1e-3)
    assert found["map"] == pytest.approx(np.linalg.norm(atlas.z[3] - atlas.z[900]), rel=1e-5)


def test_second_sample_offered_is_the_next_one_with_another_answer(atlas: Atlas) -> None:
    one = see(atlas, stored(atlas, 40))
    row = contrast(atlas, one)
    points = atlas.points
    assert points.predicted[row] != one.predicted
    unlike = points.predicted != one.predicted
    away = np.linalg.norm(points.z - one.z, axis=1)
    assert away[row] == pytest.approx(away[unlike].min())


# ---------------------------------------------------------------- the page
@pytest.fixture
def home(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with the small atlas of digits."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    yield tmp_path
    shelf.changed()


def open_page(name: str = "digits", **query: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params["atlas"] = name
    app.run()
    app.switch_page(str(nav.page_files()["sample_card"]))
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def given(app: AppTest) -> dict[str, Any]:
    """What the page gives the cards in the browser."""
    parts = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return next(part for part in parts if part["code"].endswith("/sample_pair.js"))


def titles(app: AppTest) -> list[str]:
    cards = [BLOBS.read(key) for key in given(app)["cards"]]
    return [json.loads(card[0])["title"] for card in cards if card is not None]


def button(app: AppTest, label: str) -> Any:
    return next(found for found in app.button if found.label == label)


def id_of(atlas: Atlas, row: int) -> str:
    return str(atlas.points.id[row])


def test_page_shows_one_sample_with_its_true_neighbours(home: Path, atlas: Atlas) -> None:
    app = open_page(a=id_of(atlas, 17))
    shown = given(app)
    assert titles(app)[0].startswith(f"#{atlas.points.id[17]:,}, ") and shown["apart"] is None
    h = np.asarray(atlas.recording.h, np.float64)
    away = np.linalg.norm(h - h[17], axis=1)
    away[17] = np.inf
    [items] = shown["near"]
    rows = [item[0] for item in items]
    assert len(set(rows)) == 10 and 17 not in rows
    np.testing.assert_allclose(away[rows], np.sort(away)[:10], rtol=2e-3)
    captions = "\n".join(element.value for element in app.caption)
    assert "How to read this card." in captions and "96 units" in captions


def test_link_opens_both_samples_and_messages_stay_small(home: Path, atlas: Atlas) -> None:
    app = open_page(a=id_of(atlas, 17), b=id_of(atlas, 40))
    assert len(titles(app)) == 2 and len(given(app)["near"]) == 2
    assert given(app)["apart"]["units"] > 0
    assert len(json.dumps(given(app))) < 3000
    assert app.query_params["a"] == id_of(atlas, 17)
    assert app.query_params["b"] == id_of(atlas, 40)


def test_samples_are_swapped_and_the_second_is_cleared(home: Path, atlas: Atlas) -> None:
    app = open_page(a=id_of(atlas, 17), b=id_of(atlas, 40))
    before = titles(app)
    button(app, "Swap").click().run()
    assert titles(app) == before[::-1]
    assert app.query_params["a"] == id_of(atlas, 40)
    assert app.query_params["b"] == id_of(atlas, 17)
    button(app, "Clear B").click().run()
    assert titles(app) == before[1:] and "b" not in app.query_params


def test_comparing_begins_with_the_next_one_that_gets_another_answer(
    home: Path, atlas: Atlas
) -> None:
    app = open_page(a=id_of(atlas, 40))
    button(app, "Compare with a second sample").click().run()
    row = contrast(atlas, see(atlas, stored(atlas, 40)))
    assert app.query_params["b"] == id_of(atlas, row)
    assert len(titles(app)) == 2


def test_sample_that_does_not_exist_is_told(home: Path) -> None:
    app = open_page(a="99999999")
    assert len(app.error) == 1 and "There is no sample" in app.error[0].value
    assert len(titles(app)) == 1


def test_stopped_search_can_be_begun_again(
    home: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def slowly(*args: Any) -> Any:
        tell = args[3]
        while tell(3, 10) is not False:
            going.wait(0.01)
        raise Cancelled("stopped")

    monkeypatch.setattr(sample_card, "alike", slowly)
    app = open_page(a=id_of(atlas, 23))
    assert given(app)["near"] == [None]
    button(app, "Cancel").click().run()
    pair = app.session_state[f"pair-{atlas.fingerprint[:12]}"]
    [work] = pair.searches.values()
    assert isinstance(work.future.exception(30), Cancelled)
    monkeypatch.undo()
    monkeypatch.setenv("INTROSPECT_HOME", str(home))
    app.run()
    button(app, "Find the samples nearest to A").click().run()
    assert len(given(app)["near"][0]) == 10


def test_atlas_without_its_network_shows_the_card_and_says_what_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app = open_page()
    assert len(titles(app)) == 1
    assert "without its network" in app.warning[0].value


# ---------------------------------------------------------------- other classifiers
@pytest.fixture(scope="module")
def rows() -> Atlas:
    """A table of six columns and two classes."""
    return table_atlas()


def test_sample_of_a_table_shows_its_values(rows: Atlas) -> None:
    samples = rows.samples
    assert samples is not None
    card = read(rows, see(rows, stored(rows, 5)))
    assert card["picture"] is None
    values = [float(text) for _, text in card["values"]["rows"]]
    assert values == pytest.approx(samples.x[5].tolist(), rel=1e-3)
    assert len(card["outputs"]) == 2


def test_page_opens_on_a_table(home: Path, rows: Atlas) -> None:
    rows.save(library.place("rows"))
    shelf.changed()
    app = open_page("rows", a=id_of(rows, 5), b=id_of(rows, 6))
    assert len(titles(app)) == 2 and len(given(app)["near"][0]) == 10


def test_new_input_on_an_atlas_without_its_network_is_refused(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    from introspect.atlas import Absent

    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    monkeypatch.setattr(Atlas, "locate", lambda self, x: Absent()(x))
    with pytest.raises(BadInput, match="without its network"):
        see(atlas, new(atlas, np.zeros((1, 8, 8), np.float32)))
