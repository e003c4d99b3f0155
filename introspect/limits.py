"""How much one visitor of a shared server may keep and run; at home nothing is limited."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from introspect.errors import BadInput
from introspect.space import whose, within
from introspect.store import cache_dir, common_dir

PUBLISHED = ".published.json"
"""In the library: name of a published atlas -> space of the visitor who published it."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may have at a time."""

    atlases: int = 20
    size: int = 8 * 2**30
    """Bytes of atlases, deleted ones and uploads together."""
    jobs: int = 2
    """Pieces of work that run or wait."""

    @classmethod
    def given(cls) -> Limits:
        """From the environment: `INTROSPECT_MAX_ATLASES`, `_MAX_GB` and `_MAX_JOBS`.

        Raises:
            BadInput: one of them is no positive number.
        """
        return cls(
            int(number("INTROSPECT_MAX_ATLASES", cls.atlases)),
            int(number("INTROSPECT_MAX_GB", cls.size / 2**30) * 2**30),
            int(number("INTROSPECT_MAX_JOBS", cls.jobs)),
        )


def number(variable: str, default: float) -> float:
    """A positive number from the environment.

    Raises:
        BadInput: it is something else.
    """
    text = os.environ.get(variable) or str(default)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise BadInput(f"{variable} is {text!r}: set it to a positive number.")


def check_room(coming: int = 0) -> None:
    """Refuses what would make a visitor keep more bytes than they may.

    Args:
        coming: bytes about to be kept.

    Raises:
        BadInput: there is no room; says how much is used.
    """
    if whose() is None:
        return
    allowed, used = Limits.given().size, taken()
    if used + coming > allowed:
        raise BadInput(
            f"Your space on this server is full: {used / 2**30:.2f} GB of {allowed / 2**30:.2f} GB "
            f"are used and {coming / 2**30:.2f} GB are to come; delete an atlas or ask its owner."
        )


def check_atlases(count: int) -> None:
    """Refuses one more atlas to a visitor who has `count`.

    Raises:
        BadInput: that are as many as allowed, or their bytes are used up.
    """
    if whose() is None:
        return
    if count >= (most := Limits.given().atlases):
        raise BadInput(f"You have {count} atlases, and {most} are allowed here: delete one first.")
    check_room()


def check_jobs(count: int) -> None:
    """Refuses one more piece of work to a visitor of whom `count` run or wait.

    Raises:
        BadInput: that are as many as allowed.
    """
    if whose() is not None and count >= (most := Limits.given().jobs):
        raise BadInput(
            f"{count} pieces of your work run or wait, and {most} are allowed at a time here: "
            "wait for one to end, or cancel it."
        )


def taken() -> int:
    """Bytes that the visitor keeps here, published atlases included."""
    places = [within(common_dir()), within(cache_dir())]
    places += [
        common_dir() / f"{name}.atlas" for name in published() if published()[name] == whose()
    ]
    return sum(weigh(place) for place in places)


def weigh(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total


def published() -> dict[str, str]:
    """Name of every atlas that a visitor has published, to the space of that visitor."""
    try:
        told = json.loads((common_dir() / PUBLISHED).read_bytes())
    except (OSError, ValueError):
        return {}
    told = told if isinstance(told, dict) else {}
    return {name: space for name, space in told.items() if isinstance(space, str)}
