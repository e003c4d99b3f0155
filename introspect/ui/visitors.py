"""Who is asking: on a shared server every browser gets an id of its own, in a signed cookie.

At home, where requests come from this machine itself, there is one person and no cookie. As soon as
a request comes from elsewhere (or the server is said to be shared) the sender is a visitor: what
they upload, build and run is theirs, and a request without a cookie of ours belongs to nobody.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from introspect import space
from introspect.process import lock
from introspect.store import common_dir, write_file

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers that a proxy adds: behind one, requests come from this machine and yet from anywhere."""

MOST_SESSIONS = 20_000
_EVERYBODY = "0" * 32
"""The space in which nobody keeps anything: it shows what all visitors see."""


class Sessions:
    """To which visitor every session of Streamlit belongs, the oldest forgotten first."""

    def __init__(self) -> None:
        self._spaces: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, session: str, owner: str) -> None:
        """Says whose a session is; the first word stands."""
        with self._lock:
            self._spaces.setdefault(session, owner)
            while len(self._spaces) > MOST_SESSIONS:
                self._spaces.popitem(last=False)

    def whose(self, session: str) -> str | None:
        with self._lock:
            return self._spaces.get(session)


SESSIONS = Sessions()


def is_shared() -> bool:
    """Whether every request comes from a visitor, wherever it was sent from.

    `INTROSPECT_SHARED` says so (1) or denies it even for requests from elsewhere (0).
    """
    told = os.environ.get("INTROSPECT_SHARED", "")
    if told:
        return told != "0"
    if os.environ.get("INTROSPECT_PASSWORD") or os.environ.get("INTROSPECT_HOSTS") or by_name():
        return True
    from streamlit import config

    address = config.get_option("server.address")
    return address not in (None, *LOOPBACK)


def by_name() -> bool:
    """Whether people log in by name: Streamlit's secrets have a section [auth]."""
    from streamlit.auth_util import get_secrets_auth_section

    return bool(get_secrets_auth_section())


def is_visitor(sender: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request was sent by a visitor, not by the one person who is at home here.

    Args:
        sender: the address it came from, None where nothing is known of it.
        headers: its headers, by lower-case names.
    """
    if is_shared():
        return True
    if os.environ.get("INTROSPECT_SHARED") == "0":
        return False
    if any(name in headers for name in FORWARDED):
        return True
    try:
        return not ipaddress.ip_address(sender or "").is_loopback
    except ValueError:
        return True


def cookie_name() -> str:
    """Two servers on one machine share its cookies, but not their names."""
    return f"introspect_visitor_{_sign('name', '')[:8]}"


def issue() -> str:
    """A cookie for a new visitor: 128 random bits and our signature."""
    identity = secrets.token_hex(16)
    return f"{identity}.{_sign('visitor', identity)}"


def read_cookie(cookies: Mapping[str, str]) -> str | None:
    """The space of the visitor who sent these cookies, None without a valid one of ours.

    Folders bear the name of the space: from that neither the id nor the cookie can be told.
    """
    identity, _, signature = cookies.get(cookie_name(), "").partition(".")
    if not space.SPACE.fullmatch(identity):
        return None
    if not hmac.compare_digest(signature.encode(), _sign("visitor", identity).encode()):
        return None
    return space_of("visitor", identity)


def space_of(kind: str, identity: str) -> str:
    """The space of a visitor, or of someone who has logged in by name."""
    return _sign(f"space of {kind}", identity)[:32]


def nobody() -> str:
    """The space of requests that show no cookie of ours: it is empty, and no other reaches it."""
    return space_of("nobody", secrets.token_hex(16))


def whose() -> str | None:
    """The space of the visitor for whom the page is being drawn, None for the person at home."""
    from streamlit.runtime import exists, get_instance
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    context = get_script_run_ctx(suppress_warning=True)
    if context is None or not exists():
        # A thread that serves everybody, as at the start of the server.
        return _EVERYBODY if is_shared() else None
    known = SESSIONS.whose(context.session_id)
    if known is not None:
        return known
    # Streamlit's own st.context hides the address of this machine.
    client = get_instance().get_client(context.session_id)
    request = None if client is None else client.client_context
    sender = getattr(request, "remote_ip", "")
    if request is None or not isinstance(sender, str | None):
        return _EVERYBODY if is_shared() else None
    headers = {name.lower(): value for name, value in request.headers}
    if not is_visitor(sender, headers):
        return None
    from introspect.ui import login

    own = login.named_space(request.cookies) or read_cookie(request.cookies) or nobody()
    SESSIONS.note(context.session_id, own)
    return own


def sign(purpose: str, text: str) -> str:
    """What only this server can write beside a text, and only for one purpose: 64 hex digits."""
    return _sign(purpose, text)


def _sign(purpose: str, text: str) -> str:
    key = _secret(common_dir() / ".secret")
    return hmac.new(key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=8)
def _secret(path: Path) -> bytes:
    """The key of this server: made once, readable by its owner alone."""
    with lock(path.with_name(".secret.lock")):
        if not path.is_file() or len(path.read_bytes()) < 32:
            previous = os.umask(0o177)
            try:
                write_file(path, secrets.token_bytes(32))
            finally:
                os.umask(previous)
        return path.read_bytes()


space.told_by(whose)
