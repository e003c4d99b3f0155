"""What one visitor of a shared server keeps, publishes and runs; at home all is as before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shelves import put

from introspect import jobs, library, limits, publishing, space
from introspect.errors import BadInput
from introspect.jobs import Job
from introspect.store import common_dir, library_dir
from introspect.ui import progress, upload

ADA, BOB = "a" * 32, "b" * 32
COUNT = "introspect.jobs.rehearsal:count"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    before = space._teller
    yield
    space.told_by(before)


def be(who: str | None) -> None:
    space.told_by(lambda: who)


def names(kind: str) -> set[str]:
    return {entry.name for entry in library.shelf() if entry.kind == kind}


def entry_of(name: str) -> library.Entry:
    return next(entry for entry in library.shelf() if entry.name == name)


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_space_is_named_by_hex_digits_only() -> None:
    for name in ("../other", "", "A" * 32, "a" * 31):
        be(name)
        with pytest.raises(ValueError, match="32 hex digits"):
            library_dir()


def test_at_home_everything_is_ones_own() -> None:
    be(None)
    put(library_dir() / "mine.atlas")
    assert library_dir() == common_dir()
    assert names("mine") == {"mine"} and names("published") == set()
    with pytest.raises(BadInput, match="nobody to publish it for"):
        publishing.publish(entry_of("mine"))


def test_atlas_of_the_server_itself_is_shown_to_visitors_and_cannot_be_changed_by_them() -> None:
    be(None)
    put(common_dir() / "course.atlas")
    be(ADA)
    assert "course" in names("published")
    for change in (library.delete, publishing.take_back, lambda e: library.rename(e, "x")):
        with pytest.raises(BadInput, match="only who published it"):
            change(entry_of("course"))


def test_publishing_is_undone_by_the_publisher_only() -> None:
    be(ADA)
    put(library_dir() / "draft.atlas")
    shown = publishing.publish(entry_of("draft"))
    assert shown.kind == "published" and shown.own
    be(BOB)
    seen = entry_of("draft")
    assert seen.kind == "published" and not seen.own
    with pytest.raises(BadInput, match="not yours"):
        publishing.take_back(seen)
    with pytest.raises(BadInput, match="not one of your atlases"):
        publishing.publish(seen)
    be(ADA)
    assert publishing.take_back(entry_of("draft")).kind == "mine"
    be(BOB)
    assert "draft" not in names("published") | names("mine")


def test_two_published_under_one_name_are_both_there() -> None:
    for who in (ADA, BOB):
        be(who)
        put(library_dir() / "digits.atlas")
        mine = next(entry for entry in library.shelf() if entry.kind == "mine")
        assert publishing.publish(mine).own
    assert {"digits", "digits 2"} <= names("published")


def test_visitor_keeps_as_many_atlases_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_MAX_ATLASES", "1")
    be(ADA)
    put(library.place("first"))
    with pytest.raises(BadInput, match="1 are allowed"):
        library.place("second")
    be(BOB)
    assert library.place("second").parent == library_dir()


def test_bytes_of_deleted_and_published_atlases_count(monkeypatch: pytest.MonkeyPatch) -> None:
    be(ADA)
    for name in ("deleted", "shown", "kept"):
        put(library_dir() / f"{name}.atlas")
    whole = limits.taken()
    library.delete(entry_of("deleted"))
    publishing.publish(entry_of("shown"))
    assert abs(limits.taken() - whole) < 200
    monkeypatch.setenv("INTROSPECT_MAX_GB", str(whole / 2**30))
    with pytest.raises(BadInput, match="space on this server is full"):
        limits.check_room(2**20)
    be(BOB)
    limits.check_room(1)


def test_upload_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class File:
        name, size = "../../x.npz", 5000

        def getbuffer(self) -> memoryview:
            return memoryview(b"0" * self.size)

    be(ADA)
    kept = upload.keep([File()], 1)
    assert ADA in kept.parts and ".." not in kept.parts
    monkeypatch.setenv("INTROSPECT_MAX_GB", "0.000001")
    with pytest.raises(BadInput, match="full"):
        upload.keep([File()], 1)


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "1e99"])
def test_limit_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("INTROSPECT_MAX_JOBS", text)
    with pytest.raises(BadInput, match="INTROSPECT_MAX_JOBS"):
        limits.Limits.given()


def test_work_is_found_by_its_visitor_only_and_limited_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTROSPECT_MAX_JOBS", "1")
    be(ADA)
    hers = jobs.start(COUNT, {"to": 500, "pause": 0.1}, "Hers")
    with pytest.raises(BadInput, match="1 are allowed"):
        jobs.start(COUNT, {"to": 1}, "Too much")
    be(BOB)
    his = jobs.start(COUNT, {"to": 500, "pause": 0.1}, "His")
    try:
        assert jobs.all() == [his]
        with pytest.raises(BadInput, match="no such job"):
            jobs.get(hers.id)
        assert {job.id for job in jobs.everyone()} == {hers.id, his.id}
        # The queue is one for all: hers runs, his waits and knows its place.
        until(lambda: hers.state().state == "running")
        assert (his.state().state, his.state().position) == ("queued", 1)
    finally:
        end(hers, his)


def test_several_run_at_once_where_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_JOBS", "2")
    be(None)
    three = [jobs.start(COUNT, {"to": 500, "pause": 0.1}, f"Job {i}") for i in range(3)]
    try:
        until(lambda: [job.state().state for job in three[:2]] == ["running"] * 2)
        assert (three[2].state().state, three[2].state().position) == ("queued", 1)
        three[0].cancel()
        until(lambda: three[2].state().state == "running")
    finally:
        end(*three)


def test_paused_work_frees_its_turn_and_goes_on_from_where_it_was() -> None:
    be(None)
    job = jobs.start(COUNT, {"to": 60, "pause": 0.03}, "Counting")
    until(lambda: (job.state().rate or 0) > 0)
    state = job.state()
    assert 0 < (state.rate or 0) < 40
    assert "a second" in progress.told(state, False)
    job.pause()
    until(lambda: not job.state().live)
    assert job.state().state == "paused"
    job.resume()
    until(lambda: not job.state().live)
    result = job.state().result or {}
    assert job.state().state == "done" and result["begun"] > 0 and result["reached"] == 60
    lines = job.told().splitlines()
    assert any(line.endswith("counting") for line in lines)
    assert any("Paused after" in line for line in lines) and "Done after" in lines[-1]


def end(*running: Job) -> None:
    for job in running:
        job.cancel()
    until(lambda: not any(job.state().live for job in running))
