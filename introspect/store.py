"""Folders that survive a kill, a full disk and two writers at once.

A folder holds whole versions and a pointer: `CURRENT` names `v<number>-<8 hex>/`, whose
`manifest.json`, written last, lists every file with its size and sha256. A version never changes
after it has its name, so a reader that opened one keeps it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs

from introspect import manifest
from introspect.errors import BadInput, NewerFormat
from introspect.manifest import FORMAT, digest
from introspect.process import Owner, lock
from introspect.space import within

__all__ = [
    "FORMAT",
    "cache_dir",
    "check_space",
    "common_dir",
    "library_dir",
    "open_folder",
    "write_file",
    "write_folder",
    "writing",
]

VERSION = re.compile(r"v(\d{6,18})-[0-9a-f]{8}")
TEMPORARY = ".tmp-"
POINTER = ".CURRENT."
ABANDONED_AFTER = 86_400.0


def cache_dir() -> Path:
    """Where things that can be made again are kept: `$INTROSPECT_CACHE`, else the user's cache."""
    return _own_folder("INTROSPECT_CACHE", platformdirs.user_cache_path("introspect", False))


def library_dir() -> Path:
    """Where the app keeps one's atlases: all of `common_dir`, or a visitor's own part of it."""
    return within(common_dir())


def common_dir() -> Path:
    """Where the app keeps everybody's atlases: `$INTROSPECT_HOME`, else the user's data folder."""
    return _own_folder("INTROSPECT_HOME", platformdirs.user_data_path("introspect", False))


