"""Model files of unknown origin: what a file is, and its canonical form, made in quarantine.

A file is only ever parsed in the quarantine child; here, its first bytes are looked at.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from introspect import quarantine
from introspect.errors import BadInput
from introspect.formats.canonical import DOCUMENT, WEIGHTS
from introspect.formats.safetensors import check_header
from introspect.formats.sniff import READABLE, look
from introspect.process import lock
from introspect.quarantine import Limits
from introspect.store import cache_dir, write_file

KEPT = 31 * 86_400.0
PARSE = "introspect.formats.reader:parse_upload"
LIMITS = Limits(memory=8 << 30, cpu=120, output=5 << 30, files=64, seconds=180)
BESIDE = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Opened:
    """What the quarantine child made of a file: a folder of our own two files, and notes."""

    folder: Path
    has_document: bool
    notes: tuple[str, ...]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS


def open_model(
    path: Path,
    kind: str,
    limits: Limits = LIMITS,
    on_wait: Callable[[], None] | None = None,
) -> Opened:
    """Has the quarantine child turn a model file into canonical weights; kept for the next time.

    Args:
        kind: as `sniff` says.

    Raises:
        BadInput: it is not a file that can be read; says why in one sentence.
    """
    if kind not in READABLE:
        raise BadInput(look(path).refused or f"{path.name} is no model file.")
    if kind == "safetensors":
        check_header(path)
    facts = path.stat()
    said = f"{path.resolve()}:{facts.st_size}:{facts.st_mtime_ns}:{kind}"
    home = cache_dir() / "opened"
    home.mkdir(parents=True, exist_ok=True)
    _forget_old(home)
    folder = home / hashlib.sha256(said.encode()).hexdigest()[:32]
    folder.mkdir(exist_ok=True)
    about = folder / "about.json"
    with lock(folder / ".reading"):
        if not about.is_file():
            told = quarantine.run(PARSE, path, folder, limits, on_wait, [kind])
            write_file(about, json.dumps(told).encode())
    told = json.loads(about.read_bytes())
    check_header(folder / WEIGHTS)
    return Opened(folder, (folder / DOCUMENT).is_file(), tuple(map(str, told.get("notes", []))))


def _forget_old(home: Path) -> None:
    for folder in home.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT:
            shutil.rmtree(folder, ignore_errors=True)
