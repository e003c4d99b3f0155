"""What the first visitor would wait for, begun while their browser still fetches the page."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

from introspect import quarantine
from introspect.errors import IntrospectError

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Warms up in a thread of its own for as long as the server starts and runs."""
    threading.Thread(target=warm, name="introspect-warm", daemon=True).start()
    yield {}


def warm() -> None:
    """Loads torch, the atlas that opens first with its map, and what will read the uploads."""
    # Outside a visitor's run Streamlit warns at every use of its caches that there is no visitor.
    streamlit_log = logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context")
    level = streamlit_log.level
    streamlit_log.setLevel(logging.ERROR)
    try:
        from introspect.ui import session, shelf
        from introspect.ui.payload import pack_map

        first = next(iter(shelf.books().values()), None)
        if first is not None and not first.problem:
            session.cached(pack_map, session.load(first.path, first.modified))
    except IntrospectError:
        _log.warning("the first atlas could not be opened ahead", exc_info=True)
    finally:
        streamlit_log.setLevel(level)
    # Only now, so that it takes nothing from the first map: the parent of what reads uploads.
    quarantine.warm()
