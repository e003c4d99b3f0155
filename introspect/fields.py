"""Fields: the columns of a table as they are read, numbers for as long as all cells are numbers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from introspect.intake import MAX_CLASSES, natural

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-"))
"""What stands in a cell, in any case of letters, that has no value."""


class Field:
    """One column as it is read: numbers until a text stands in it, then categories.

    Attributes:
        gap: first row, counted from 0, without a value; None where there is none.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.gap: int | None = None
        self._numbers: list[np.ndarray] | None = []
        self._places: dict[str, int] = {}
        self._codes = array("i")
        self._full = False

    @property
    def is_text(self) -> bool:
        return self._numbers is None

    @property
    def texts(self) -> list[str] | None:
        """The different texts in the order of `natural`; None where there are too many."""
        return None if self._full else sorted(self._places, key=natural)

    def add_numbers(self, start: int, values: np.ndarray) -> None:
        """Adds values, NaN where there is none."""
        if self._numbers is None:
            self._add_codes(start, [_say(value) for value in values.tolist()])
            return
        self._note(start, np.isnan(values))
        self._numbers.append(values)

    def add_texts(self, start: int, cells: Sequence[str | None]) -> None:
        """Adds cells that are numbers for as long as all of them were."""
        if self._numbers is not None:
            values = as_numbers(cells)
            if values is not None:
                self.add_numbers(start, values)
                return
            earlier, self._numbers = self._numbers, None
            row = 0
            for part in earlier:
                self._add_codes(row, [_say(value) for value in part.tolist()])
                row += len(part)
        self._add_codes(start, cells)

    def numbers(self) -> np.ndarray:
        """The values as float64 `(n,)`; a column of texts has none."""
        assert self._numbers is not None
        return np.concatenate(self._numbers) if self._numbers else np.empty(0)

    def places(self, texts: Sequence[str]) -> np.ndarray:
        """The place of each row's text among `texts`, int64 `(n,)`; -1 where it is not there."""
        order = {text: place for place, text in enumerate(texts)}
        table = np.array([order.get(text, -1) for text in self._places], np.int64)
        return table[np.frombuffer(self._codes, np.int32)]

    def row_of(self, text_not_in: Sequence[str]) -> tuple[int, str]:
        """First row whose text is not among those given, and that text."""
        row = int(np.flatnonzero(self.places(text_not_in) < 0)[0])
        return row, list(self._places)[self._codes[row]]

    def _note(self, start: int, gaps: np.ndarray) -> None:
        if self.gap is None and gaps.any():
            self.gap = start + int(np.flatnonzero(gaps)[0])

    def _add_codes(self, start: int, cells: Iterable[str | None]) -> None:
        for row, cell in enumerate(cells, start):
            text = "" if cell is None else cell.strip()
            if text.lower() in MISSING:
                self.gap = row if self.gap is None else self.gap
                text = ""
            if not self._full:
                place = self._places.setdefault(text, len(self._places))
                self._codes.append(place)
                # what nobody can use must not fill the memory
                if len(self._places) > MAX_CLASSES:
                    self._full, self._places, self._codes = True, {}, array("i")


def _say(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.15g}"


def as_numbers(cells: Sequence[str | None]) -> np.ndarray | None:
    """float64 values, NaN for a missing one; None where a cell is a text."""
    try:
        return np.array([float(cell) for cell in cells])  # type: ignore[arg-type]
    except (TypeError, ValueError):
        values = []
    for cell in cells:
        text = "" if cell is None else cell.strip().lower()
        try:
            # a comma that is no delimiter is the decimal sign of half the world
            values.append(math.nan if text in MISSING else float(text.replace(",", ".")))
        except ValueError:
            return None
    return np.array(values)
