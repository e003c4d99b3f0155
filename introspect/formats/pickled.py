"""What a pickle asks for, read off its opcodes without running any, and how to save it better."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

PICKLE_BYTES = 64 << 20
STEPS = 2_000_000
SHOWN = 3

_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_STORE = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FETCH = ("GET", "BINGET", "LONG_BINGET")
_SYSTEM = re.compile(
    r"(^|\.)(os|posix|nt|sys|subprocess|builtins|shutil|socket|runpy|importlib|code|pty"
    r"|webbrowser|ctypes|operator|pip|asyncio|multiprocessing)\."
)
_HARMLESS = re.compile(
    r"^builtins\.(set|frozenset|list|dict|tuple|int|float|complex|str|bytes|bytearray|bool|slice"
    r"|range|object)$"
)


def strange_globals(path: Path) -> list[str]:
    """Names (`module.name`) a checkpoint asks for that `weights_only` does not allow, in order."""
    import torch._weights_only_unpickler as unpickler

    allowed = set(unpickler._get_allowed_globals())
    return [name for name in dict.fromkeys(_globals(_pickle(path))) if name not in allowed]


def _pickle(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(PICKLE_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(one for one in archive.namelist() if one.endswith("data.pkl"))
            with archive.open(name) as member:
                return member.read(PICKLE_BYTES)
    except (zipfile.BadZipFile, OSError, StopIteration, NotImplementedError, RuntimeError):
        return b""


def _globals(raw: bytes) -> Iterator[str]:
    """Every class and function named in up to six pickles that follow each other."""
    import io

    stream, steps = io.BytesIO(raw), 0
    for _ in range(6):
        memo: dict[int, str] = {}
        count = 0
        last: list[str] = []
        try:
            for op, argument, _place in pickletools.genops(stream):
                steps += 1
                if steps > STEPS:
                    return
                place = int(str(argument)) if op.name in _STORE[:3] + _FETCH else count
                if op.name in ("GLOBAL", "INST"):
                    yield str(argument).replace(" ", ".", 1)
                elif op.name == "STACK_GLOBAL" and len(last) > 1:
                    yield f"{last[-2]}.{last[-1]}"
                elif op.name in _TEXT:
                    last = [*last[-1:], str(argument)]
                elif op.name in _STORE:
                    count += 1
                    memo[place] = last[-1] if last else ""
                elif op.name in _FETCH and place in memo:
                    last = [*last[-1:], memo[place]]
        except (ValueError, TypeError, OverflowError, UnicodeDecodeError, IndexError):
            return


def tell_strange(file: str, strange: list[str]) -> str:
    """One sentence: what the file is, why it is refused, and the command that converts it."""
    # Python 2 called it otherwise, and so do pickles of the old protocols
    named = [re.sub(r"[^\w.]", "", name)[:60] or "?" for name in strange]
    named = [re.sub(r"^__builtin__\.", "builtins.", name) for name in named]
    shown = ", ".join(named[:SHOWN]) + (", …" if len(named) > SHOWN else "")
    refused = "reading it would run code from the file, so Introspect refuses it"
    system = [name for name in named if _SYSTEM.search(name) and not _HARMLESS.match(name)]
    if system:
        return (
            f"{file} asks for {system[0]}, which no weights need: {refused}; if it is yours, run "
            "on your own machine: introspect export my_module:build model.pt2"
        )
    if any(name.startswith("torch.nn.modules.") for name in named):
        own = [name for name in named if not name.startswith(("torch.", "builtins."))] or named
        needs = ", ".join(own[:SHOWN])
        return (
            f"{file} is a whole pickled Python model (it needs {needs}): {refused}; on your own "
            "machine run: introspect export my_module:build model.pt2"
        )
    name = file if re.fullmatch(r"[\w.-]+", file) else "file.pt"
    return (
        f"{file} holds Python objects beside the weights (it needs {shown}): {refused}; on your "
        f"own machine run: python -c \"import torch; c = torch.load('{name}', weights_only=False); "
        "c = c if isinstance(c, dict) else c.state_dict(); "
        "torch.save(c.get('state_dict', c.get('model', c)), 'weights.pt')\""
    )
