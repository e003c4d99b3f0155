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
LARGE_END, LOCATOR = 56, 20
"""Bytes of the end of a zip for large files, and of what says where it is."""
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
        check_list(path)
        with zipfile.ZipFile(path) as archive:
            yield archive, _check_members(path, archive)
    except DAMAGE as error:
        raise BadInput(f"{path.name} is damaged or cut short: save or upload it again.") from error


def check_list(path: Path) -> None:
    """Bounds the list of members, which the standard library reads whole, before it is read.

    The end of a zip tells where the list is, and an end for large files before it overrules that
    whether it is needed or not: so does the standard library.

    Raises:
        zipfile.BadZipFile: there is no end of a zip.
        BadInput: the list is longer than any model's.
    """
    size = path.stat().st_size
    before = max(0, size - (1 << 16) - 128)
    with path.open("rb") as stream:
        stream.seek(before)
        tail = stream.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise zipfile.BadZipFile
        length = struct.unpack_from("<I", tail, at + 12)[0]
        large = at - LOCATOR - LARGE_END
        if large >= 0 and tail[large:].startswith(b"PK\x06\x06"):
            if tail[large + LARGE_END :].startswith(b"PK\x06\x07"):
                length, at = struct.unpack_from("<Q", tail, large + 40)[0], large
        if length > min(LIST_BYTES, before + at):
            raise BadInput(f"{path.name} lists far more files than a model has.")
        stream.seek(before + at - length)
        # a member takes much more memory than its line in the list
        if stream.read(length).count(b"PK\x01\x02") > MEMBERS:
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
