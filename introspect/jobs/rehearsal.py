"""Work that only counts: shows that background work runs, reports, stops and resumes here."""

from __future__ import annotations

import time
from typing import Any

from introspect.errors import BadInput
from introspect.jobs.report import Report
from introspect.store import write_file


def count(arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """Counts from where it was stopped.

    Args:
        arguments: "to", the last number; "pause", seconds before each number.
        report: told each number.

    Returns:
        The last number, and the number it began from this time.
    """
    last, pause = arguments["to"], arguments.get("pause", 0.0)
    if last < 1:
        raise BadInput("There is nothing to count: choose a number of at least 1.")
    kept = report.folder / "reached"
    begun = int(kept.read_text()) if kept.exists() else 0
    for number in range(begun + 1, last + 1):
        report("counting", number - 1, last)
        time.sleep(pause)
        write_file(kept, str(number).encode(), durable=False)
    report("counting", last, last)
    return {"reached": last, "begun": begun}
