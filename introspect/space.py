"""Whose files are meant: on a shared server every visitor has a space of their own.

At home there is one person, and every atlas, upload and job is theirs: `whose()` is None. A shared
server tells `whose` how to learn which visitor is being served (`introspect.ui.visitors`); what is
kept for them then lies in a folder that no name typed by another can reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

SPACE = re.compile(r"[0-9a-f]{32}")


def _at_home() -> str | None:
    return None


_teller: Callable[[], str | None] = _at_home


def whose() -> str | None:
    """The space of the visitor being served: 32 hex digits, None where there is one person only."""
    space = _teller()
    if space is not None and not SPACE.fullmatch(space):
        raise ValueError("A space is named by 32 hex digits.")
    return space


def told_by(teller: Callable[[], str | None]) -> None:
    """Says whom to ask from now on; called once by the server."""
    global _teller
    _teller = teller


def within(folder: Path) -> Path:
    """The visitor's own part of a folder, made when missing; the folder itself at home."""
    space = whose()
    if space is None:
        return folder
    own = folder / "visitors" / space
    own.mkdir(parents=True, exist_ok=True)
    return own
