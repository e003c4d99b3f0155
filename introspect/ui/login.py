"""The way in to a server that is not open to everyone: a shared password, or a login by name.

`INTROSPECT_PASSWORD` sets the password. A login by name (OIDC) is Streamlit's own, configured in
the section [auth] of `.streamlit/secrets.toml`; here its signed cookie is checked for every kind of
request. `INTROSPECT_USERS` names who may enter: addresses, or @domains, separated by blanks.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from introspect.ui import visitors

PATH = "/introspect/login"
LASTS = 30 * 86_400
"""Seconds until the password is asked for again."""

AUTH_PATHS = ("/auth/login", "/auth/logout", "/oauth2callback")
"""Streamlit's own, which lead to the provider and back: open to those who are not in yet."""

TRIES, PERIOD, ALL_TRIES = 10, 300.0, 300
"""Wrong passwords allowed in so many seconds from one address, and from all together."""

FORM = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Introspect</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ display: grid; place-items: center; min-height: 90vh; margin: 0 1rem; }}
main {{ width: min(22rem, 100%); }}
input, button, a.button {{ box-sizing: border-box; width: 100%; font: inherit; padding: .5rem .7rem;
  margin-top: .6rem; border: 1px solid #8889; border-radius: .5rem; }}
button, a.button {{ display: block; text-align: center; text-decoration: none; cursor: pointer;
  background: #2b6cb0; border-color: #2b6cb0; color: #fff; }}
p[role=alert] {{ color: light-dark(#b00020, #ff8a80); }}
</style><main><h1>Introspect</h1>{body}</main></html>"""


class Tries:
    """Wrong passwords of late, by the address they came from."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, sender: str) -> float:
        """Counts a try as wrong before it is looked at, so that many at once gain nothing.

        Returns:
            0 when it may be made, else seconds to wait.
        """
        now = time.monotonic()
        with self._lock:
            for name in list(self._wrong):
                recent = [when for when in self._wrong[name] if now - when < PERIOD]
                if recent:
                    self._wrong[name] = recent
                else:
                    del self._wrong[name]
            own = self._wrong.get(_network(sender), [])
            every = sum(map(len, self._wrong.values()))
            if len(own) >= TRIES or every >= ALL_TRIES:
                oldest = min(own or [now], default=now)
                return max(1.0, PERIOD - (now - oldest))
            self._wrong.setdefault(_network(sender), []).append(now)
        return 0.0

    def forgive(self, sender: str) -> None:
        """Takes back the last try: the password was right."""
        with self._lock:
            own = self._wrong.get(_network(sender))
            if own:
                own.pop()


TRIED = Tries()


def _network(sender: str) -> str:
    """An address, or of IPv6 the network: one person has 2^64 addresses there."""
    try:
        address = ipaddress.ip_address(sender)
    except ValueError:
        return sender
    return str(address) if address.version == 4 else str(int(address) >> 64)


def cookie_name() -> str:
    return visitors.cookie_name().replace("visitor", "login")


def is_right(given: str, password: str) -> bool:
    """Compares in a time that tells nothing, not even of the password's length."""
    key = os.urandom(16)
    seen, known = (hmac.digest(key, text.encode(), hashlib.sha256) for text in (given, password))
    return hmac.compare_digest(seen, known)


def pass_for(visitor: str, password: str) -> str:
    """A cookie that says a visitor knew the password; another password makes it worthless."""
    until = str(int(time.time()) + LASTS)
    return f"{until}.{_seal(visitor, password, until)}"


def has_pass(cookies: Mapping[str, str], visitor: str | None, password: str) -> bool:
    """Whether a visitor has shown the password, not too long ago."""
    until, _, seal = cookies.get(cookie_name(), "").partition(".")
    if visitor is None or not until.isascii() or not until.isdigit():
        return False
    right = hmac.compare_digest(seal.encode(), _seal(visitor, password, until).encode())
    return right and int(until) > time.time()


def _seal(visitor: str, password: str, until: str) -> str:
    return visitors.sign("login", f"{visitor}\0{until}\0{visitors.sign('password', password)}")


def password_form(problem: str = "") -> str:
    """The page that asks for the password."""
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return FORM.format(
        body=f'<form method="post" action="{base()}{PATH}">'
        '<label for="password">This server asks for a password.</label>'
        '<input id="password" name="password" type="password" required autofocus '
        f'autocomplete="current-password">{told}<button>Enter</button></form>'
    )


def name_form(problem: str = "") -> str:
    """The page that leads to the login by name."""
    from streamlit.user_info import generate_login_redirect_url

    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    link = html.escape(generate_login_redirect_url("default"), quote=True)
    return FORM.format(
        body=f'<p>This server asks who you are.</p>{told}<a class="button" href="{link}">Log in</a>'
    )


def base() -> str:
    from introspect.ui.routes import base

    return base()


def person(cookies: Mapping[str, str]) -> dict[str, Any] | None:
    """What the provider said of the person who has logged in, None without a valid cookie."""
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    def one(name: str) -> bytes | None:
        found = cookies.get(name)
        if found is None:
            return None
        return decode_signed_value(get_cookie_secret(), name, found.encode("latin-1", "replace"))

    try:
        told = json.loads(get_cookie_with_chunks(one, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return None
    known = isinstance(told, dict) and told.get("is_logged_in") is True and told.get("sub")
    return told if known else None


def is_welcome(told: Mapping[str, Any]) -> bool:
    """Whether someone the provider knows may enter here, by `INTROSPECT_USERS`."""
    allowed = os.environ.get("INTROSPECT_USERS", "").replace(",", " ").lower().split()
    if not allowed:
        return True
    email = str(told.get("email", "")).lower()
    if told.get("email_verified") is False or email.count("@") != 1:
        return False
    return any(
        email.endswith(entry) if entry.startswith("@") else email == entry for entry in allowed
    )


def named_space(cookies: Mapping[str, str]) -> str | None:
    """The space of a person who has logged in by name: the same from every browser of theirs."""
    told = person(cookies) if visitors.by_name() else None
    if told is None or not is_welcome(told):
        return None
    return visitors.space_of("person", f"{told.get('iss', '')}\0{told['sub']}")
