"""Tables: CSV as inputs: numbers, categories as codes, and one column of labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from introspect.datafile import Columns, read_head
from introspect.errors import BadInput
from introspect.fields import Field, as_numbers
from introspect.intake import MAX_CLASSES, shown
from introspect.recipe import Recipe

MAX_COLUMNS = 20_000
MAX_LINE = 4 << 20
"""Longest line of a CSV, in bytes."""
MAX_TEXTS = 1000
"""Most categories of a column that is asked for; of one nobody asked for, `FEW_TEXTS`."""
FEW_TEXTS = 100

LABELS = ("label", "labels", "target", "class", "y", "species", "category", "diagnosis", "outcome")
"""Names under which a column of labels is looked for, best first."""

_INDEX = frozenset(("", "id", "index", "unnamed: 0", "rownames", "row"))
_CHUNK = 4096
_FEW_LABELS = 50


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file; all have n rows."""

    where: str
    fields: tuple[Field, ...]
    n: int

    def __getitem__(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)


def read_csv(path: Path, recipe: Recipe | None = None) -> Columns:
    """Inputs and labels of a CSV with one row a sample; commas, semicolons or tabs.

    Raises:
        BadInput: no table, a missing or infinite value (its row and column are named), or a
            category that was not there before.
    """
    return assemble(read_table(path), recipe or Recipe())


def read_table(path: Path) -> Table:
    """All columns of a CSV.

    Raises:
        BadInput: it is no text, a line is far too long, or rows differ in length.
    """
    read_head(path)
    where = shown(path.name)
    with path.open("rb") as file:
        lines = _lines(file, where)
        first = next(lines)
        delimiter = max(",;\t", key=first.count)
        # all lines of a table with one column lack a delimiter
        reader = csv.reader(_chain(first, lines), delimiter=delimiter, strict=True)
        try:
            return _gather(reader, where)
        except csv.Error as error:
            raise BadInput(
                f"Line {reader.line_num:,} of {where} is no row of a table ({error}): save it as "
                "CSV anew."
            ) from error


def _lines(file: IO[bytes], where: str) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise BadInput(
                f"Line {number:,} of {where} is longer than {MAX_LINE >> 20} MB: give a table with "
                "one line for each sample."
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"Line {number:,} of {where} is no UTF-8 text: save it as CSV in UTF-8."
            ) from error
        if "\0" in text:
            raise BadInput(f"Line {number:,} of {where} holds zero bytes: it is no text file.")
        yield text


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _gather(reader: Iterator[list[str]], where: str) -> Table:
    head = next(reader)
    if len(head) > MAX_COLUMNS:
        raise BadInput(
            f"{where} has {len(head):,} columns: at most {MAX_COLUMNS:,} are read; give it one row "
            "for each sample."
        )
    named = as_numbers(head) is None
    names = (
        [name.strip() for name in head] if named else [f"column {i + 1}" for i in range(len(head))]
    )
    check_columns(names, where)
    fields = tuple(Field(name) for name in names)
    n, rows = 0, [] if named else [head]
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(fields):
            raise BadInput(
                f"Row {n + len(rows) + 1:,} of {where} has {len(cells):,} cells but the first line "
                f"has {len(fields):,}: correct it."
            )
        rows.append(cells)
        if len(rows) * len(fields) >= _CHUNK * 16 or len(rows) >= _CHUNK:
            n = _flush(fields, n, rows)
            rows = []
    return Table(where, fields, _flush(fields, n, rows))


def _flush(fields: tuple[Field, ...], n: int, rows: list[list[str]]) -> int:
    for field, cells in zip(fields, zip(*rows, strict=True), strict=False):
        field.add_texts(n, cells)
    return n + len(rows)


def check_columns(names: Sequence[str], where: str) -> None:
    """Refuses names of columns that cannot be told apart.

    Raises:
        BadInput: two columns have the same name, or one is endless.
    """
    long = next((name for name in names if len(name) > 200), None)
    if long is not None:
        raise BadInput(f"{where} has a column called {shown(long, 30)!r}: give it a short name.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{where} has two columns called {shown(twice)!r}: rename one.")


def guess_label(table: Table) -> str:
    """The column that most likely holds the labels: by its name, else by what is in it; or ""."""
    for wanted in LABELS:
        for field in table.fields:
            if field.name.lower() == wanted:
                return field.name
    for field in (table.fields[-1], table.fields[0]):
        if len(table.fields) > 1 and _is_label(field, table.n):
            return field.name
    return ""


