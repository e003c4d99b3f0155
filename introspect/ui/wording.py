"""Figures and foreign text as a person would read them."""

from __future__ import annotations

import datetime
import math


def plain(text: object) -> str:
    """Text from outside, such as a file's name, shown as it is and never as markup."""
    line = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-!|<>~$:." else c for c in line)


def duration(seconds: int | float) -> str:
    """A time span: "40 s", "3 min", "2 h 10 min"."""
    if round(seconds) < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int | float) -> str:
    """A number of bytes: "820 bytes", "4 kB", "26 MB", "1.4 GB"."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min(int(math.log10(count) + 2.2e-4) // 3, 3)
    share = count / 1000**power
    return f"{share:.{1 if share < 9.95 and power > 1 else 0}f} {('kB', 'MB', 'GB')[power - 1]}"


def date(seconds: int | float) -> str:
    """A day, in the reader's own time zone: "22 Nov 2026"."""
    day = datetime.datetime.fromtimestamp(seconds)
    return f"{day.day} {day:%b %Y}"
