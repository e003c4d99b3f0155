"""The shelf of atlases: what is there, under which name, and a way back for what was deleted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from introspect import limits, manifest
from introspect.archive import Caps, unpack
from introspect.bundled import sample_atlases
from introspect.errors import BadInput
from introspect.process import lock
from introspect.space import whose
from introspect.store import cache_dir, common_dir, library_dir, open_folder, writing

SUFFIX = ".atlas"
KEPT_IN_TRASH = 30 * 86_400.0
KEPT_IN_CACHE = 30 * 86_400.0
"""Seconds since the last use after which an unpacked zip or a half-done build is dropped."""

SETTINGS_LIMIT = 16 * 2**20
UPLOAD = ".upload-"
UPLOAD_LASTS = 86_400.0
TOKEN = re.compile(r"[0-9a-f]{16}")
Kind = Literal["bundled", "mine", "opened", "published"]
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One atlas on the shelf."""

    name: str
    path: Path
    kind: Kind
    size: int
    """Bytes of its current version."""
    modified: float
    """When it was last saved, in seconds since 1970."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What its settings.json says; empty where it cannot be read."""
    problem: str = ""
    """Why it cannot be opened, in one sentence; empty for a whole atlas."""
    own: bool = False
    """Whether the visitor who looks has published it."""


@dataclass(frozen=True)
class Deleted:
    """One atlas in the trash; `restore` takes its token."""

    token: str
    name: str
    when: float


def shelf() -> list[Entry]:
    """Every atlas the app can open by name: bundled, published by visitors, one's own.

    One's own come newest first.
    """
    _purge()
    bundled = [describe(path, "bundled") for path in _bundled()]
    common = [describe(path, "published") for path in _common()]
    mine = [describe(path, "mine") for path in _mine()]
    publishers = limits.published() if common else {}
    shown = [replace(entry, own=publishers.get(entry.name) == whose()) for entry in common if entry]
    found = sorted(filter(None, bundled), key=lambda entry: entry.name)
    found += sorted(shown, key=lambda entry: entry.name)
    return found + sorted(filter(None, mine), key=lambda entry: -entry.modified)


def find(name: str | Path) -> Path:
    """The folder of an atlas: a bundled name, a name on the shelf, a folder or an exported zip.

    A zip is unpacked into the cache once.

    Raises:
        BadInput: there is none, or the zip is damaged.
    """
    text = str(name)
    for path in [*_bundled(), *_common(), *_mine()]:
        if path.name.removesuffix(SUFFIX) == unicodedata.normalize("NFC", text):
            return path
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        return _unpacked(path)
    every = [*_bundled(), *_common(), *_mine()]
    known = ", ".join(path.name.removesuffix(SUFFIX) for path in every[:12])
    raise BadInput(
        f"There is no atlas {text!r}: give a folder, an exported zip or one of these names: "
        f"{known or 'none yet'}."
    )


def place(name: str) -> Path:
    """Where a new atlas of this name goes.

    Raises:
        BadInput: the name cannot be a file name, or is taken, or a visitor has as many as allowed.
    """
    name = _clean(name)
    limits.check_atlases(len(_mine()))
    if _is_taken(name):
        raise BadInput(f"There already is an atlas called {name!r}: choose another name.")
    return library_dir() / f"{name}{SUFFIX}"


def free_name(name: str) -> str:
    """The name, or with the first number behind it that is not taken."""
    stem = _clean(name)
    free, number = stem, 1
    while _is_taken(free):
        number += 1
        free = f"{stem[:70]} {number}"
    return free


def add(file: BinaryIO, name: str, caps: Caps | None = None) -> Entry:
    """Puts an uploaded zip on the shelf, under a free name.

    Args:
        file: the upload, read in pieces.
        name: what it was called; only a start for its name here.
        caps: how much it may hold.

    Raises:
        BadInput: as `introspect.archive.unpack`; nothing stays.
    """
    caps = caps or Caps()
    limits.check_atlases(len(_mine()))
    name = re.split(r"[/\\]", name)[-1]
    stem = _tamed(re.sub(r"(\.atlas)?(\.zip)?$", "", name, flags=re.IGNORECASE))
    spool = library_dir() / f"{UPLOAD}{secrets.token_hex(8)}"
    spool.mkdir()
    try:
        upload = spool / f"{stem}.zip"
        with writing(upload), open(upload, "xb") as stream:
            while block := file.read(2**20):
                stream.write(block)
                if stream.tell() > caps.total:
                    raise BadInput(f"{upload.name} is refused: it is larger than allowed.")
        made = spool / "made.atlas"
        unpack(upload, made, caps=caps)
        upload.unlink()
        limits.check_room()
        with _locked():
            path = library_dir() / f"{free_name(stem)}{SUFFIX}"
            made.rename(path)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    return _known(path)


