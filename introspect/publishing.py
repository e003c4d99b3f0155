"""An atlas shown to all visitors of a shared server, and taken back again."""

from __future__ import annotations

import json

from introspect import library, limits
from introspect.errors import BadInput
from introspect.library import SUFFIX, Entry, Kind
from introspect.process import lock
from introspect.space import whose
from introspect.store import common_dir, library_dir, write_file


def publish(entry: Entry) -> Entry:
    """Lets every visitor open an atlas of one's own; `take_back` undoes it.

    Raises:
        BadInput: it is not one's own, was moved elsewhere, or there is nobody to show it to.
    """
    if whose() is None:
        raise BadInput("This server has one visitor only: there is nobody to publish it for.")
    if entry.kind != "mine":
        raise BadInput(f"{entry.name} is not one of your atlases: only those can be published.")
    with lock(common_dir() / ".lock"):
        name = entry.name
        number = 1
        while (common_dir() / f"{name}{SUFFIX}").exists():
            number += 1
            name = f"{entry.name[:70]} {number}"
        # The note comes first: an atlas of nobody could never be taken back.
        _write(limits.published() | {name: str(whose())})
        library.move(entry, common_dir() / f"{name}{SUFFIX}")
    return _found(name, "published")


def take_back(entry: Entry) -> Entry:
    """Makes a published atlas private again; whoever has it open keeps what they see.

    Raises:
        BadInput: another visitor has published it, or it was taken back already.
    """
    if entry.kind != "published" or limits.published().get(entry.name) != whose():
        raise BadInput(f"{entry.name} is not yours: only who published it can take it back.")
    with lock(common_dir() / ".lock"):
        name, number = entry.name, 1
        while (library_dir() / f"{name}{SUFFIX}").exists():
            number += 1
            name = f"{entry.name[:70]} {number}"
        library.move(entry, library_dir() / f"{name}{SUFFIX}")
        _write({key: space for key, space in limits.published().items() if key != entry.name})
    return _found(name, "mine")


def _write(publishers: dict[str, str]) -> None:
    write_file(common_dir() / limits.PUBLISHED, json.dumps(publishers, sort_keys=True).encode())


def _found(name: str, kind: Kind) -> Entry:
    return next(entry for entry in library.shelf() if (entry.name, entry.kind) == (name, kind))
