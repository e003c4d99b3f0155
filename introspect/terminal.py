"""The terminal: options refused in one sentence, and a line that tells how far the work is."""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from introspect.errors import BadInput
from introspect.recipe import FITS, Recipe, check_size, read_names, split_names

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


def add_recipe(command: argparse.ArgumentParser) -> None:
    """The options that say how tables, and pictures of many sizes, are read."""
    command.add_argument("--label", metavar="COLUMN", help="column of the labels in a table")
    command.add_argument(
        "--columns", metavar="A,B,…", help="columns of a table that the model reads, in order"
    )
    command.add_argument("--size", metavar="WxH", help="bring pictures to one size: 32x32")
    command.add_argument("--fit", choices=tuple(FITS), help="how (default: crop)")
    command.add_argument("--grey", action="store_true", help="leave colour out of pictures")
    command.add_argument(
        "--class-names", metavar="NAMES", help="cat,dog,cow or a file with one name a line"
    )


def read_ways(options: argparse.Namespace) -> dict[str, Any]:
    """How inputs are prepared and how data are read, as `build_folder` takes both.

    Raises:
        BadInput: one of the options makes no sense.
    """
    preprocessing = read_preprocessing(getattr(options, "preprocess", None))
    return {"preprocessing": preprocessing, "recipe": read_recipe(options)}


def read_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """The document of the recipe that `add_recipe`'s options give.

    Raises:
        BadInput: no size, or no class names.
    """
    size = None
    if options.size is not None:
        width, cross, height = options.size.lower().partition("x")
        if not (cross and width.isdecimal() and height.isdecimal()):
            raise BadInput(f"--size {options.size} is no size: give width and height as in 32x32.")
        size = check_size(int(height), int(width))
    names: tuple[str, ...] = ()
    if options.class_names is not None:
        file = Path(options.class_names)
        names = read_names(file) if file.is_file() else split_names(options.class_names)
    columns = tuple(name.strip() for name in (options.columns or "").split(",") if name.strip())
    fit = options.fit or "crop"
    return Recipe(options.label or "", "", columns, (), size, fit, options.grey, names).document()


def read_preprocessing(text: str | None) -> dict[str, list[float] | bool] | None:
    """Mean and std as a layer list states them, from `0.13/0.31` or `0.5,0.5,0.4/0.2,0.2,0.2`.

    `/swapped` and `/inverted` behind them say that the network wants its channels in the order
    blue, green, red, or black and white exchanged.

    Raises:
        BadInput: it is not two lists of equally many numbers, the second above 0.
    """
    if text is None:
        return None
    sides, words = text.split("/")[:2], text.split("/")[2:]
    try:
        mean, std = ([float(value) for value in side.split(",")] for side in sides)
    except ValueError:
        mean, std = [], []
    known = len(set(words)) == len(words) and set(words) <= {"swapped", "inverted"}
    right = mean and len(mean) == len(std) and all(map(math.isfinite, mean)) and min(std) > 0
    if not right or not known:
        raise BadInput(
            f"--preprocess {text} is not mean/std: give two numbers such as 0.13/0.31, "
            "or one for each channel such as 0.5,0.5,0.4/0.2,0.2,0.2."
        )
    return {"mean": mean, "std": std, **{word: True for word in words}}


@contextlib.contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: asked by work that ends in good order and keeps what it has."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
