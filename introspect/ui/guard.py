"""One door for every request: pages, websocket, uploads and blobs pass the same checks.

The app listens on this machine, so what threatens it is another web page open in the same
browser. Such a page can point a name of its own at 127.0.0.1 (DNS rebinding: refused by the Host
check), open our websocket or post to us (refused by the Origin check), or embed our pictures
(refused by the Fetch-Metadata check). The answers carry a content policy under which a page can
load nothing from elsewhere: that the app works offline and tells nobody is enforced by the browser.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import os
import re
import socket
from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from introspect.ui import login, visitors
from introspect.ui.routes import VISITOR

COOKIE = "introspect_token"
YEAR = 365 * 86_400
UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/")
LONGEST_FORM = 4096
NOBODY = "nobody"
NEW = "introspect.new_visitor"
NEVER_KEPT = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
"""For the forms: under "no-referrer" a browser would post them with the origin "null"."""

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "connect-src 'self' data: blob: {sockets}",
        "worker-src 'self' blob:",
        "frame-src 'self' blob: data:",
        "frame-ancestors 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For anything that is not our page or script: even an SVG opened on its own may run nothing."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """Refuses requests that no visitor of ours would send, and seals the answers.

    Args:
        app: the application behind the door.
        hosts: further names this server may be called by, beside localhost and this machine's own.
        token: a shared secret; when set, a visitor shows it once as `?token=` and then by cookie.
        password: a shared secret that people type in; None leaves the server open.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = (),
        token: str | None = None,
        password: str | None = None,
    ) -> None:
        self.app = app
        self.password = password or None
        self.hosts = {"localhost", socket.gethostname().lower(), *(name.lower() for name in hosts)}
        self.token = token or None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self.refusal(scope, headers)
        if refusal is None:
            refusal = self._without_token(scope, headers)
        if refusal is None:
            refusal = await self._visit(scope, receive, headers)
        if refusal is None:
            await self.app(scope, receive, self._sealing(headers, send, scope))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await refusal(scope, receive, self._sealing(headers, send, scope))

    async def _visit(self, scope: Scope, receive: Receive, headers: Headers) -> Response | None:
        """Notes whose request this is; turns away who is not logged in or reaches for another's."""
        sender = (scope.get("client") or ("", 0))[0]
        names = visitors.by_name()
        if not (self.password or visitors.is_visitor(sender, headers)):
            return None
        cookies = _cookies(headers)
        visitor = visitors.read_cookie(cookies)
        if visitor is None and scope["type"] == "http":
            scope[NEW] = visitors.issue()
        path = scope["path"].removeprefix(login.base())
        if names and path not in login.AUTH_PATHS:
            told = login.person(cookies)
            if told is None or not login.is_welcome(told):
                return _ask_name(told is not None)
            visitor = login.named_space(cookies)
        if self.password is not None and not names:
            if path == login.PATH:
                return await self._try_password(scope, receive, sender, visitor)
            if not login.has_pass(cookies, visitor, self.password):
                return HTMLResponse(login.password_form(), status_code=401, headers=NEVER_KEPT)
        # Who has no cookie yet may fetch what is the same for all, and gets one with the answer.
        scope[VISITOR] = visitor or NOBODY
        sessions = _sessions_named(scope, path, headers)
        if any(visitors.SESSIONS.whose(session) != visitor for session in sessions):
            return PlainTextResponse("This is another visitor's, or gone.", status_code=404)
        if visitor is None and scope["type"] == "websocket":
            return PlainTextResponse("Reload the page.", status_code=401)
        return None

    async def _try_password(
        self, scope: Scope, receive: Receive, sender: str, visitor: str | None
    ) -> Response:
        if scope["type"] != "http" or scope["method"] != "POST" or self.password is None:
            return RedirectResponse(f"{login.base()}/", status_code=303, headers=NEVER_KEPT)
        if wait := login.TRIED.begin(sender):
            told = f"Too many wrong passwords: try again in {math.ceil(wait / 60)} min."
            return HTMLResponse(
                login.password_form(told),
                status_code=429,
                headers=NEVER_KEPT | {"Retry-After": str(math.ceil(wait))},
            )
        if visitor is None:
            told = "The browser keeps no cookies of this server: allow them and try again."
            return HTMLResponse(login.password_form(told), status_code=401, headers=NEVER_KEPT)
        given = await _form_field(Request(scope, receive), "password")
        if not login.is_right(given, self.password):
            told = "That is not the password."
            return HTMLResponse(login.password_form(told), status_code=401, headers=NEVER_KEPT)
        login.TRIED.forgive(sender)
        answer = RedirectResponse(f"{login.base()}/", status_code=303, headers=NEVER_KEPT)
        answer.set_cookie(
            login.cookie_name(),
            login.pass_for(visitor, self.password),
            max_age=login.LASTS,
            httponly=True,
            samesite="lax",
            secure=_is_secure(scope),
        )
        return answer

    def refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why this request is turned away as an answer to send, or None for a welcome one."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._own(host):
            return PlainTextResponse(
                "This server does not answer to that name; open it as http://localhost and its "
                "port, or start it with INTROSPECT_HOSTS set to the name.",
                status_code=421,
            )
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if origin is not None and changes and origin.partition("://")[2].lower() != host.lower():
            return PlainTextResponse("Requests from another site are refused.", status_code=403)
        visit = headers.get("sec-fetch-dest") == "document" and not changes
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not visit:
            return PlainTextResponse("Requests from another site are refused.", status_code=403)
        return None

    def _own(self, host: str) -> bool:
        # A rebinding attack needs a name of the attacker's own: a bare address is always safe.
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
            urlsplit(f"//{host}").port  # noqa: B018 (raises on a malformed port)
        except ValueError:
            return False
        if not name or "@" in host or "/" in host:
            return False
        if name in self.hosts or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self.token is None:
            return None
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        if morsel is not None and hmac.compare_digest(morsel.value.encode(), self.token.encode()):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = dict(query).get("token", "")
        if scope["type"] == "http" and hmac.compare_digest(shown.encode(), self.token.encode()):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            # One leading slash only: "//elsewhere" would send the visitor to another site.
            path = "/" + scope["path"].lstrip("/\\")
            answer = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse(
            "This server asks for a token: open the link with ?token= that its owner gave you.",
            status_code=401,
        )

    def _sealing(self, request: Headers, send: Send, scope: Scope) -> Send:
        host = request.get("host", "")
        # Older browsers do not count a websocket to the same host as 'self'.
        sockets = f"ws://{host} wss://{host}" if self._own(host) else ""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                kind = headers.get("content-type", "").split(";")[0].strip()
                ours = kind in ("text/html", "text/javascript", "application/javascript")
                # "Not modified" has no type; a policy in it would replace the stored one.
                if message["status"] != 304:
                    headers["Content-Security-Policy"] = (
                        PAGE_POLICY.format(sockets=sockets).strip() if ours else FILE_POLICY
                    )
                for name, value in HEADERS.items():
                    if name != "Referrer-Policy" or headers.get(name) != "same-origin":
                        headers[name] = value
                # With pages only: what a page loads at once must not bring several cookies.
                page = message["status"] == 304 and request.get("sec-fetch-dest") == "document"
                if NEW in scope and (page or kind == "text/html"):
                    headers.append("Set-Cookie", _visitor_cookie(scope))
            await send(message)

        return sealed


