"""What the app serves beside its pages: the right bytes, kept for good, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from asgi import ask
from starlette.applications import Starlette
from starlette.middleware import Middleware

from introspect.ui.guard import Guard
from introspect.ui.payload import content_key
from introspect.ui.routes import BLOBS, FRONTEND, ROUTES, Blobs, base, version

APP = Starlette(routes=list(ROUTES))


@pytest.fixture
def blob() -> str:
    body = b"seventy thousand points"
    BLOBS.publish({content_key(body): body}, {})
    return content_key(body)


def test_blob_is_served_under_its_hash_and_kept_for_good(blob: str) -> None:
    answer = ask(APP, f"/introspect/blob/{blob}")
    assert answer.status == 200
    assert answer.body == b"seventy thousand points"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"]
    assert "public" not in answer.headers["cache-control"]


@pytest.mark.parametrize("key", ["0" * 32, "..", "..%2f..%2fapp.py", "a b", "%00"])
def test_unknown_blob_is_not_there(key: str) -> None:
    assert ask(APP, f"/introspect/blob/{key}").status == 404


def test_sheet_is_read_from_its_file_with_its_own_type(tmp_path: Path) -> None:
    path = tmp_path / "000.webp"
    path.write_bytes(b"RIFF sheet")
    BLOBS.publish({"sheet": path}, {"sheet": "image/webp"})
    answer = ask(APP, "/introspect/blob/sheet")
    assert (answer.body, answer.headers["content-type"]) == (b"RIFF sheet", "image/webp")
    path.unlink()
    assert ask(APP, "/introspect/blob/sheet").status == 404


def test_blobs_are_only_read(blob: str) -> None:
    assert ask(APP, f"/introspect/blob/{blob}", method="POST").status == 405


@pytest.mark.parametrize("path", sorted(p.name for p in FRONTEND.iterdir()))
def test_every_frontend_file_is_served_with_its_type(path: str) -> None:
    answer = ask(APP, f"/introspect/code/{version()}/{path}")
    kind = {"js": "text/javascript", "css": "text/css"}[path.rpartition(".")[2]]
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.body == (FRONTEND / path).read_bytes()
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["routes.py", "..%2froutes.py", "%2e%2e%2froutes.py", "map.js%00"])
def test_nothing_but_the_frontend_is_served(name: str) -> None:
    assert ask(APP, f"/introspect/code/{version()}/{name}").status == 404


def test_code_of_another_version_is_refused() -> None:
    """A page left open over an update must not mix two versions of our modules."""
    assert ask(APP, "/introspect/code/0123456789abcdef/map.js").status == 404


def test_guard_stands_before_blobs(blob: str) -> None:
    guarded = Starlette(routes=list(ROUTES), middleware=[Middleware(Guard, token="secret")])
    assert ask(guarded, f"/introspect/blob/{blob}").status == 401
    cookie = {"cookie": "introspect_token=secret"}
    answer = ask(guarded, f"/introspect/blob/{blob}", headers=cookie)
    assert answer.status == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    elsewhere = {**cookie, "sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
    assert ask(guarded, f"/introspect/blob/{blob}", headers=elsewhere).status == 403


def test_least_recently_used_blobs_go_first() -> None:
    blobs = Blobs(capacity=25)
    blobs.publish({"a": b"0123456789"}, {})
    blobs.publish({"b": b"0123456789"}, {})
    assert blobs.read("a") is not None  # a is now the more recent of the two
    blobs.publish({"c": b"0123456789"}, {})
    assert [blobs.read(key) is not None for key in "abc"] == [True, False, True]


def test_what_was_just_published_stays_even_when_it_is_too_much() -> None:
    blobs = Blobs(capacity=5)
    blobs.publish({"a": b"0123456789", "b": b"0123456789"}, {})
    assert blobs.read("a") and blobs.read("b")
    blobs.publish({"c": b"0123456789"}, {})
    assert [blobs.read(key) is not None for key in "abc"] == [False, False, True]


def test_publishing_again_counts_nothing_twice() -> None:
    blobs = Blobs(capacity=25)
    for _ in range(5):
        blobs.publish({"a": b"0123456789", "b": b"0123456789"}, {})
    assert blobs.read("a") and blobs.read("b")


def test_app_is_served_at_the_root_unless_told_otherwise() -> None:
    assert base() == ""
