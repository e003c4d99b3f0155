"""What the app serves beside the pages: our JavaScript, and blobs by the hash of their content.

Both never change under their address, so a browser asks for each once. Endpoints are plain
functions: Starlette runs them in threads, beside the event loop that all visitors share.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from introspect.space import whose

FRONTEND = Path(__file__).parent / "frontend"
VISITOR = "introspect.visitor"
"""Where the guard notes in an ASGI scope which visitor's space a request belongs to."""

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
KINDS = {".js": "text/javascript", ".css": "text/css"}


class Blobs:
    """Bytes and files kept by content hash, the least recently used forgotten first.

    Args:
        capacity: most bytes held in memory; files count nothing.
        entries: most blobs of either sort.
    """

    def __init__(self, capacity: int = 1 << 29, entries: int = 20_000) -> None:
        self.capacity = capacity
        self.entries = entries
        self._held: OrderedDict[str, tuple[bytes | Path, str]] = OrderedDict()
        self._readers: dict[str, set[str | None]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def publish(self, parts: Mapping[str, bytes | Path], kinds: Mapping[str, str]) -> None:
        """Makes every part available under its hash; parts already here become recent again.

        Only the visitor for whom the page is being drawn may read them, and whoever else was shown
        the same: that a blob is named by its content is no way to find out what others have.
        """
        reader = whose()
        with self._lock:
            for key, body in parts.items():
                self._readers.setdefault(key, set()).add(reader)
                if key not in self._held:
                    self._size += _weight(body)
                self._held[key] = (body, kinds.get(key, "application/octet-stream"))
                self._held.move_to_end(key)
            while self._size > self.capacity or len(self._held) > self.entries:
                if len(self._held) <= len(parts):
                    break
                gone, (body, _) = self._held.popitem(last=False)
                self._readers.pop(gone, None)
                self._size -= _weight(body)

    def read(self, key: str, reader: str | None = None) -> tuple[bytes, str] | None:
        """The bytes and media type kept under a hash, None when this reader has none (any more).

        Args:
            key: the hash.
            reader: the space of the visitor who asks, None at home.
        """
        with self._lock:
            found = self._held.get(key) if reader in self._readers.get(key, ()) else None
            if found is not None:
                self._held.move_to_end(key)
        if found is None:
            return None
        body, kind = found
        try:
            return (body.read_bytes() if isinstance(body, Path) else body), kind
        except OSError:
            return None


def _weight(body: bytes | Path) -> int:
    return len(body) if isinstance(body, bytes) else 0


BLOBS = Blobs()


def version() -> str:
    """A hash of all our frontend files: the folder name under which they are served."""
    files = sorted(path for path in FRONTEND.iterdir() if path.suffix in KINDS)
    return _version(tuple((path.name, path.stat().st_mtime_ns) for path in files))


@functools.lru_cache(maxsize=4)
def _version(files: tuple[tuple[str, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, _ in files:
        digest.update(name.encode() + b"\0" + (FRONTEND / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def send_blob(request: Request) -> Response:
    """A blob by its hash."""
    found = BLOBS.read(request.path_params["key"], request.scope.get(VISITOR))
    if found is None:
        return PlainTextResponse("This part is gone; reload the page.", status_code=404)
    body, kind = found
    return Response(body, media_type=kind, headers=FOREVER)


def send_code(request: Request) -> Response:
    """A JavaScript module or stylesheet of ours, under the hash of all of them together."""
    path = FRONTEND / Path(request.path_params["name"]).name
    known = path.suffix in KINDS and path.is_file()
    if not known or request.path_params["version"] != version():
        return PlainTextResponse("Introspect was updated; reload the page.", status_code=404)
    return Response(path.read_bytes(), media_type=KINDS[path.suffix], headers=FOREVER)


def base() -> str:
    """The path in front of all our addresses: empty unless Streamlit serves below a folder."""
    from streamlit import config

    folder = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{folder}" if folder else ""


ROUTES: list[BaseRoute] = [
    Route(base() + "/introspect/blob/{key}", send_blob, methods=["GET"]),
    Route(base() + "/introspect/code/{version}/{name}", send_code, methods=["GET"]),
]