def _own_folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable) or default).expanduser()
    with writing(folder, advice=f"set {variable} to a folder you may write in"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_file(path: str | Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Replaces a file in one step: a reader sees the old bytes or the new ones, never a mixture.

    Args:
        path: the file; its folder must exist.
        data: the whole new content.
        durable: whether to wait for the disk; False where only other processes need to see it.

    Raises:
        BadInput: the disk is full or the folder may not be written; the old file stays.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with writing(path):
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            replace(temporary, path, durable=durable)
        finally:
            temporary.unlink(missing_ok=True)


def write_folder(
    path: str | Path,
    fill: Callable[[Path], None],
    *,
    kind: str = "atlas",
    keep: int = 1,
    size: int = 0,
) -> Path:
    """Writes a new version of a folder and makes it the current one, in one step that cannot tear.

    The order of research on 60 random kills: files, their fsync, the manifest, a rename to a name
    never used before, the pointer. Several writers may work at once; the last pointer wins.

    Args:
        path: the folder, made when missing.
        fill: called with an empty folder to write the files in.
        kind: what is stored, checked again on opening.
        keep: how many earlier versions stay for readers that have them open.
        size: bytes about to be written where known, to refuse early on a full disk.

    Returns:
        The folder of the new version.

    Raises:
        BadInput: the disk is full, the folder may not be written or holds something else.
    """
    path = Path(path)
    _check_place(path, kind)
    temporary = path / f"{TEMPORARY}{Owner.me()}-{uuid.uuid4().hex[:8]}"
    with writing(path):
        try:
            # Both at once: another writer's failed first save may remove the empty folder.
            temporary.mkdir(parents=True)
            check_space(path, size)
            fill(temporary)
            files = _seal(temporary)
            with lock(path / ".lock"):
                version = _commit(path, temporary, files, kind)
                _sweep(path, version, keep)
        except FileNotFoundError as error:
            if temporary.exists():
                raise
            raise BadInput(f"{path} was moved or deleted while it was written.") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            with contextlib.suppress(OSError):
                # Only an empty folder goes: one that a failed first save has left.
                path.rmdir()
    return version


def open_folder(path: str | Path, *, kind: str = "atlas", verify: bool = False) -> Path:
    """The folder of the current version, after checking that every file is there and whole.

    Args:
        path: the folder; one version alone (a manifest without `CURRENT`) opens too.
        kind: what it must hold.
        verify: whether to compare sha256 as well as sizes.

    Raises:
        NewerFormat: a newer Introspect wrote it.
        BadInput: it is missing, something else, or damaged; names the file.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"There is no {kind} at {path}: check the name.")
    if not path.is_dir():
        raise BadInput(f"{path} is a file, where a folder ({kind}) is needed.")
    version = _current(path)
    # Two saves may remove a version between the reading of its name and its opening.
    for _ in range(20):
        try:
            return _checked(path, version, kind, verify)
        except BadInput:
            newer = _current(path)
            if newer == version:
                raise
            version = newer
    return _checked(path, version, kind, verify)


def replace(source: Path, target: Path, *, durable: bool = True) -> None:
    """Moves a file over another in one step; waits a little for readers on Windows."""
    for attempt in range(50):
        try:
            os.replace(source, target)
            break
        except PermissionError:
            if os.name != "nt" or attempt == 49:
                raise
            time.sleep(0.02)
    if durable:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk (Windows does so by itself)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_space(folder: Path, size: int) -> None:
    """Refuses to begin when the disk has no room for `size` bytes and a little more."""
    if size <= 0:
        return
    free = shutil.disk_usage(folder).free
    if free < size + 16 * 2**20:
        raise BadInput(
            f"The disk is full: {folder} needs {size / 2**20:.0f} MB and {free / 2**20:.0f} MB "
            "are free; make room or choose another disk."
        )


@contextlib.contextmanager
def writing(path: Path, advice: str = "choose another folder") -> Iterator[None]:
    """Turns the system's refusal to write into one sentence (`BadInput`) that says what to do."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise BadInput(
                f"The disk is full: {path} was not written and what was there before is "
                "unchanged; make room and try again."
            ) from error
        refused = (PermissionError, FileExistsError, NotADirectoryError)
        if isinstance(error, refused) or getattr(error, "errno", None) == errno.EROFS:
            raise BadInput(f"{path} cannot be written ({error}): {advice}.") from error
        raise


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one beneath it, says that the disk, quota or file limit is full.

    Libraries in other languages (safetensors, Arrow) keep the system's words, not its number.
    """
    words = ("No space left on device", "Disk quota exceeded", "File too large", "not enough space")
    while error is not None:
        if isinstance(error, OSError) and error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
        ):
            return True
        if any(word in str(error) for word in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def _check_place(path: Path, kind: str) -> None:
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file: choose another name for the {kind}.")
    if not path.is_dir():
        return
    if (path / "CURRENT").exists() or (path / "manifest.json").exists():
        try:
            present = manifest.read(_current(path), path)
        except NewerFormat:
            raise
        except BadInput:
            # A damaged folder of ours may be saved over.
            return
        manifest.check_kind(present, kind, path)
    elif any(not _is_ours(entry.name) for entry in path.iterdir()):
        raise BadInput(f"{path} is not empty and holds no {kind}: choose another name.")


def _is_ours(name: str) -> bool:
    return name.startswith((TEMPORARY, POINTER, ".lock")) or VERSION.fullmatch(name) is not None


def _seal(folder: Path) -> dict[str, dict[str, Any]]:
    """Puts every file on the disk; returns name -> size and sha256."""
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_dir():
            sync_folder(file)
            continue
        with open(file, "rb") as stream:
            name = file.relative_to(folder).as_posix()
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            files[name] = {"size": file.stat().st_size, "sha256": sha256}
            if os.name != "nt":
                os.fsync(stream.fileno())
    return files


def _commit(path: Path, temporary: Path, files: dict[str, Any], kind: str) -> Path:
    """Names the finished version and points at it; the caller holds the folder's lock."""
    numbers = [int(match[1]) for match in map(VERSION.fullmatch, os.listdir(path)) if match]
    version = path / f"v{max(numbers, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}"
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = manifest.describe(
        files, kind=kind, version=version.name, parent=_parent(path), created=created
    )
    write_file(temporary / "manifest.json", text)
    os.rename(temporary, version)
    sync_folder(path)
    write_file(path / "CURRENT", f"{version.name}\n".encode())
    return version


def _sweep(path: Path, version: Path, keep: int) -> None:
    """Removes old versions and what dead writers left; the caller holds the folder's lock."""
    kept = {version.name}
    for _ in range(keep):
        try:
            parent = manifest.read(version, path).get("parent")
        except BadInput:
            break
        if not isinstance(parent, str) or not VERSION.fullmatch(parent):
            break
        kept.add(parent)
        version = path / parent
    for name in os.listdir(path):
        old = VERSION.fullmatch(name) is not None and name not in kept
        if old or (name.startswith(TEMPORARY) and _is_abandoned(path / name)):
            shutil.rmtree(path / name, ignore_errors=True)
        elif name.startswith(POINTER):
            (path / name).unlink(missing_ok=True)


def _is_abandoned(temporary: Path) -> bool:
    owner = Owner.parse(temporary.name.removeprefix(TEMPORARY).rpartition("-")[0])
    if owner is not None and owner.here:
        return not owner.alive
    try:
        return time.time() - temporary.stat().st_mtime > ABANDONED_AFTER
    except OSError:
        return False


def _parent(path: Path) -> str | None:
    try:
        parent = _current(path)
    except BadInput:
        return None
    return parent.name if parent != path and parent.is_dir() else None


def _current(path: Path) -> Path:
    try:
        with open(path / "CURRENT", "rb") as file:
            name = file.read(64).decode("ascii", "replace").strip()
    except OSError:
        if (path / "manifest.json").is_file():
            return path
        raise BadInput(f"{path} is no folder of ours: it has no CURRENT file.") from None
    if not VERSION.fullmatch(name):
        raise BadInput(f"{path} is damaged: its CURRENT file names no version.")
    return path / name


def _checked(path: Path, version: Path, kind: str, verify: bool) -> Path:
    listed = manifest.read(version, path)
    manifest.check_kind(listed, kind, path)
    for name, entry in listed["files"].items():
        file = version / name
        try:
            size = file.stat().st_size
        except OSError:
            raise BadInput(f"{path} is damaged: {name} is missing.") from None
        if size != entry["size"]:
            raise BadInput(
                f"{path} is damaged: {name} has {size} bytes instead of {entry['size']}."
            )
        if verify and digest(file) != entry["sha256"]:
            raise BadInput(f"{path} is damaged: the content of {name} has changed.")
    return version
