"""The worker: `python -m introspect.jobs RUN_DIR` does the work of one job's folder."""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

from introspect.errors import Cancelled, IntrospectError
from introspect.jobs import FUNCTIONS, Job, slots, stopped, waiting, write_outcome
from introspect.jobs.report import Report
from introspect.process import Owner, lock
from introspect.store import is_disk_full, write_file

LOOK_AGAIN = 0.15


def serve(folder: Path) -> None:
    """Waits for its turn, then works; one worker per folder, `jobs.slots()` at work per machine."""
    job = Job(folder.name, folder)
    with lock(folder / ".worker", wait=False) as mine:
        if not mine:
            return
        write_file(folder / "owner", str(Owner.me()).encode(), durable=False)
        while not (folder / "cancel").exists():
            # The lock alone would let a late comer jump the queue.
            if len(waiting(job)) < slots():
                for number in range(slots()):
                    with lock(folder.parent / f".turn{number or ''}", wait=False) as turn:
                        if turn:
                            work(folder)
                            return
            time.sleep(LOOK_AGAIN)
        write_outcome(folder, *stopped(folder))


def work(folder: Path) -> None:
    """Runs the job's function and writes how it ended, whatever happens."""
    report = Report(folder)
    try:
        job = json.loads((folder / "job.json").read_bytes())
        module, _, name = job["function"].partition(":")
        if job["function"] not in FUNCTIONS:
            raise IntrospectError("This job asks for something no job may run.")
        function = getattr(importlib.import_module(module), name)
        result = function(job["arguments"], report)
        json.dumps(result)
    except Cancelled:
        report.end(*stopped(folder))
    except IntrospectError as error:
        traceback.print_exc()
        report.end("failed", str(error))
    except MemoryError:
        traceback.print_exc()
        report.end(
            "failed", "The memory is full: use fewer samples or layers, or a larger machine."
        )
    except Exception as error:
        traceback.print_exc()
        if is_disk_full(error):
            report.end("failed", "The disk is full: make room, then resume.")
        else:
            kind = type(error).__name__
            # Where this machine keeps its files is no business of a visitor.
            where = "its log" if Job(folder.name, folder).visitor else folder / "log.txt"
            report.end(
                "failed",
                f"Something unexpected went wrong ({kind}); {where} has the details.",
            )
    else:
        shutil.rmtree(report.folder, ignore_errors=True)
        report.end("done", "", result)


if __name__ == "__main__":
    faulthandler.enable()
    if os.name != "nt":
        os.nice(10)
    serve(Path(sys.argv[1]))