def _is_label(field: Field, n: int) -> bool:
    if field.is_text:
        return field.texts is not None and len(field.texts) <= max(2, min(n // 2, _FEW_LABELS))
    values = np.unique(field.numbers())
    few = 2 <= len(values) <= min(_FEW_LABELS, max(2, n // 5)) and values[0] in (0, 1)
    return bool(few and np.array_equal(values, np.arange(len(values)) + values[0]))


def is_index(field: Field) -> bool:
    """Whether a column only counts the rows."""
    if field.name.lower() not in _INDEX or field.is_text:
        return field.name.lower() in ("id", "") and field.is_text and field.texts is None
    values = field.numbers()
    return len(np.unique(values)) == len(values)


def assemble(table: Table, recipe: Recipe) -> Columns:
    """Inputs `(n, d)` and labels of a table, as the recipe says and otherwise as one would guess.

    Returns:
        Columns whose recipe names label, columns and codes, so that new rows are read alike.

    Raises:
        BadInput: as `read_csv`.
    """
    if not table.n:
        raise BadInput(f"{table.where} has no rows: there is nothing in it.")
    label = recipe.label or ("" if recipe.columns else guess_label(table))
    if label and label not in table.names:
        if not recipe.columns:
            raise BadInput(_no_column(table, label))
        label = ""
    chosen, notes = _choose(table, recipe, label)
    known = dict(recipe.codes)
    x = np.empty((table.n, len(chosen)), np.float32)
    codes: list[tuple[str, tuple[str, ...]]] = []
    for place, field in enumerate(chosen):
        _refuse_gap(table, field)
        if field.name in known or field.is_text:
            texts = known.get(field.name) or _categories(table, field)
            x[:, place] = _number(table, field, texts)
            codes.append((field.name, texts))
        else:
            x[:, place] = _finite(table, field)
    if codes and not recipe.codes:
        notes.append(_tell_codes(codes))
    y, classes = _labels(table, table[label]) if label else (None, None)
    if label and not recipe.label:
        notes.append(f"Labels were taken from the column {shown(label)}.")
    made = replace(
        recipe,
        label=recipe.label or label,
        columns=tuple(field.name for field in chosen),
        codes=tuple(codes) or recipe.codes,
    )
    return Columns(x, y, None, classes, None, tuple(notes), made)


def _no_column(table: Table, name: str) -> str:
    has = ", ".join(shown(own, 30) for own in table.names[:8])
    return f"{table.where} has no column {shown(name)}: it has {has}."


def _choose(table: Table, recipe: Recipe, label: str) -> tuple[list[Field], list[str]]:
    if recipe.columns:
        lost = next((name for name in recipe.columns if name not in table.names), None)
        if lost is not None:
            raise BadInput(_no_column(table, lost))
        own = {field.name: field for field in table.fields}
        return [own[name] for name in recipe.columns], []
    chosen, left = [], []
    for field in table.fields:
        if field.name == label:
            continue
        texts = field.texts if field.is_text else []
        many = texts is None or len(texts) > min(FEW_TEXTS, max(2, table.n // 2))
        (left if many or is_index(field) else chosen).append(field)
    if not chosen:
        raise BadInput(
            f"{table.where} has no column of numbers or few categories to read: choose others."
        )
    if not left:
        return chosen, []
    names = ", ".join(shown(field.name, 30) for field in left[:8])
    return chosen, [f"Left out, for they name rows rather than describe them: {names}."]


def _refuse_gap(table: Table, field: Field) -> None:
    if field.gap is not None:
        raise BadInput(
            f"Row {field.gap + 1:,} of {table.where} has no value in the column "
            f"{shown(field.name)}: fill it in, or leave the row or the column out."
        )


def _categories(table: Table, field: Field) -> tuple[str, ...]:
    texts = field.texts
    if texts is None or len(texts) > MAX_TEXTS:
        raise BadInput(
            f"The column {shown(field.name)} of {table.where} holds more than {MAX_TEXTS:,} "
            "different texts: leave it out."
        )
    return tuple(texts)


def _number(table: Table, field: Field, texts: Sequence[str]) -> np.ndarray:
    if not field.is_text:
        # numbers where there were categories: the texts looked like numbers too
        again = Field(field.name)
        again.add_texts(0, ["x"])
        again.add_numbers(1, field.numbers())
        places = again.places(texts)[1:]
        name = again.row_of(["x", *texts])[1] if (places < 0).any() else ""
    else:
        places = field.places(texts)
        name = field.row_of(texts)[1] if (places < 0).any() else ""
    if (places < 0).any():
        row = int(np.flatnonzero(places < 0)[0])
        has = ", ".join(shown(text, 20) for text in texts[:8])
        raise BadInput(
            f"Row {row + 1:,} of {table.where} has {shown(name)!r} in the column "
            f"{shown(field.name)}, where the model knows {has}: correct it."
        )
    return places


def _finite(table: Table, field: Field) -> np.ndarray:
    values = field.numbers()
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(wrong):
        raise BadInput(
            f"Row {wrong[0] + 1:,} of {table.where} has {values[wrong[0]]:g} in the column "
            f"{shown(field.name)}, which is too large for any model: correct it."
        )
    return values


def _labels(table: Table, field: Field) -> tuple[np.ndarray, list[str] | None]:
    _refuse_gap(table, field)
    if not field.is_text:
        return field.numbers(), None
    texts = field.texts
    if texts is None:
        raise BadInput(
            f"The column {shown(field.name)} of {table.where} holds more than {MAX_CLASSES:,} "
            "different texts: these are no classes, choose another label column."
        )
    return field.places(texts), texts


def _tell_codes(codes: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    told = []
    for name, texts in codes[:4]:
        some = ", ".join(f"{shown(text, 20)} = {place}" for place, text in enumerate(texts[:4]))
        told.append(f"{shown(name, 30)}: {some}{', …' if len(texts) > 4 else ''}")
    return f"Categories became numbers ({'; '.join(told)}{'; …' if len(codes) > 4 else ''})."
