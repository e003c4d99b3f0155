"""The terminal: options refused in one sentence, and a line that tells how far the work is."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import NoReturn

BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """Refuses what it cannot read in one sentence, without the page of usage."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help.", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


class Bar:
    """A line on stderr telling how far the work is; silent where nobody watches a terminal.

    `folder` is where the work keeps what it needs to go on after a kill.
    """

    WIDTH = 30

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.watched = sys.stderr.isatty()
        self.stage = ""

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        if not self.watched:
            return
        if stage != self.stage:
            self.close()
            self.stage = stage
        filled = round(self.WIDTH * done / max(total, 1))
        line = (
            f"{stage:<22} {'█' * filled}{'·' * (self.WIDTH - filled)} {done:,}/{total:,} {message}"
        )
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the finished line where it stands."""
        if self.watched and self.stage:
            print(file=sys.stderr)
        self.stage = ""

    def forget(self) -> None:
        """Removes what was kept for going on with the work: it is done."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
