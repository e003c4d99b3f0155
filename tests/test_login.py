"""A server with a password, or a login by name: nothing passes the door before it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi import ask, connect
from starlette.applications import Starlette
from test_guard import OWN, SHUT, door, greeted

from introspect.ui import login, visitors
from introspect.ui.guard import middleware
from introspect.ui.routes import BLOBS, ROUTES

PASSWORD = "correct horse"
DOORS = ("/", "/load", "/blob", "/introspect/blob/" + "0" * 32)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    monkeypatch.setattr(login, "TRIED", login.Tries())
    yield


def visit(app: Any) -> str:
    """The cookie of a new visitor, who has seen the form."""
    answer = ask(app, "/")
    assert answer.status == 401 and 'type="password"' in answer.text
    return answer.headers["set-cookie"].split(";")[0]


def enter(app: Any, cookie: str, password: str) -> Any:
    content = f"password={password.replace(' ', '+')}".encode()
    return ask(app, login.PATH, "POST", OWN | {"cookie": cookie}, content)


@pytest.mark.parametrize("path", DOORS)
def test_nothing_is_served_before_the_password(path: str) -> None:
    assert ask(door(password=PASSWORD), path).status == 401


def test_uploads_and_the_websocket_wait_for_the_password_too() -> None:
    shut = door(password=PASSWORD)
    cookie = visit(shut)
    assert ask(shut, "/upload", "PUT", OWN | {"cookie": cookie}).status == 401
    assert connect(shut, "/stream", OWN | {"cookie": cookie}) == SHUT


def test_password_opens_every_door_for_one_visitor() -> None:
    shut = door(password=PASSWORD)
    cookie = visit(shut)
    answer = enter(shut, cookie, PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    line = answer.headers["set-cookie"]
    assert "httponly" in line.lower() and "samesite=lax" in line.lower()
    assert PASSWORD not in line
    both = f"{cookie}; {line.split(';')[0]}"
    assert ask(shut, "/load", headers={"cookie": both}).status == 200
    assert ask(shut, "/upload", "PUT", OWN | {"cookie": both}).status == 200
    assert greeted(connect(shut, "/stream", OWN | {"cookie": both}))
    # Not for another visitor, not under another password, not when it is too old.
    stolen = f"{visit(shut)}; {line.split(';')[0]}"
    assert ask(shut, "/", headers={"cookie": stolen}).status == 401
    assert ask(door(password="changed"), "/", headers={"cookie": both}).status == 401


def test_pass_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given = login.pass_for("a" * 32, PASSWORD)
    jar = {login.cookie_name(): given}
    assert login.has_pass(jar, "a" * 32, PASSWORD)
    later = time.time() + login.LASTS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert not login.has_pass(jar, "a" * 32, PASSWORD)


def test_pass_cannot_be_made_longer() -> None:
    until, _, seal = login.pass_for("a" * 32, PASSWORD).partition(".")
    longer = {login.cookie_name(): f"{int(until) + 1}.{seal}"}
    assert not login.has_pass(longer, "a" * 32, PASSWORD)


def test_wrong_passwords_are_few() -> None:
    shut = door(password=PASSWORD)
    cookie = visit(shut)
    for _ in range(login.TRIES):
        answer = enter(shut, cookie, "guess")
        assert answer.status == 401 and "not the password" in answer.text
    answer = enter(shut, cookie, "guess")
    assert answer.status == 429 and int(answer.headers["retry-after"]) > 0
    # The right one has to wait as well: else the answer would tell which it is.
    assert enter(shut, cookie, PASSWORD).status == 429


def test_addresses_of_one_network_count_together() -> None:
    tries = login.Tries()
    for number in range(login.TRIES):
        assert not tries.begin(f"2001:db8::{number:x}")
    assert tries.begin("2001:db8::ffff") > 0
    assert not tries.begin("2001:db8:0:1::1")
    assert not tries.begin("192.0.2.1")


def test_tries_of_all_together_have_an_end() -> None:
    tries = login.Tries()
    for number in range(login.ALL_TRIES):
        assert not tries.begin(f"10.0.{number // 256}.{number % 256}")
    assert tries.begin("10.9.9.9") > 0


def test_form_is_not_read_to_the_end_when_it_is_endless() -> None:
    shut = door(password=PASSWORD)
    cookie = visit(shut)
    content = b"password=" + b"a" * 100_000
    assert ask(shut, login.PATH, "POST", OWN | {"cookie": cookie}, content).status == 401


def test_browser_posts_the_form_with_its_origin() -> None:
    """Under "no-referrer" it would say "null", which the door takes for another site."""
    answer = ask(door(password=PASSWORD), "/")
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "form-action 'self'" in answer.headers["content-security-policy"]


def test_problem_is_text_in_the_form() -> None:
    assert "<script>" not in login.password_form("<script>alert(1)</script>")


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's secrets have a section [auth]; the link to the provider is Streamlit's."""
    from streamlit.web.server import server_util

    monkeypatch.setattr(visitors, "by_name", lambda: True)
    monkeypatch.setattr(server_util, "get_cookie_secret", lambda: "cookie secret")
    monkeypatch.setattr(
        "streamlit.user_info.generate_login_redirect_url", lambda provider: "/auth/login?provider=x"
    )


