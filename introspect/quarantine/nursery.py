"""A warm parent: it has imported the readers and forks a child per upload, in milliseconds.

The parent is a process of its own with an empty environment. It never looks at an upload: it
takes orders over a socket, forks, and says how each child ended. Linux only; elsewhere a fork of
a process that has loaded torch is not safe, and every child starts from nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from introspect.quarantine.child import FUNCTIONS, Order, obey

MAX_ORDER = 1 << 16
IDLE = 900.0
"""Seconds without work after which the warm parent frees its memory and ends."""

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from introspect.quarantine import nursery; nursery.serve()"
)
_STATUS = struct.Struct("<i")
_ROOT = str(Path(__file__).resolve().parents[2])


def possible() -> bool:
    """Whether this system can keep a warm parent."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


def environment() -> dict[str, str]:
    """All a child gets to know of the environment: how many threads it may start."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "ARROW")}
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE", **threads}
    # Windows starts no program without it
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return own | kept


class Lost(ConnectionError):
    """The warm parent ended before the child did."""


class Ward:
    """One child of the warm parent, as seen by the process that ordered it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def wait(self, seconds: float) -> int | None:
        """How the child ended, minus the signal's number if by one; None if it still runs.

        Raises:
            Lost: nobody is left to tell.
        """
        self._line.settimeout(max(seconds, 1e-3))
        try:
            told = self._line.recv(_STATUS.size)
        except TimeoutError:
            return None
        except OSError:
            told = b""
        if len(told) != _STATUS.size:
            raise Lost("the warm parent has ended")
        return _STATUS.unpack(told)[0]

    def end(self) -> None:
        """Ends the child and all it started, and waits for that; harmless afterwards."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
            self._line.settimeout(5)
            while self._line.recv(_STATUS.size):
                continue
        self._line.close()


class Nursery:
    """The way to one warm parent, started at the first order and again should it have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def warm(self) -> None:
        """Starts the parent unless it runs; returns at once, the imports go on over there."""
        with self._lock:
            self._ensure()

    def order(self, order: Order) -> Ward:
        """Has a child forked for this order."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            try:
                control = self._ensure()
                _send(control, order, theirs)
            except OSError:
                self._forget()
                _send(self._ensure(), order, theirs)
        return Ward(ours)

    @property
    def pid(self) -> int | None:
        """The warm parent's process id, while there is one."""
        return None if self._process is None else self._process.pid

    def _ensure(self) -> socket.socket:
        if self._owner != os.getpid():
            # A fork of this process must not speak over its parent's line.
            self._control = self._process = None
        if self._process is not None and self._process.poll() is not None:
            self._forget()
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _BOOT, _ROOT],
                    env=environment(),
                    cwd="/",
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._control, self._owner = ours, os.getpid()
        return self._control

    def end(self) -> None:
        """Ends the parent, if it is not gone already; the next order starts another."""
        with self._lock:
            if self._owner == os.getpid():
                self._forget()

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


def _send(control: socket.socket, order: Order, line: socket.socket) -> None:
    socket.send_fds(control, [order.dump().encode()], [line.fileno()])


@dataclass
class _Running:
    pid: int
    pidfd: int
    line: socket.socket


def serve() -> None:
    """The warm parent's whole life: import, then fork a child for every order until nobody asks."""
    control = socket.socket(fileno=os.dup(0))
    _preload()
    children: dict[int, _Running] = {}
    watch = selectors.DefaultSelector()
    watch.register(control, selectors.EVENT_READ)
    quiet = time.monotonic()
    while True:
        ready = watch.select(30.0)
        if not ready and not children and time.monotonic() - quiet > IDLE:
            return
        for key, _ in ready:
            quiet = time.monotonic()
            if key.fileobj is control:
                child = _receive(control, watch)
                if child is None:
                    for running in children.values():
                        _kill(running.pid)
                    return
                if child.pid == 0:
                    continue
                children[child.pid] = child
                watch.register(child.pidfd, selectors.EVENT_READ, child)
                watch.register(child.line, selectors.EVENT_READ, child)
                continue
            child = key.data
            if children.get(child.pid) is not child:
                continue
            # Until it is waited for, nobody else can get its number: killing is safe.
            _kill(child.pid)
            if key.fileobj is child.line:
                watch.unregister(child.line)
                select.select([child.pidfd], [], [], 10)
            _bury(child, watch)
            del children[child.pid]


def _receive(control: socket.socket, watch: selectors.BaseSelector) -> _Running | None:
    """Forks a child for the next order; None when there will be no more, pid 0 when it failed."""
    try:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_ORDER, 1)
    except OSError:
        return None
    if not message or not descriptors:
        return None
    line = socket.socket(fileno=descriptors[0])
    try:
        pid = os.fork()
    except OSError:
        with line, contextlib.suppress(OSError):
            line.send(_STATUS.pack(-int(signal.SIGKILL)))
        return _Running(0, -1, line)
    if pid == 0:
        status = 1
        try:
            os.setsid()
            _die_with_parent()
            os.closerange(3, 1 << 10)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
            obey(Order.parse(message))
            status = 0
        finally:
            # never back into the loop of the parent, whatever happened
            os._exit(status)
    return _Running(pid, os.pidfd_open(pid), line)


def _die_with_parent() -> None:
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL))


def _kill(pid: int) -> None:
    # its session may not have begun yet, or may hold more than itself
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def _bury(child: _Running, watch: selectors.BaseSelector) -> None:
    _, status = os.waitpid(child.pid, 0)
    with contextlib.suppress(KeyError, ValueError):
        watch.unregister(child.line)
    watch.unregister(child.pidfd)
    os.close(child.pidfd)
    with contextlib.suppress(OSError):
        child.line.send(_STATUS.pack(os.waitstatus_to_exitcode(status)))
    child.line.close()


def _preload() -> None:
    """Imports what children will need; none of it may start a thread, or a fork would lose it."""
    import ctypes  # noqa: F401
    import gc

    import safetensors.torch  # noqa: F401
    import torch
    import torch._dynamo  # noqa: F401  (what runs on the meta device asks for it, seconds long)

    from introspect.formats.reader import GRAPHS, READERS

    for place in (*FUNCTIONS, *READERS.values(), *GRAPHS.values()):
        import_module(place.partition(":")[0])
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