def rename(entry: Entry, new_name: str) -> Entry:
    """Gives an atlas of one's own another name.

    Raises:
        BadInput: it is bundled, gone, or the name is taken or cannot be a file name.
    """
    _check_mine(entry)
    name = _clean(new_name)
    with _locked():
        if name == entry.name:
            return _known(entry.path)
        # Upper and lower case are one name on many disks, but may change in place.
        if _is_taken(name) and name.casefold() != entry.name.casefold():
            raise BadInput(f"There already is an atlas called {name!r}: choose another name.")
        target = library_dir() / f"{name}{SUFFIX}"
        move(entry, target)
    return _known(target)


def delete(entry: Entry) -> str:
    """Moves an atlas of one's own to the trash, where it stays for 30 days.

    Returns:
        The token that `restore` takes.

    Raises:
        BadInput: it is bundled or already gone.
    """
    _check_mine(entry)
    token = secrets.token_hex(8)
    with _locked():
        bag = _trash_dir() / token
        bag.mkdir(parents=True)
        try:
            move(entry, bag / entry.path.name)
        except BadInput:
            bag.rmdir()
            raise
    return token


def restore(token: str) -> Entry:
    """Takes an atlas out of the trash, under another name where its own is taken by now.

    Raises:
        BadInput: it is not there any more.
    """
    with _locked():
        kept = [deleted for deleted in trash() if deleted.token == token]
        if not kept:
            raise BadInput("It cannot be brought back: it was restored already, or is too old.")
        bag = _trash_dir() / token
        path = library_dir() / f"{free_name(kept[0].name)}{SUFFIX}"
        (bag / f"{kept[0].name}{SUFFIX}").rename(path)
        bag.rmdir()
    return _known(path)


def trash() -> list[Deleted]:
    """What can be restored, the last deleted first."""
    kept = []
    for bag in _listed(_trash_dir()):
        if TOKEN.fullmatch(bag.name):
            for path in _listed(bag):
                with contextlib.suppress(OSError):
                    name = path.name.removesuffix(SUFFIX)
                    kept.append(Deleted(bag.name, name, bag.stat().st_mtime))
    return sorted(kept, key=lambda deleted: -deleted.when)


def _purge() -> None:
    for deleted in trash():
        if time.time() - deleted.when > KEPT_IN_TRASH:
            shutil.rmtree(_trash_dir() / deleted.token, ignore_errors=True)
    for place in (cache_dir() / "unpacked", cache_dir() / "builds"):
        for made in _listed(place):
            with contextlib.suppress(OSError):
                if made.is_dir() and time.time() - made.stat().st_mtime > KEPT_IN_CACHE:
                    shutil.rmtree(made, ignore_errors=True)
    for spool in _listed(library_dir()):
        if spool.name.startswith(UPLOAD):
            with contextlib.suppress(OSError):
                if time.time() - spool.stat().st_mtime > UPLOAD_LASTS:
                    shutil.rmtree(spool, ignore_errors=True)


def _bundled() -> list[Path]:
    return list(sample_atlases().values())


def _mine() -> list[Path]:
    return _atlases(library_dir())


def _common() -> list[Path]:
    """What all visitors see beside their own; at home there is nothing beside one's own."""
    return [] if whose() is None else _atlases(common_dir())


def _atlases(folder: Path) -> list[Path]:
    return [
        path
        for path in _listed(folder)
        if path.name.endswith(SUFFIX) and not path.name.startswith(".") and _is_begun(path)
    ]


