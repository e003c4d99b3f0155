"""The door of the app: who is let in, and what the answers forbid the browser."""

from __future__ import annotations

import pytest
from asgi import ask, connect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute

from introspect.ui.guard import middleware

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
OWN = {"origin": "http://127.0.0.1:8501", "sec-fetch-site": "same-origin"}
SHUT = [{"type": "websocket.close", "code": 1008, "reason": "refused"}]


def page(request):
    return HTMLResponse("page")


def picture(request):
    return Response(SVG, media_type="image/svg+xml", headers={"Cache-Control": "immutable"})


def upload(request):
    return Response("stored")


async def stream(websocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def door(**settings):
    routes = [
        Route("/", page),
        Route("/load", page),
        Route("/blob", picture),
        Route("/upload", upload, methods=["PUT", "POST"]),
        WebSocketRoute("/stream", stream),
    ]
    return Starlette(routes=routes, middleware=[middleware(**settings)])


def greeted(told) -> bool:
    return {"type": "websocket.send", "text": "hello"} in told


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "10.1.2.3", "a.localhost"],
)
def test_own_addresses_are_let_in(host):
    assert ask(door(), "/", headers={"host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8501",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1:notaport",
        "127.0.0.1/evil",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/blob", "/upload"])
def test_rebound_name_is_refused_everywhere(host, path):
    answer = ask(door(), path, "PUT" if path == "/upload" else "GET", {"host": host})
    assert answer.status == 421
    assert "does not answer to that name" in answer.text


def test_rebound_name_gets_no_websocket():
    assert connect(door(), "/stream", {"host": "evil.example"}) == SHUT


def test_two_host_headers_are_refused():
    answer = ask(door(), "/", headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert answer.status == 421


def test_named_host_is_let_in_only_when_configured():
    lab = {"host": "lab.example"}
    assert ask(door(), "/", headers=lab).status == 421
    assert ask(door(hosts=["Lab.Example"]), "/", headers=lab).status == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:9999", "http://localhost:8501", "null", "http://["],
)
def test_other_sites_neither_connect_nor_post(origin):
    assert ask(door(), "/upload", "PUT", {"origin": origin}).status == 403
    assert connect(door(), "/stream", {"origin": origin}) == SHUT


def test_own_page_connects_and_posts():
    assert ask(door(), "/upload", "PUT", OWN).status == 200
    assert greeted(connect(door(), "/stream", OWN))


def test_program_without_origin_connects():
    assert greeted(connect(door(), "/stream"))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_embed_nothing_but_may_link_to_a_page(site):
    embed = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask(door(), "/blob", headers=embed).status == 403
    assert ask(door(), "/load", headers=link).status == 200
    assert ask(door(), "/load", headers=link | {"sec-fetch-dest": "iframe"}).status == 403
    assert ask(door(), "/upload", "POST", link).status == 403


def test_page_may_load_nothing_from_elsewhere():
    policy = ask(door(), "/").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert rules["object-src"] == "'none'"
    allowed = {"'self'", "'none'", "'unsafe-inline'", "'wasm-unsafe-eval'", "data:", "blob:"}
    own = {"ws://127.0.0.1:8501", "wss://127.0.0.1:8501"}
    assert set(" ".join(rules.values()).split()) <= allowed | own


def test_picture_with_a_script_in_it_runs_nothing():
    headers = ask(door(), "/blob").headers
    assert "sandbox" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "immutable"


def test_page_a_browser_has_kept_stays_usable_on_a_second_visit():
    """A policy on "not modified" would replace the kept page's own and block all its scripts."""

    def unchanged(request):
        return Response(status_code=304)

    app = Starlette(routes=[Route("/", unchanged)], middleware=[middleware()])
    answer = ask(app, "/")
    assert answer.status == 304
    assert "content-security-policy" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_refusals_are_sealed_too():
    headers = ask(door(), "/", headers={"host": "evil.example"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "evil.example" not in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/load", "/blob"])
def test_token_is_asked_for_and_remembered(path):
    shut = door(token="sesame")
    assert ask(shut, path).status == 401
    assert ask(shut, f"{path}?token=wrong").status == 401
    assert ask(shut, path, headers={"cookie": "introspect_token=wrong"}).status == 401
    answer = ask(shut, f"{path}?atlas=a+b&token=sesame")
    assert (answer.status, answer.headers["location"]) == (303, f"{path}?atlas=a+b")
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert ask(shut, path, headers={"cookie": cookie}).status == 200


def test_token_keeps_the_websocket_shut():
    shut = door(token="sesame")
    assert connect(shut, "/stream?token=sesame", OWN) == SHUT
    assert greeted(connect(shut, "/stream", OWN | {"cookie": "introspect_token=sesame"}))


def test_token_link_cannot_send_the_visitor_elsewhere():
    answer = ask(door(token="sesame"), "//evil.example/?token=sesame")
    assert answer.headers["location"].startswith("/evil.example")


def test_token_cookie_is_out_of_reach_of_scripts_and_other_sites():
    cookie = ask(door(token="sesame"), "/?token=sesame").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
