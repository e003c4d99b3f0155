"""The atlases a visitor can open: bundled ones, one's own, and folders opened from elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import streamlit as st

from introspect import library
from introspect.errors import BadInput
from introspect.library import Entry
from introspect.space import whose
from introspect.store import library_dir, open_folder, write_file

MOST_OPENED = 20


def books() -> dict[str, Entry]:
    """Every atlas by the name that stands in the URL; the one given at start comes first.

    Looked up at most every two seconds for each visitor; `changed` makes the next look fresh.
    """
    return _books(whose())


@st.cache_resource(ttl=2, max_entries=200, show_spinner=False)
def _books(space: str | None) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    # Published ones last: nobody's atlas takes the name, and the links, of another's own.
    for entry in sorted(library.shelf(), key=lambda entry: entry.kind == "published"):
        found[_name(entry.path, found)] = entry
    for path in _opened():
        if entry := library.describe(path, "opened"):
            found[_name(path, found)] = entry
    first = _given()
    order = sorted(found.items(), key=lambda item: (item[1].path != first, item[1].problem != ""))
    return dict(order)


def changed() -> None:
    """Says that an atlas came, went or got another name."""
    _books.clear()


def open_path(text: str) -> str:
    """Puts an atlas folder that lies elsewhere on the shelf, and answers its name there.

    Raises:
        BadInput: it is no whole atlas folder.
    """
    if whose() is not None:
        raise BadInput("This server is shared: folders of its machine are not opened from here.")
    path = Path(text.strip().strip("'\"")).expanduser().resolve()
    open_folder(path)
    if path.parent != library_dir().resolve():
        _remember([path, *(other for other in _opened() if other != path)])
    changed()
    return next(name for name, entry in books().items() if entry.path.resolve() == path)


def forget(entry: Entry) -> None:
    """Takes a folder opened from elsewhere off the shelf; its files stay."""
    _remember([path for path in _opened() if path != entry.path])
    changed()


def _name(path: Path, taken: dict[str, Entry]) -> str:
    stem = path.name.removesuffix(library.SUFFIX)
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem} {number}"
    return name


def _opened() -> list[Path]:
    """Folders outside the library, the one given on the command line first."""
    try:
        listed = json.loads((library_dir() / "opened.json").read_bytes())
    except (OSError, ValueError):
        listed = []
    paths = [Path(text) for text in listed if isinstance(text, str)]
    given = _given()
    own = {entry.path.resolve() for entry in library.shelf()}
    return [
        path
        for path in dict.fromkeys([given, *paths] if given else paths)
        if path.resolve() not in own
    ]


def _given() -> Path | None:
    named = os.environ.get("INTROSPECT_ATLAS")
    return Path(named) if named else None


def _remember(paths: list[Path]) -> None:
    text = json.dumps([str(path) for path in paths[:MOST_OPENED]])
    write_file(library_dir() / "opened.json", text.encode())
