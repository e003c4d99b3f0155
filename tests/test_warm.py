"""What is begun before the first visitor comes, and that nothing about it can stop the server."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from shelves import put

from introspect import library
from introspect.errors import BadInput
from introspect.ui import session, shelf, warm
from introspect.ui.payload import pack_map


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INTROSPECT_ATLAS", raising=False)
    monkeypatch.setattr(library, "_bundled", lambda: [])
    shelf.changed()
    yield
    shelf.changed()


def test_first_atlas_is_opened_and_its_map_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(library.place("digits"))
    asked: list[object] = []
    monkeypatch.setattr(session, "load", lambda folder, modified: asked.append(folder) or "atlas")
    monkeypatch.setattr(session, "cached", lambda function, *args: asked.append((function, *args)))
    warm.warm()
    assert asked == [path, (pack_map, "atlas")]


def test_empty_shelf_and_damaged_atlases_are_left_for_the_page_to_tell(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session, "load", lambda folder, modified: pytest.fail("opened"))
    warm.warm()
    next(put(library.place("digits")).glob("v*/points.parquet")).unlink()
    shelf.changed()
    warm.warm()
    assert caplog.records == []


def test_atlas_that_cannot_be_opened_is_noted_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(folder: Path, modified: float):
        raise BadInput("The weights are damaged.")

    put(library.place("digits"))
    monkeypatch.setattr(session, "load", refuse)
    warm.warm()
    assert "could not be opened ahead" in caplog.text
    name = "streamlit.runtime.scriptrunner_utils.script_run_context"
    assert logging.getLogger(name).level != logging.ERROR