def _cookies(headers: Headers) -> dict[str, str]:
    # As Streamlit and Starlette read them: SimpleCookie drops all after one it finds odd.
    return cookie_parser("; ".join(headers.getlist("cookie")))


def _visitor_cookie(scope: Scope) -> str:
    answer = Response()
    answer.set_cookie(
        visitors.cookie_name(),
        scope[NEW],
        max_age=YEAR,
        httponly=True,
        samesite="lax",
        secure=_is_secure(scope),
    )
    return answer.headers["set-cookie"]


def _is_secure(scope: Scope) -> bool:
    told = Headers(scope=scope).get("x-forwarded-proto", "")
    return "https" in (scope.get("scheme"), told.split(",")[0].strip())


def _sessions_named(scope: Scope, path: str, headers: Headers) -> list[str]:
    """Sessions of Streamlit that a request names: to upload to, or to come back to."""
    if scope["type"] == "websocket":
        # Protocol, token against forged requests, and the session to go on with.
        told = [part.strip() for part in headers.get("sec-websocket-protocol", "").split(",")]
        return [session for session in told[2:3] if session and visitors.SESSIONS.whose(session)]
    return UPLOAD.findall(path)


async def _form_field(request: Request, name: str) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return ""
    fields: dict[str, Any] = dict(parse_qsl(body.decode("utf-8", "replace")))
    return fields.get(name, "")


def _ask_name(known: bool) -> Response:
    told = (
        "This account may not enter here: log in with another, or ask the owner." if known else ""
    )
    return HTMLResponse(login.name_form(told if known else ""), status_code=401, headers=NEVER_KEPT)


def middleware(
    hosts: Iterable[str] = (), token: str | None = None, password: str | None = None
) -> Middleware:
    """The guard as `st.App(middleware=[...])` wants it."""
    return Middleware(Guard, hosts=tuple(hosts), token=token, password=password)


GUARD = middleware(
    hosts=filter(None, os.environ.get("INTROSPECT_HOSTS", "").replace(",", " ").split()),
    token=os.environ.get("INTROSPECT_TOKEN"),
    password=os.environ.get("INTROSPECT_PASSWORD"),
)
"""The guard of the shipped app, set up by INTROSPECT_HOSTS, _TOKEN and _PASSWORD."""
