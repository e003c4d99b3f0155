"""Quarantine: an upload is parsed in a child process that can hurt nobody but itself.

The child starts isolated (`python -I`, empty environment, own session), limits itself before it
touches the file, and may only run a function named in `FUNCTIONS`. It writes its result into the
given folder; whatever goes wrong comes back as one sentence.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from introspect.errors import BadInput

FUNCTIONS = ("introspect.samples:decode_upload",)
"""What a child may run: called with (file, folder), answers with a dict that JSON can hold."""

_ANSWER = ".answer.json"
_MAX_ANSWER = 1 << 20
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); import introspect.quarantine as q; q.obey()"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a child may use up; kept by the kernel on Linux and macOS, the clock everywhere."""

    memory: int = 6 << 30
    """Address space in bytes; torch alone needs 0.6 GiB of it."""
    cpu: int = 120
    """Processor seconds."""
    output: int = 4 << 30
    """Largest file it may write, in bytes."""
    files: int = 64
    """Files open at once."""
    seconds: float = 300.0
    """Seconds by the clock."""


def run(
    function: str,
    path: Path,
    folder: Path,
    limits: Limits | None = None,
    on_wait: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Lets a child turn an uploaded file into plain files of ours.

    Args:
        function: one of `FUNCTIONS`.
        path: the upload.
        folder: where the child works and writes; made when it is not there.
        limits: what it may use up.
        on_wait: called several times a second; may raise, for example `Cancelled`, which ends
            the child.

    Returns:
        What the function answered.

    Raises:
        BadInput: the function refused the file, or the child crashed or broke a limit.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"{function} may not run in quarantine")
    limits = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / _ANSWER
    answer.unlink(missing_ok=True)
    order = json.dumps([function, str(path.resolve()), asdict(limits)])
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOT, str(Path(__file__).resolve().parent.parent), order],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = _await(child, limits.seconds, on_wait)
    finally:
        _kill(child)
    result = _read_answer(answer)
    answer.unlink(missing_ok=True)
    if result is None:
        raise BadInput(f"{path.name} {_explain(status, limits)}")
    if "refused" in result:
        raise BadInput(str(result["refused"]))
    if "result" not in result:
        _log.warning("quarantined %s failed: %s", function, result.get("failed"))
        raise BadInput(f"{path.name} could not be read: it is damaged or made in an unknown way.")
    return result["result"]


def obey() -> None:
    """The child's whole life: limit itself, run the function, write the answer."""
    function, path, limits = json.loads(sys.argv[2])
    limits = Limits(**limits)
    _limit(limits)
    module, name = function.split(":")
    try:
        if function not in FUNCTIONS:
            raise ValueError(f"{function} may not run in quarantine")
        answer = {"result": getattr(import_module(module), name)(Path(path), Path.cwd())}
    except BadInput as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {
            "refused": f"{Path(path).name} needs more than {limits.memory >> 20:,} MB of memory "
            "to read: give a smaller set."
        }
    except OSError as error:
        answer = _explain_disk(error, Path(path).name, limits)
    except Exception as error:
        # nothing of a parser's trouble with a hostile file may reach the visitor as a traceback
        answer = {"failed": f"{type(error).__name__}: {error}"[:2000]}
    Path(_ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _explain_disk(error: OSError, name: str, limits: Limits) -> dict[str, str]:
    if error.errno == errno.EFBIG:
        size = f"{limits.output >> 20:,} MB"
        return {"refused": f"{name} unpacks to more than {size}: give a smaller set."}
    if error.errno == errno.ENOSPC:
        return {"refused": f"The disk is full: free some space, then give {name} again."}
    return {"failed": f"{type(error).__name__}: {error}"[:2000]}


def _environment() -> dict[str, str]:
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    # Windows starts no program without it
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return own | kept


def _limit(limits: Limits) -> None:
    if sys.platform == "win32":
        return
    import resource

    for what, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_FSIZE, limits.output),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS knows the address space limit but does not keep it
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (value, value))


def _await(
    child: subprocess.Popen[bytes], seconds: float, on_wait: Callable[[], None] | None
) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return child.wait(0.1)
        except subprocess.TimeoutExpired:
            if on_wait is not None:
                on_wait()
    return None


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and everything it started."""
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read_answer(file: Path) -> dict[str, Any] | None:
    try:
        if file.is_symlink() or file.stat().st_size > _MAX_ANSWER:
            return None
        answer = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _explain(status: int | None, limits: Limits) -> str:
    if status is None:
        return f"took longer than {limits.seconds:g} seconds to read: give a smaller set."
    if sys.platform != "win32" and status == -signal.SIGXCPU:
        return f"took more than {limits.cpu} seconds of work to read: give a smaller set."
    return "could not be read: the reader broke off, the file is damaged or far too large."
