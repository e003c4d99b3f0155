"""Who holds what: an identity no reused pid can fake, and a lock that dies with its holder."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def started(pid: int) -> str | None:
    """When a process began, as an opaque word to compare; None when no such process runs."""
    if pid <= 0:
        return None
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # A zombie has ended: it only waits for its parent to ask how.
        return None if fields[0] in "ZX" else fields[19]
    if sys.platform == "win32":
        return _started_on_windows(pid)
    said = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    if len(said) < 2 or said[0].startswith("Z"):
        return None
    return "".join(character for character in said[1] if character.isalnum())


def _started_on_windows(pid: int) -> str | None:
    import ctypes

    kernel = ctypes.WinDLL("kernel32")  # pyright: ignore[reportAttributeAccessIssue]
    kernel.OpenProcess.restype = ctypes.c_void_p
    limited_query, still_active = 0x1000, 259
    process = kernel.OpenProcess(limited_query, False, pid)
    if not process:
        return None
    handle = ctypes.c_void_p(process)
    try:
        code = ctypes.c_ulong()
        times = (ctypes.c_ulonglong * 4)()
        places = [ctypes.byref(times, 8 * index) for index in range(4)]
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        if not (known and kernel.GetProcessTimes(handle, *places)) or code.value != still_active:
            return None
        return str(times[0])
    finally:
        kernel.CloseHandle(handle)


@dataclass(frozen=True)
class Owner:
    """One process on one machine; written as `pid-started-host`."""

    pid: int
    started: str
    host: str

    @classmethod
    def me(cls) -> Owner:
        return cls(os.getpid(), started(os.getpid()) or "0", _host())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        parts = text.split("-")
        if len(parts) != 3 or not parts[0].isascii() or not parts[0].isdigit():
            return None
        return cls(int(parts[0]), parts[1], parts[2])

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}-{self.host}"

    @property
    def here(self) -> bool:
        """Whether it ran on this machine; of another machine's processes nothing can be known."""
        return self.host == _host()

    @property
    def alive(self) -> bool:
        return self.here and started(self.pid) == self.started


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds an exclusive lock on a file; the system frees it when the holder ends, however it ends.

    The file stays: removing it would let two processes lock two different files of one name.

    Args:
        path: the lock file, made when missing; its folder must exist.
        wait: whether to wait for the other holder; without it, yields False when there is one.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        held = _take(descriptor)
        while wait and not held:
            time.sleep(0.02)
            held = _take(descriptor)
        yield held
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