def _is_begun(path: Path) -> bool:
    """Whether it has a version; one that is still being built for the first time has none."""
    return (path / "CURRENT").is_file()


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def describe(path: Path, kind: Kind) -> Entry | None:
    """What the shelf shows of a folder; None when another tab has moved it a moment ago."""
    name, size, summary, problem = path.name.removesuffix(SUFFIX), 0, {}, ""
    try:
        modified = (path / "CURRENT").stat().st_mtime
        version = open_folder(path)
        size = sum(entry["size"] for entry in manifest.read(version, path)["files"].values())
        with open(version / "settings.json", "rb") as file:
            summary = json.loads(file.read(SETTINGS_LIMIT))
        if not isinstance(summary, dict):
            raise ValueError("settings are an object")
    except BadInput as error:
        problem = str(error)
    except (OSError, ValueError, RecursionError):
        problem = f"{path} is damaged: its settings.json cannot be read."
    if not _is_begun(path):
        return None
    return Entry(name, path, kind, size, modified, summary if not problem else {}, problem)


def _known(path: Path) -> Entry:
    entry = describe(path, "mine")
    if entry is None:
        raise BadInput(f"{path.name} was renamed or deleted elsewhere: reload the page.")
    return entry


def _check_mine(entry: Entry) -> None:
    if entry.kind == "bundled":
        raise BadInput(f"{entry.name} comes with Introspect and stays as it is.")
    if entry.kind == "published":
        hint = "take it back first" if entry.own else "only who published it can take it back"
        raise BadInput(f"{entry.name} is published and stays as it is: {hint}.")
    if entry.kind == "opened":
        raise BadInput(f"{entry.name} lies outside the library: rename or delete it in its folder.")


def move(entry: Entry, target: Path) -> None:
    """Gives the folder of an atlas another name or place; the caller holds the library's lock."""
    try:
        entry.path.rename(target)
    except FileNotFoundError:
        raise BadInput(f"{entry.name} was renamed or deleted elsewhere: reload the page.") from None
    except OSError as error:
        raise BadInput(
            f"{entry.name} cannot be moved ({error}): close what has it open."
        ) from error


def _clean(name: str) -> str:
    """The name as a file name on any system."""
    name = unicodedata.normalize("NFC", name).strip().removesuffix(SUFFIX).strip()
    if not name:
        raise BadInput("The atlas needs a name: type at least one character.")
    if len(name) > 80 or len(name.encode("utf-8", "replace")) > 200:
        raise BadInput("The name is too long: use at most 80 characters.")
    # Control and direction characters can make two names look alike.
    hidden = any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name
    )
    if hidden or "/" in name or manifest.FORBIDDEN.search(name):
        raise BadInput(
            'The name cannot be used: leave out / \\ : * ? " < > | and hidden characters.'
        )
    if name[0] == "." or name[-1] == "." or DEVICES.fullmatch(name):
        raise BadInput(f"The name {name!r} cannot be used on every system: choose another.")
    return name


def _tamed(name: str) -> str:
    """A usable name from an unusable one."""
    kept = "".join(c if c.isalnum() or c in " -_()." else " " for c in name)
    kept = " ".join(kept.split()).strip(" .")[:60]
    return "atlas" if not kept or DEVICES.fullmatch(kept) else kept


def _is_taken(name: str) -> bool:
    taken = {path.name.removesuffix(SUFFIX).casefold() for path in _bundled()}
    # One still being built holds its name too.
    for folder in {library_dir(), common_dir()}:
        taken |= {path.name.removesuffix(SUFFIX).casefold() for path in _listed(folder)}
    return name.casefold() in taken


def _unpacked(path: Path) -> Path:
    facts = path.stat()
    key = f"{path.resolve()}\n{facts.st_size}\n{facts.st_mtime_ns}"
    folder = cache_dir() / "unpacked"
    folder.mkdir(exist_ok=True)
    made = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}{SUFFIX}"
    with lock(folder / ".lock"):
        try:
            open_folder(made)
        except BadInput:
            shutil.rmtree(made, ignore_errors=True)
            unpack(path, made)
        os.utime(made)
    return made


def _trash_dir() -> Path:
    return library_dir() / ".trash"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One change to the shelf at a time, whichever process or visitor makes it."""
    with lock(common_dir() / ".lock"):
        yield