def identity(secret: str = "cookie secret", **told: Any) -> str:
    """The cookie that Streamlit sets when the provider has said who someone is."""
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    said = {"origin": "http://127.0.0.1:8501", "is_logged_in": True, "sub": "ada", **told}
    return "_streamlit_user=" + create_signed_value(
        secret, "_streamlit_user", json.dumps(said)
    ).decode("ascii")


@pytest.mark.usefixtures("by_name")
def test_login_by_name_opens_every_door_and_nothing_else_does() -> None:
    shut = door()
    assert ask(shut, "/").status == 401
    assert "/auth/login?provider=x" in ask(shut, "/").text
    assert connect(shut, "/stream", OWN) == SHUT
    assert ask(shut, "/", headers={"cookie": identity("forged")}).status == 401
    assert ask(shut, "/", headers={"cookie": identity(is_logged_in=False)}).status == 401
    assert ask(shut, "/", headers={"cookie": identity()}).status == 200
    assert greeted(connect(shut, "/stream", OWN | {"cookie": identity()}))


@pytest.mark.usefixtures("by_name")
def test_person_has_the_same_space_in_every_browser() -> None:
    jars = [{"_streamlit_user": identity(sub=sub).partition("=")[2]} for sub in ("ada", "bob")]
    assert login.named_space(jars[0]) == login.named_space(dict(jars[0]))
    assert login.named_space(jars[0]) != login.named_space(jars[1])


@pytest.mark.usefixtures("by_name")
def test_only_named_people_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_USERS", "ada@lab.example, @team.example")
    welcome = [{"email": "Ada@lab.example"}, {"email": "x@team.example"}]
    strangers = [
        {"email": "x@lab.example"},
        {"email": "ada@lab.example", "email_verified": False},
        {"email": "x@evil.example@team.example"},
        {"email": "x@notteam.example"},
        {},
    ]
    for told in welcome:
        assert ask(door(), "/", headers={"cookie": identity(**told)}).status == 200
    for told in strangers:
        answer = ask(door(), "/", headers={"cookie": identity(**told)})
        assert answer.status == 401 and "may not enter" in answer.text


def test_blob_published_at_home_is_not_for_visitors_from_elsewhere() -> None:
    BLOBS.publish({"e" * 32: b"at home"}, {})
    app = Starlette(routes=list(ROUTES), middleware=[middleware()])
    assert ask(app, "/introspect/blob/" + "e" * 32).body == b"at home"
    answer = ask(app, "/introspect/blob/" + "e" * 32, headers={"x-forwarded-for": "192.0.2.7"})
    assert answer.status == 404
