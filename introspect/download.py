"""Download: one file from the first mirror that has it, whole and checked, or not at all."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress

_BLOCK = 1 << 18


def fetch(
    urls: Sequence[str],
    target: Path,
    check: Callable[[Path], None],
    *,
    max_bytes: int = 1 << 30,
    timeout: float = 30.0,
    on_bytes: Progress | None = None,
) -> None:
    """Puts a file in place; a half file continues where it stopped, a wrong one is thrown away.

    Args:
        urls: mirrors, best first.
        target: where the checked file goes; `<name>.part` beside it is the unfinished one.
        check: raises BadInput when the content is not what it should be.
        max_bytes: more is refused.
        timeout: seconds without a byte before the next mirror is tried.
        on_bytes: told (bytes so far, bytes in all or 0); answering False stops the download.

    Raises:
        BadInput: no mirror gave the right file; the sentence lists what each said.
        Cancelled: `on_bytes` answered False; the half file stays and continues next time.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    problems: list[str] = []
    for url in urls:
        for attempt in range(2):
            resumed = part.exists()
            try:
                _receive(url, part, max_bytes, timeout, on_bytes)
                check(part)
                os.replace(part, target)
                return
            except BadInput as error:
                # a stale beginning may be to blame: once more from the start
                part.unlink(missing_ok=True)
                if resumed and attempt == 0:
                    continue
                problems.append(f"{_host(url)}: {str(error).rstrip('.')}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                problems.append(f"{_host(url)}: {_reason(error)}")
            break
    raise BadInput(f"{target.name} could not be downloaded ({'; '.join(problems)}).")


def _receive(
    url: str, part: Path, max_bytes: int, timeout: float, on_bytes: Progress | None
) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "introspect"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return
        raise
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        if total > max_bytes:
            raise BadInput("the file is larger than it should be.")
        with part.open("ab" if have else "wb") as file:
            while block := answer.read(_BLOCK):
                have += len(block)
                if have > max_bytes:
                    raise BadInput("the file is larger than it should be.")
                file.write(block)
                if on_bytes is not None and on_bytes(have, total) is False:
                    raise Cancelled("The download was stopped.")
        if total and have < total:
            raise ConnectionError("the connection broke off")


def _host(url: str) -> str:
    return url.split("/")[2] if url.count("/") > 1 else url


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    return str(error) or type(error).__name__
