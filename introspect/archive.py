"""One file to send: the current version of an atlas as a stored zip, and its way back in.

What comes in may be anyone's. Nothing is believed before it is checked, and nothing stays behind
when a check fails.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import struct
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from introspect import manifest
from introspect.errors import BadInput
from introspect.store import (
    check_space,
    open_folder,
    replace,
    write_folder,
    writing,
)

MEMBERS = re.compile(
    r"""settings\.json | points\.parquet | classes\.parquet
      | (weights|umap|checkpoints)\.safetensors
      | model/(graph\.json|model\.safetensors)
      | thumbs/(thumbs\.json|[0-9]{3,5}\.(webp|jpg|png))
      | samples/((x|rows)\.npy|meta\.json|thumbs\.json|[0-9]{3,5}\.webp)
      | activations/[A-Za-z0-9_-]{1,64}\.npy""",
    re.VERBOSE | re.ASCII,
)
"""The files an atlas may consist of, beside manifest.json."""

TAIL, TAIL_64, LOCATOR_64 = 22, 56, 20
DIRECTORY_LIMIT = 4 * 2**20
ENCRYPTED = 0x1 | 0x40 | 0x2000
CHUNK = 2**20
UNREADABLE = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    UnicodeDecodeError,
)
"""What the standard library raises on the headers of a damaged zip."""


@dataclass(frozen=True)
class Caps:
    """How much an archive may hold; sizes in bytes."""

    members: int = 4096
    member: int = 6 * 2**30
    total: int = 8 * 2**30
    text: int = 64 * 2**20


def is_member(name: str) -> bool:
    """Whether an atlas may consist of a file of this name."""
    return MEMBERS.fullmatch(name) is not None


def pack(
    path: str | Path,
    zip_path: str | Path,
    *,
    kind: str = "atlas",
    allow: Callable[[str], bool] = is_member,
    activations: bool = False,
) -> Path:
    """Writes the current version as one stored zip, in one step; an older zip is replaced.

    Args:
        path: the atlas folder.
        zip_path: the file to write.
        kind: what the folder must hold.
        allow: which names `unpack` will accept.
        activations: whether the recorded activations travel too; they are most of the size.

    Raises:
        BadInput: the folder is missing or damaged, or the disk is full.
    """
    version, zip_path = open_folder(path, kind=kind), Path(zip_path)
    listed = manifest.read(version, path)
    files = {
        name: entry
        for name, entry in listed["files"].items()
        if activations or not name.startswith("activations/")
    }
    refused = next((name for name in files if not allow(name)), None)
    if refused is not None:
        raise ValueError(f"{refused} is not among the files an archive may hold.")
    text = json.dumps({**listed, "files": files}, indent=1).encode()
    temporary = zip_path.with_name(f".{zip_path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with writing(zip_path):
        check_space(zip_path.parent, sum(entry["size"] for entry in files.values()))
        try:
            with open(temporary, "xb") as stream:
                with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                    # No clock goes in: the same version gives the same bytes.
                    archive.writestr(zipfile.ZipInfo("manifest.json"), text)
                    for name in sorted(files):
                        member = zipfile.ZipInfo(name)
                        member.file_size = files[name]["size"]
                        with open(version / name, "rb") as source:
                            with archive.open(member, "w") as target:
                                while block := source.read(CHUNK):
                                    target.write(block)
                stream.flush()
                os.fsync(stream.fileno())
            replace(temporary, zip_path)
        except FileNotFoundError as error:
            raise BadInput(f"{path} was changed while it was packed: try again.") from error
        finally:
            temporary.unlink(missing_ok=True)
    return zip_path


def unpack(
    zip_path: str | Path,
    path: str | Path,
    *,
    kind: str = "atlas",
    allow: Callable[[str], bool] = is_member,
    caps: Caps | None = None,
) -> Path:
    """Makes a folder of an archive that anyone may have made.

    Accepted are stored members of known names, each of the size and sha256 the manifest states;
    then no member can grow, overlap, leave the folder or be something else than a file.

    Args:
        zip_path: the archive.
        path: the folder to make; it must not hold anything yet.
        kind: what the archive must hold.
        allow: which names are known.
        caps: how much it may hold.

    Returns:
        The folder of the version.

    Raises:
        NewerFormat: a newer Introspect wrote it.
        BadInput: it is damaged, hostile or too large, or the disk is full; nothing stays.
    """
    zip_path, path, caps = Path(zip_path), Path(path), caps or Caps()
    if (path / "CURRENT").exists() or (path / "manifest.json").exists():
        raise BadInput(f"There already is something at {path}: choose another name.")
    name = zip_path.name
    try:
        with open(zip_path, "rb") as stream:
            _check_directory(stream, name)
            with zipfile.ZipFile(stream) as archive:
                members = _check_members(archive, name, allow, caps)
                files = _check_manifest(archive, members, name, kind)
                total = sum(entry["size"] for entry in files.values())

                def fill(folder: Path) -> None:
                    for member, entry in files.items():
                        _extract(archive, members[member], entry, folder / member, name)

                return write_folder(path, fill, kind=kind, size=total)
    except FileNotFoundError as error:
        if zip_path.exists():
            raise
        raise BadInput(f"There is no file at {zip_path}: check the name.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise BadInput(f"{zip_path} cannot be read: it is no file, or you may not.") from error
    except UNREADABLE as error:
        raise BadInput(f"{name} is damaged: it is no whole zip file.") from error
    except OSError as error:
        # A header that points before the file's beginning.
        if error.errno != errno.EINVAL:
            raise
        raise BadInput(f"{name} is damaged: it is no whole zip file.") from error


def _check_directory(stream: BinaryIO, name: str) -> None:
    """Bounds the list of members before anything reads it.

    The end of the file must be the plain end of a zip: with a comment behind it, two readers may
    disagree on where the list is.
    """
    length = stream.seek(0, os.SEEK_END)
    if length < TAIL:
        raise BadInput(f"{name} is damaged: it is no whole zip file.")
    stream.seek(-TAIL, os.SEEK_END)
    tail = stream.read(TAIL)
    if tail[:4] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise BadInput(f"{name} is damaged: it is no whole zip file.")
    size = struct.unpack_from("<I", tail, 12)[0]
    before = TAIL + LOCATOR_64 + TAIL_64
    if length >= before:
        stream.seek(-before, os.SEEK_END)
        large = stream.read(TAIL_64 + LOCATOR_64)
        if large[TAIL_64 : TAIL_64 + 4] == b"PK\x06\x07":
            size = struct.unpack_from("<Q", large, 40)[0]
    if size > DIRECTORY_LIMIT:
        raise BadInput(f"{name} is refused: its list of files is too long for an atlas.")
    stream.seek(0)


def _check_members(
    archive: zipfile.ZipFile, name: str, allow: Callable[[str], bool], caps: Caps
) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > caps.members:
        raise BadInput(f"{name} is refused: it holds more than {caps.members} files.")
    members: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    total = 0
    for info in infos:
        member = info.filename
        shown = repr(member[:60])
        if member != "manifest.json" and not (manifest.is_inside(member) and allow(member)):
            raise BadInput(f"{name} is refused: {shown} is no file an atlas consists of.")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BadInput(f"{name} is refused: {shown} is a link or a device, not a file.")
        if info.flag_bits & ENCRYPTED:
            raise BadInput(f"{name} is refused: it is encrypted; export it without a password.")
        if member.casefold() in seen:
            raise BadInput(f"{name} is refused: {shown} is in it twice.")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BadInput(
                f"{name} is refused: {shown} is compressed; use the file that Introspect exported, "
                "not one zipped again."
            )
        if info.file_size > (caps.text if member.endswith(".json") else caps.member):
            raise BadInput(f"{name} is refused: {shown} is larger than allowed.")
        seen.add(member.casefold())
        total += info.file_size
        members[member] = info
    # More than the file itself has: members that overlap.
    if total > min(caps.total, os.fstat(archive.fp.fileno()).st_size if archive.fp else 0):
        raise BadInput(f"{name} is refused: its files are larger than allowed in sum.")
    if "manifest.json" not in members:
        raise BadInput(f"{name} is no atlas: it has no manifest.json.")
    return members


def _check_manifest(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, kind: str
) -> dict[str, Any]:
    with archive.open(members["manifest.json"]) as source:
        listed = manifest.parse(source.read(manifest.LIMIT + 1), name)
    manifest.check_kind(listed, kind, name)
    files = listed["files"]
    for member in members.keys() - files.keys() - {"manifest.json"}:
        raise BadInput(f"{name} is refused: its manifest.json does not list {member}.")
    for member, entry in files.items():
        if member not in members:
            raise BadInput(f"{name} is damaged: {member[:60]!r} is missing.")
        if members[member].file_size != entry["size"]:
            raise BadInput(f"{name} is damaged: {member} does not have the size it should.")
    return files


def _extract(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    entry: dict[str, Any],
    target: Path,
    name: str,
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    seen, count = sha256(), 0
    with archive.open(info) as source, open(target, "xb") as stream:
        while block := source.read(CHUNK):
            count += len(block)
            if count > entry["size"]:
                break
            seen.update(block)
            stream.write(block)
    if count != entry["size"] or seen.hexdigest() != entry["sha256"]:
        raise BadInput(f"{name} is damaged: the content of {info.filename} has changed.")
