"""The members of a stored zip of unknown origin, checked before any of them is read."""

from __future__ import annotations

import contextlib
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from introspect.errors import BadInput

MEMBERS = 200_000
TOTAL = 8 << 30
LIST_BYTES = 32 << 20
ENCRYPTED = 0x1 | 0x40 | 0x2000
DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    UnicodeDecodeError,
    OSError,
)
"""What the standard library raises on a damaged zip."""


@contextlib.contextmanager
def open_stored(
    path: Path,
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """The archive, and its members by their names below its one folder.

    Accepted are plain members (stored, not encrypted, no links) of one folder, each name once,
    whose sizes add up to no more than the file itself has: nothing can unpack to more than that.

    Raises:
        BadInput: anything else, also while the archive is open.
    """
    try:
        _check_list(path)
        with zipfile.ZipFile(path) as archive:
            yield archive, _check_members(path, archive)
    except DAMAGE as error:
        raise BadInput(f"{path.name} is damaged or cut short: save or upload it again.") from error


def _check_list(path: Path) -> None:
    """Bounds the list of members, which the standard library reads whole, before it is read."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - (1 << 16) - 128))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile
    length = struct.unpack_from("<I", tail, at + 12)[0]
    if length == 0xFFFFFFFF:
        large = tail.rfind(b"PK\x06\x06")
        length = struct.unpack_from("<Q", tail, large + 40)[0] if large >= 0 else size
    if length > min(LIST_BYTES, size):
        raise BadInput(f"{path.name} lists far more files than a model has.")


def _check_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MEMBERS:
        raise BadInput(f"{path.name} holds {len(infos):,} files, far more than a model has.")
    roots = {info.filename.partition("/")[0] for info in infos}
    if len(roots) != 1:
        raise BadInput(f"{path.name} is no exported model: its files are not in one folder.")
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in infos:
        name = info.filename.partition("/")[2]
        shown = repr(info.filename[:60])
        if info.flag_bits & ENCRYPTED:
            raise BadInput(f"{path.name} is encrypted; save the model without a password.")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BadInput(
                f"{path.name} is refused: {shown} is compressed, and torch never compresses; "
                "save the model again instead of zipping it."
            )
        if ".." in info.filename.split("/") or "\\" in info.filename or not name:
            raise BadInput(f"{path.name} is refused: it holds a file with the bad name {shown}.")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BadInput(f"{path.name} is refused: {shown} is a link or a device, not a file.")
        if name in members:
            raise BadInput(f"{path.name} is refused: {shown} is in it twice.")
        total += info.file_size
        members[name] = info
    if total > min(TOTAL, path.stat().st_size):
        raise BadInput(f"{path.name} is refused: its files are larger in sum than the file itself.")
    return members
