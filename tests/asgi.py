"""Speaks to an ASGI app without a server: what a browser sends, header by header."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

HOME = "127.0.0.1:8501"


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers (lower case), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def _scope(kind: str, url: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
    path, _, query = url.partition("?")
    named = headers if any(name == "host" for name, _ in headers) else [("host", HOME), *headers]
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in named],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8501),
        "subprotocols": [],
        "state": {},
    }


def ask(app: Any, url: str, method: str = "GET", headers: Any = (), content: bytes = b"") -> Answer:
    """One HTTP request; `headers` are a dict or pairs, the Host is ours unless named."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    told: list[dict[str, Any]] = []
    sent = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(sent, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    asyncio.run(app(_scope("http", url, pairs) | {"method": method}, receive, send))
    start = next(message for message in told if message["type"] == "http.response.start")
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    body = (message for message in told if message["type"] == "http.response.body")
    return Answer(start["status"], named, b"".join(part.get("body", b"") for part in body))


def connect(app: Any, url: str, headers: Any = ()) -> list[dict[str, Any]]:
    """Opens a websocket and leaves; every message the app sent."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    told: list[dict[str, Any]] = []
    sent = iter([{"type": "websocket.connect"}])

    async def receive() -> dict[str, Any]:
        return next(sent, {"type": "websocket.disconnect", "code": 1000})

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    asyncio.run(app(_scope("websocket", url, pairs), receive, send))
    return told
