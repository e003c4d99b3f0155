"""Every page opens, alone and in the frame; the Load page does what its buttons say."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shelves import put
from streamlit.testing.v1 import AppTest

from introspect import jobs, library
from introspect.bundled import sample_atlases
from introspect.process import Owner
from introspect.ui import MAIN, nav, shelf

PAGES = nav.page_files()
COUNT = "introspect.jobs.rehearsal:count"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with one small atlas, and a cache, for this test alone."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("INTROSPECT_ATLAS", raising=False)
    put(library.place("digits"))
    shelf.changed()
    yield tmp_path / "home"
    for job in jobs.all():
        job.cancel()
    shelf.changed()


def open_page(name: str, **query: str) -> AppTest:
    """The page inside its frame, as a link with these query parameters opens it."""
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(query)
    app.run()
    if name != nav.FIRST:
        app.switch_page(str(PAGES[name])).run()
    return app


def load(**query: str) -> AppTest:
    """The Load page, started directly: it must not need the frame."""
    app = AppTest.from_file(str(PAGES["load"]), default_timeout=60)
    app.query_params.update(query)
    return app.run()


def texts(app: AppTest) -> str:
    kinds = (
        app.markdown,
        app.caption,
        app.error,
        app.warning,
        app.info,
        app.success,
        app.subheader,
    )
    return "\n".join(element.value for kind in kinds for element in kind)


def await_end(job: jobs.Job) -> jobs.JobState:
    deadline = time.monotonic() + 60
    while job.state().live and time.monotonic() < deadline:
        time.sleep(0.05)
    return job.state()


# ---------------------------------------------------------------- every page
@pytest.mark.parametrize("name", PAGES)
def test_page_opens_alone(name: str) -> None:
    app = AppTest.from_file(str(PAGES[name]), default_timeout=60).run()
    assert not app.exception
    assert app.title


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_in_the_frame(name: str) -> None:
    app = open_page(name)
    assert not app.exception
    assert app.title


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_on_an_empty_shelf(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.delete(library.shelf()[-1])
    monkeypatch.setattr(library, "_bundled", lambda: [])
    shelf.changed()
    app = open_page(name)
    assert not app.exception
    assert "There is no atlas yet" in texts(app)


def test_damaged_atlas_is_told_in_a_sentence(home: Path) -> None:
    next(home.glob("digits.atlas/v*/points.parquet")).unlink()
    shelf.changed()
    app = open_page("activation_map", atlas="digits")
    assert not app.exception
    assert "points.parquet is missing" in app.error[0].value.replace("\\", "")


def test_chosen_atlas_goes_along_to_other_pages(home: Path) -> None:
    put(library.place("zebra"))
    shelf.changed()
    app = open_page("load", atlas="zebra")
    assert app.selectbox(key="atlas_chooser").value == "zebra"
    app.selectbox(key="atlas_chooser").select("digits").run()
    assert app.query_params["atlas"] == "digits"


def test_atlas_named_in_a_link_but_not_here_is_told(home: Path) -> None:
    app = load(atlas="../../etc")
    assert "not on this machine" in app.warning[0].value
    assert app.selectbox(key="atlas_chooser").value in {"digits", *sample_atlases()}


# ---------------------------------------------------------------- cards
def test_card_tells_what_the_atlas_is(home: Path) -> None:
    told = texts(load())
    assert "200 points · 97.50% right" in told
    assert "96 units · 3 classes" in told
    assert "yours" in told


def test_atlas_is_deleted_and_brought_back(home: Path) -> None:
    app = load(atlas="digits")
    app.button(key="delete-digits").click().run()
    assert not (home / "digits.atlas").exists()
    assert "**digits** was deleted" in texts(app)
    [undo] = [button for button in app.button if button.label == "Undo"]
    undo.click().run()
    assert (home / "digits.atlas" / "CURRENT").is_file()
    assert "digits is back" in texts(app)


def test_deleted_atlas_can_be_restored_on_a_later_visit(home: Path) -> None:
    token = library.delete(library.shelf()[-1])
    shelf.changed()
    app = load()
    app.button(key=f"restore-{token}").click().run()
    assert "digits" in shelf.books()


def test_atlas_is_renamed_and_a_bad_name_keeps_it(home: Path) -> None:
    app = load(atlas="digits")
    app.text_input(key="rename-digits").set_value("a/b").run()
    assert "leave out" in app.error[0].value
    assert "digits" in shelf.books()
    app.text_input(key="rename-digits").set_value("numerals").run()
    assert not app.exception
    assert "numerals" in shelf.books() and "digits" not in shelf.books()
    assert app.query_params["atlas"] == "numerals"


def test_name_of_an_atlas_is_shown_as_text_never_as_markup(home: Path) -> None:
    put(library.place("_x_ [link](evil) `code` $y$"))
    shelf.changed()
    [heading] = [s.value for s in load().subheader if "evil" in s.value]
    assert heading == r"\_x\_ \[link\]\(evil\) \`code\` \$y\$"


def test_folder_is_opened_from_elsewhere_and_a_bad_path_keeps_the_text(
    home: Path, tmp_path: Path
) -> None:
    app = load()
    app.text_input(key="open_folder").set_value(str(tmp_path / "nowhere")).run()
    assert "There is no atlas at" in app.error[0].value.replace("\\", "")
    assert app.text_input(key="open_folder").value == str(tmp_path / "nowhere")
    path = put(tmp_path / "results.atlas")
    app.text_input(key="open_folder").set_value(str(path)).run()
    assert "on your shelf" in app.success[0].value
    assert "results" in shelf.books()


# ---------------------------------------------------------------- work in progress
def test_work_is_shown_cancelled_and_resumed(home: Path) -> None:
    job = jobs.start(COUNT, {"to": 1000, "pause": 0.05}, "Counting")
    while job.state().done < 2:
        time.sleep(0.05)
    app = load(job=job.id)
    assert not app.exception
    app.button(key=f"cancel-{job.id}").click().run()
    assert await_end(job).state == "cancelled"
    app.run()
    assert "**Counting** was stopped while counting" in texts(app)
    app.button(key=f"resume-{job.id}").click().run()
    assert job.state().live


def test_killed_work_is_told_and_goes_on_from_where_it_was(home: Path) -> None:
    job = jobs.start(COUNT, {"to": 60, "pause": 0.05}, "Counting")
    while job.state().done < 5:
        time.sleep(0.05)
    owner = Owner.parse((job.folder / "owner").read_text())
    assert owner is not None
    os.kill(owner.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    assert await_end(job).state == "dead"
    app = load(job=job.id)
    assert "ended without a word" in texts(app)
    app.button(key=f"resume-{job.id}").click().run()
    ended = await_end(job)
    assert ended.state == "done"
    assert ended.result is not None and ended.result["begun"] >= 5


def test_failed_work_tells_why_and_can_be_dismissed(home: Path) -> None:
    job = jobs.start(COUNT, {"to": 0}, "Counting")
    assert await_end(job).state == "failed"
    app = load(job=job.id)
    assert "There is nothing to count" in texts(app)
    app.button(key=f"remove-{job.id}").click().run()
    assert jobs.all() == []
    assert "job" not in app.query_params


def test_work_named_in_a_link_but_not_here_is_told(home: Path) -> None:
    app = load(job="../../../etc/passwd")
    assert not app.exception
    assert "not known here" in app.warning[0].value
