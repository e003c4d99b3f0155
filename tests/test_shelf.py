"""What the pages offer to open: the library, folders from elsewhere, the one given at start."""

from __future__ import annotations

import shutil

import pytest
from shelves import put

from introspect import library
from introspect.errors import BadInput
from introspect.ui import shelf

pytestmark = pytest.mark.filterwarnings("ignore:.*missing ScriptRunContext.*")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INTROSPECT_ATLAS", raising=False)
    monkeypatch.setattr(library, "_bundled", lambda: [])
    shelf.changed()
    yield tmp_path / "home"
    shelf.changed()


def test_library_is_on_the_shelf_by_name(home):
    put(library.place("digits"))
    shelf.changed()
    books = shelf.books()
    assert list(books) == ["digits"]
    assert books["digits"].summary["n"] == 200


def test_folder_from_elsewhere_stays_there_and_on_the_shelf(tmp_path):
    path = put(tmp_path / "results" / "mine.atlas")
    assert shelf.open_path(f" '{path}' ") == "mine"
    assert shelf.books()["mine"].kind == "opened"
    shelf.changed()
    assert shelf.books()["mine"].path == path
    shelf.forget(shelf.books()["mine"])
    assert shelf.books() == {} and path.is_dir()


def test_folder_of_the_library_is_not_listed_twice():
    path = put(library.place("digits"))
    assert shelf.open_path(str(path)) == "digits"
    assert list(shelf.books()) == ["digits"]


def test_equal_names_are_kept_apart(tmp_path):
    put(library.place("digits"))
    put(tmp_path / "a" / "digits.atlas")
    assert shelf.open_path(str(tmp_path / "a" / "digits.atlas")) == "digits 2"
    assert {name: entry.kind for name, entry in shelf.books().items()} == {
        "digits": "mine",
        "digits 2": "opened",
    }


def test_folder_that_is_no_atlas_is_refused_and_not_remembered(tmp_path):
    (tmp_path / "holiday").mkdir()
    for path in (tmp_path / "holiday", tmp_path / "nowhere"):
        with pytest.raises(BadInput):
            shelf.open_path(str(path))
    assert shelf.books() == {}


def test_folder_that_has_gone_is_no_longer_offered(tmp_path):
    shelf.open_path(str(put(tmp_path / "mine.atlas")))
    shutil.rmtree(tmp_path / "mine.atlas")
    shelf.changed()
    assert shelf.books() == {}


def test_atlas_given_at_start_comes_first(tmp_path, monkeypatch):
    put(library.place("another"))
    path = put(tmp_path / "zebra.atlas")
    monkeypatch.setenv("INTROSPECT_ATLAS", str(path))
    shelf.changed()
    assert list(shelf.books()) == ["zebra", "another"]


def test_damaged_atlas_comes_last_with_its_reason():
    broken = put(library.place("broken"))
    next(broken.glob("v*/points.parquet")).unlink()
    put(library.place("whole"))
    shelf.changed()
    assert list(shelf.books()) == ["whole", "broken"]
    assert "points.parquet is missing" in shelf.books()["broken"].problem


def test_damaged_list_of_opened_folders_costs_no_more_than_the_list(home):
    put(library.place("digits"))
    (home / "opened.json").write_text('{"not": "a list"')
    shelf.changed()
    assert list(shelf.books()) == ["digits"]
