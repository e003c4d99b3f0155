"""The list of files of one stored version, read from anyone's text without trusting it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from introspect import __version__
from introspect.errors import BadInput, NewerFormat

FORMAT = 2
"""The version of the folder's layout; a reader refuses a larger one."""

LIMIT = 16 * 2**20
"""Bytes a list of files may have."""

FORBIDDEN = re.compile(r'[\x00-\x1f\\:*?"<>|]')


def describe(files: dict[str, dict[str, Any]], **fields: Any) -> bytes:
    """The text of a manifest: format, versions of the packages that wrote it, and its files.

    Args:
        files: name -> {"size": bytes, "sha256": hex}.
        fields: what else to say: kind, version, parent, created.
    """
    versions = {"introspect": __version__, "torch": _torch_version()}
    return json.dumps({"format": FORMAT, **fields, **versions, "files": files}, indent=1).encode()


def read(folder: Path, name: str | Path) -> dict[str, Any]:
    """The manifest of a version's folder; `name` is what a sentence calls it.

    Raises:
        NewerFormat: a newer Introspect wrote it.
        BadInput: it is missing or damaged, or lists names that leave the folder.
    """
    try:
        with open(folder / "manifest.json", "rb") as file:
            text = file.read(LIMIT + 1)
    except OSError:
        raise BadInput(f"{name} is damaged: manifest.json is missing.") from None
    return parse(text, name)


def parse(text: bytes, name: str | Path) -> dict[str, Any]:
    """The manifest in a text; raises as `read` does."""
    damaged = BadInput(f"{name} is damaged: its manifest.json cannot be read.")
    if len(text) > LIMIT:
        raise damaged
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        raise damaged
    if manifest["format"] > FORMAT:
        raise NewerFormat(
            f"{name} was written by a newer version of Introspect (format {manifest['format']}, "
            f"this one reads up to {FORMAT}): update Introspect to open it."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("kind"), str):
        raise damaged
    for member, entry in files.items():
        if not is_inside(member) or not isinstance(entry, dict):
            raise damaged
        if type(entry.get("size")) is not int or not isinstance(entry.get("sha256"), str):
            raise damaged
    return manifest


def check_kind(manifest: dict[str, Any], kind: str, name: str | Path) -> None:
    """Refuses a folder that holds something else than what is asked for."""
    if manifest["kind"] != kind:
        raise BadInput(f"{name} holds a {manifest['kind'][:40]!r}, where {kind!r} is needed.")


def is_inside(name: str) -> bool:
    """Whether a relative name stays in its folder, on every operating system."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "/".join(parts) != name:
        return False
    return all(part != ".." and not FORBIDDEN.search(part) for part in parts)


def digest(file: Path) -> str:
    """The sha256 of a file, in hex."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _torch_version() -> str | None:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None
