"""The child in quarantine: limits itself, runs one named function, writes the answer, ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from introspect.errors import BadInput

FUNCTIONS = (
    "introspect.samples:decode_upload",
    "introspect.survey:survey_upload",
    "introspect.pictures:decode_upload",
    "introspect.recipe:read_names_upload",
    "introspect.formats.reader:parse_upload",
    "introspect.doctor:look_inside",
)
"""What a child may run: called with (file, folder, *words), answers with a dict for JSON."""

ANSWER = ".answer.json"
MAX_ANSWER = 1 << 20
MAX_SENTENCE = 1000


@dataclass(frozen=True)
class Limits:
    """What a child may use up; kept by the kernel on Linux and macOS, the clock everywhere."""

    memory: int = 6 << 30
    """Bytes of address space beyond what the reader occupies before it sees the file."""
    cpu: int = 120
    """Processor seconds."""
    output: int = 4 << 30
    """Largest file it may write, in bytes."""
    files: int = 64
    """Files open at once."""
    seconds: float = 300.0
    """Seconds by the clock."""


@dataclass(frozen=True)
class Order:
    """One piece of work: which function on which file, where to write, and the limits."""

    function: str
    path: str
    folder: str
    words: tuple[str, ...]
    limits: Limits

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str | bytes) -> Order:
        given = json.loads(text)
        return cls(
            given["function"],
            given["path"],
            given["folder"],
            tuple(given["words"]),
            Limits(**given["limits"]),
        )


def obey(order: Order) -> None:
    """The child's whole life; everything that goes wrong becomes an answer of one sentence."""
    os.chdir(order.folder)
    path = Path(order.path)
    try:
        if order.function not in FUNCTIONS:
            raise ValueError(f"{order.function} may not run in quarantine")
        module, name = order.function.split(":")
        function = getattr(import_module(module), name)
        _limit(order.limits)
        answer = {"result": function(path, Path.cwd(), *order.words)}
    except BadInput as error:
        answer = {"refused": _one_line(str(error))}
    except MemoryError:
        answer = _out_of_memory(path.name, order.limits)
    except OSError as error:
        answer = _explain_disk(error, path.name, order.limits)
    except Exception as error:
        # torch says with a RuntimeError that memory ran out
        if "allocate memory" in str(error):
            answer = _out_of_memory(path.name, order.limits)
        else:
            # nothing of a parser's trouble with a hostile file may reach a visitor as a traceback
            answer = _failed(error)
    Path(ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _one_line(text: str) -> str:
    """What is said of a file may quote it: one line, no control characters, no endless names."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in text[: 2 * MAX_SENTENCE])
    return line if len(line) <= MAX_SENTENCE else f"{line[:MAX_SENTENCE]}\u2026"


def _out_of_memory(name: str, limits: Limits) -> dict[str, str]:
    size = f"{limits.memory >> 20:,} MB"
    return {"refused": f"{name} needs more than {size} of memory to read: give a smaller one."}


def _explain_disk(error: OSError, name: str, limits: Limits) -> dict[str, str]:
    if error.errno == errno.ENOMEM:
        return _out_of_memory(name, limits)
    if error.errno == errno.EFBIG:
        size = f"{limits.output >> 20:,} MB"
        return {"refused": f"{name} unpacks to more than {size}: give a smaller one."}
    if error.errno == errno.ENOSPC:
        return {"refused": f"The disk is full: free some space, then give {name} again."}
    return _failed(error)


def _failed(error: Exception) -> dict[str, str]:
    return {"failed": f"{type(error).__name__}: {error}"[:2000]}


def _limit(limits: Limits) -> None:
    if sys.platform == "win32":
        return
    import resource

    room = _occupied() + limits.memory
    for what, soft, hard in (
        (resource.RLIMIT_AS, room, room),
        # the second more lets the signal arrive that tells this limit from others
        (resource.RLIMIT_CPU, limits.cpu, limits.cpu + 1),
        (resource.RLIMIT_FSIZE, limits.output, limits.output),
        (resource.RLIMIT_NOFILE, limits.files, limits.files),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        # macOS knows the address space limit but does not keep it
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (soft, hard))


def _occupied() -> int:
    """Bytes of address space this process has now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(argument: Any) -> None:
    """A child started from nothing, its order given on the command line."""
    obey(Order.parse(argument))
