"""Quarantine: an upload is parsed in a child process that can hurt nobody but itself.

The child has an empty environment and a session of its own, limits itself before it touches the
file, and may only run a function named in `FUNCTIONS`. It writes its result into the given
folder; whatever goes wrong comes back as one sentence.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from introspect.errors import BadInput
from introspect.quarantine.child import ANSWER, FUNCTIONS, MAX_ANSWER, Limits, Order
from introspect.quarantine.nursery import Lost, Nursery, environment, possible

__all__ = ["FUNCTIONS", "Limits", "run", "warm"]

AT_ONCE = 2
"""Children that read at the same time; more wait, so that memory stays within `AT_ONCE` limits."""

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from introspect.quarantine import child; child.main(sys.argv[2])"
)
_ROOT = str(Path(__file__).resolve().parents[2])
_log = logging.getLogger(__name__)
_turns = threading.BoundedSemaphore(AT_ONCE)
warm_parent = Nursery()
atexit.register(warm_parent.end)


@runtime_checkable
class _Child(Protocol):
    def wait(self, seconds: float) -> int | None:
        """The exit status, or None while it runs."""
        ...

    def end(self) -> None:
        """Ends it and all it started."""
        ...


def warm() -> None:
    """Begins to start the warm parent, so that the first upload need not wait for its imports."""
    if possible():
        warm_parent.warm()


def run(
    function: str,
    path: Path,
    folder: Path,
    limits: Limits | None = None,
    on_wait: Callable[[], None] | None = None,
    words: Sequence[str] = (),
) -> dict[str, Any]:
    """Lets a child turn an uploaded file into plain files of ours.

    Args:
        function: one of `FUNCTIONS`.
        path: the upload.
        folder: where the child works and writes; made when it is not there.
        limits: what it may use up.
        on_wait: called several times a second; may raise, for example `Cancelled`, which ends
            the child.
        words: given to the function after file and folder.

    Returns:
        What the function answered.

    Raises:
        BadInput: the function refused the file, or the child crashed or broke a limit.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"{function} may not run in quarantine")
    limits = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / ANSWER
    order = Order(function, str(path.resolve()), str(folder.resolve()), tuple(words), limits)
    with _turn(on_wait):
        answer.unlink(missing_ok=True)
        status = _perform(order, on_wait)
    result = _read_answer(answer)
    answer.unlink(missing_ok=True)
    if result is None:
        raise BadInput(f"{path.name} {_explain(status, limits)}")
    if "refused" in result:
        raise BadInput(str(result["refused"]))
    if not isinstance(result.get("result"), dict):
        _log.warning("quarantined %s failed: %s", function, result.get("failed"))
        raise BadInput(f"{path.name} could not be read: it is damaged or made in an unknown way.")
    return result["result"]


@contextlib.contextmanager
def _turn(on_wait: Callable[[], None] | None) -> Iterator[None]:
    while not _turns.acquire(timeout=0.1):
        if on_wait is not None:
            on_wait()
    try:
        yield
    finally:
        _turns.release()


def _perform(order: Order, on_wait: Callable[[], None] | None) -> int | None:
    """Has the order done and answers the exit status; None when the clock ran out.

    The warm parent may fall to the system's out-of-memory killer in place of its child: then the
    order is given once more, to a new one.
    """
    for last in (False, True):
        child = warm_parent.order(order) if possible() else _Cold(order)
        try:
            return _await(child, order.limits.seconds, on_wait)
        except Lost:
            if last:
                return -int(signal.SIGKILL)
            warm_parent.end()
        finally:
            child.end()
    return None


class _Cold:
    """A child started from nothing, where there can be no warm parent."""

    def __init__(self, order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOT, _ROOT, order.dump()],
            cwd=order.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _await(child: _Child, seconds: float, on_wait: Callable[[], None] | None) -> int | None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if on_wait is not None:
            on_wait()
        status = child.wait(min(left, 0.1))
        if status is not None:
            return status
    return None


def _read_answer(file: Path) -> dict[str, Any] | None:
    try:
        if file.is_symlink() or file.stat().st_size > MAX_ANSWER:
            return None
        answer = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _explain(status: int | None, limits: Limits) -> str:
    if status is None:
        return f"took longer than {limits.seconds:g} seconds to read: give a smaller one."
    if sys.platform != "win32" and status in (-signal.SIGXCPU, -signal.SIGKILL):
        if status == -signal.SIGXCPU:
            return f"took more than {limits.cpu} seconds of work to read: give a smaller one."
        return "could not be read: it needs more memory than there is, give a smaller one."
    return "could not be read: the reader broke off, the file is damaged or far too large."
