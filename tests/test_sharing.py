"""Two visitors at once on one running server: neither sees what is the other's, at any door."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from raw_visit import RawServer, RawVisitor, serve
from websockets.exceptions import InvalidStatus

from introspect import jobs, library, publishing, space
from introspect.ui import visitors

if TYPE_CHECKING:
    from introspect.atlas import Atlas

SECRET = "thesis-draft"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    running = serve(tmp_path_factory.mktemp("shared"), INTROSPECT_SHARED="1")
    yield running
    running.stop()


@pytest.fixture(scope="module", autouse=True)
def same_folders(server: RawServer) -> Iterator[None]:
    """What this process reads and writes is what the server does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTROSPECT_HOME", str(server.home))
        patch.setenv("INTROSPECT_CACHE", str(server.cache))
        yield
        space.told_by(visitors.whose)


def come(server: RawServer) -> RawVisitor:
    visitor = RawVisitor(server.url)
    assert visitor.ask("/").status == 200
    return visitor


def own_space(visitor: RawVisitor) -> str:
    found = visitors.read_cookie(visitor.cookies)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def ada(server: RawServer, atlas: Atlas) -> RawVisitor:
    """A visitor with an atlas and a piece of work that waits."""
    visitor = come(server)
    assert atlas.folder is not None
    mine = server.home / "visitors" / own_space(visitor)
    shutil.copytree(atlas.folder.parent, mine / f"{SECRET}.atlas")
    return visitor


@pytest.fixture(scope="module")
def bob(server: RawServer) -> RawVisitor:
    return come(server)


@pytest.fixture(scope="module")
def shown(ada: RawVisitor) -> str:
    """What the server told Ada about the map of her atlas."""
    return ada.run("", f"atlas={SECRET}")


def test_cookie_is_signed_and_out_of_reach_of_scripts_and_other_sites(server: RawServer) -> None:
    visitor = RawVisitor(server.url)
    line = next(
        line for line in visitor.ask("/").set_cookies if line.startswith("introspect_visitor")
    )
    assert "httponly" in line.lower() and "samesite=lax" in line.lower()
    name, _, value = line.split(";")[0].partition("=")
    assert visitors.read_cookie({name: value}) is not None
    identity, _, signature = value.partition(".")
    other = ("0" if identity[0] != "0" else "1") + identity[1:]
    assert visitors.read_cookie({name: f"{other}.{signature}"}) is None
    assert visitors.read_cookie({name: identity}) is None
    # Who has a cookie is not given another.
    assert visitor.ask("/").set_cookies == ()


def test_atlas_of_one_visitor_is_on_their_shelf_only(
    server: RawServer, ada: RawVisitor, bob: RawVisitor
) -> None:
    assert SECRET in ada.run("load")
    assert SECRET not in bob.run("load")


def test_link_to_an_atlas_of_another_opens_something_else(shown: str, bob: RawVisitor) -> None:
    assert "activation_map.js" in shown
    told = bob.run("", f"atlas={SECRET}")
    # His own query comes back to him; nothing of hers does.
    assert "The atlas named in the link is not on this machine" in told
    assert "digits" not in told


def test_blob_of_one_visitor_is_not_there_for_another(
    server: RawServer, ada: RawVisitor, bob: RawVisitor, shown: str
) -> None:
    keys = ada.blobs()
    assert keys and shown
    for key in keys:
        assert ada.ask(f"/introspect/blob/{key}").status == 200
        assert bob.ask(f"/introspect/blob/{key}").status == 404
        assert RawVisitor(server.url).ask(f"/introspect/blob/{key}").status == 404


def test_file_can_be_uploaded_to_ones_own_session_only(ada: RawVisitor, bob: RawVisitor) -> None:
    statuses = {}

    def attempt() -> None:
        statuses["bob"] = bob.upload(ada.upload_path, b"planted")
        statuses["bob deletes"] = bob.ask(ada.upload_path, "DELETE").status
        statuses["ada"] = ada.upload(ada.upload_path, b"mine")

    ada.run("load", while_open=attempt)
    assert ada.session in ada.upload_path
    assert statuses == {"bob": 404, "bob deletes": 404, "ada": 204}


def test_websocket_is_shut_without_a_cookie_and_to_the_session_of_another(
    server: RawServer, ada: RawVisitor, bob: RawVisitor, shown: str
) -> None:
    with pytest.raises(InvalidStatus):
        RawVisitor(server.url).run("load")
    with pytest.raises(InvalidStatus):
        bob.run("load", session=ada.session)
    assert ada.run("load", session=ada.session)


def test_work_of_one_visitor_is_neither_shown_nor_found_nor_stopped_by_another(
    ada: RawVisitor, bob: RawVisitor
) -> None:
    space.told_by(lambda: own_space(ada))
    job = jobs.start("introspect.jobs.rehearsal:count", {"to": 900, "pause": 0.1}, "Hers alone")
    try:
        assert "Hers alone" in ada.run("load", f"job={job.id}")
        told = bob.run("load", f"job={job.id}")
        assert "Hers alone" not in told
        assert "is not known here any more" in told
    finally:
        job.cancel()
        space.told_by(visitors.whose)


def test_published_atlas_is_on_every_shelf_until_it_is_taken_back(
    ada: RawVisitor, bob: RawVisitor
) -> None:
    space.told_by(lambda: own_space(ada))
    entry = next(entry for entry in library.shelf() if entry.name == SECRET)
    shown = publishing.publish(entry)
    try:
        # The shelf is looked up every two seconds.
        until(lambda: SECRET in bob.run("load"))
    finally:
        publishing.take_back(shown)
        space.told_by(visitors.whose)
    until(lambda: SECRET not in bob.run("load"))


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_home_is_where_requests_come_from_this_machine(tmp_path: Path) -> None:
    assert not visitors.is_visitor("127.0.0.1", {})
    assert not visitors.is_visitor("::1", {})
    assert visitors.is_visitor("192.0.2.7", {})
    assert visitors.is_visitor("127.0.0.1", {"x-forwarded-for": "192.0.2.7"})
    assert visitors.is_visitor(None, {})
