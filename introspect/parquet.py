"""Parquet: tables, and pictures as Hugging Face writes them; bytes only, no path is ever opened.

A footer may lie about everything (a file of 745 kB that says 630 kB unpacks to 800 MB), so rows
are read in small batches and counted, and nothing is believed that was not seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from introspect.datafile import MAX_BYTES, Columns
from introspect.errors import BadInput
from introspect.fields import Field
from introspect.intake import shown
from introspect.pictures import MAX_MEMBER, SPLITS, Stack, decode_picture
from introspect.recipe import Recipe
from introspect.tables import LABELS, MAX_COLUMNS, Table, assemble, check_columns

MAX_ROWS = 20_000_000
_FOOTER_BYTES = 64 << 20
_FOOTER_ENTRIES = 1_000_000
_PICTURES_AT_ONCE = 16
_CELLS_AT_ONCE = 1 << 18
_TEXT_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Book:
    """One parquet file with a checked footer.

    Attributes:
        kinds: column to number, text, picture or other.
        names: column to the class names that Hugging Face's metadata give it.
        n: rows, as the footer says.
    """

    where: str
    file: Any
    kinds: dict[str, str]
    names: dict[str, tuple[str, ...]]
    n: int

    def label(self) -> str:
        """The column that holds the labels by its name; "" where none does."""
        own = [name for name, kind in self.kinds.items() if kind in ("number", "text")]
        order = {name: place for place, name in enumerate((*LABELS, "fine_label"))}
        ranked = sorted(
            (name for name in own if name.lower() in order), key=lambda n: order[n.lower()]
        )
        return ranked[0] if ranked else ""

    def image(self) -> str:
        """The first column of pictures; "" where there is none."""
        return next((name for name, kind in self.kinds.items() if kind == "picture"), "")


def look(path: Path, most: int) -> tuple[Book, list[bytes], Table | None]:
    """The first few pictures of a file, as encoded bytes, or its table where it has none.

    Raises:
        BadInput: as `read_parquet`.
    """
    with _said(path), open_book(path) as book:
        image = book.image()
        if not image:
            return book, [], read_rows(book)
        found: list[bytes] = []
        for batch in book.file.iter_batches(_PICTURES_AT_ONCE, columns=[image], use_threads=False):
            found += list(_as_bytes(batch, image, book, 0))[: 4 * most]
            break
        return book, found, None


def read_parquet(path: Path, recipe: Recipe | None = None) -> Columns:
    """Inputs and labels of one parquet file.

    Raises:
        BadInput: it is damaged or too large, or has no column of pictures or numbers.
    """
    recipe = recipe or Recipe()
    with _said(path), open_book(path) as book:
        image = recipe.image or book.image()
        if recipe.columns or not image:
            return assemble(read_rows(book), recipe)
        return _read_pictures(book, replace(recipe, image=image))


def read_parquet_folder(folder: Path, recipe: Recipe | None = None) -> Columns:
    """Pictures of all parquet files below a folder, as one set.

    Names or folders that begin with train, validation or test tell the split.
    """
    paths = sorted(p for p in folder.rglob("*.parquet") if p.is_file())
    if not paths:
        raise BadInput(f"{folder.name} holds no parquet files: check the name.")
    if len(paths) == 1:
        return read_parquet(paths[0], recipe)
    parts, codes = [], []
    for path in paths:
        part = read_parquet(path, recipe)
        # what the first file settles holds for the others
        recipe = part.recipe
        parts.append(part)
        codes.append(_split(path.relative_to(folder)))
    if len({part.x.shape[1:] for part in parts}) > 1:
        raise BadInput(
            f"The parquet files of {folder.name} do not belong together: their inputs differ."
        )
    if any((part.y is None) != (parts[0].y is None) for part in parts):
        raise BadInput(f"Some parquet files of {folder.name} have labels and some not.")
    if len({tuple(part.classes or ()) for part in parts}) > 1:
        raise BadInput(
            f"The parquet files of {folder.name} name other classes each: put them into one file."
        )
    labels = [part.y for part in parts if part.y is not None]
    told = all(code is not None for code in codes)
    split = np.repeat([code or 0 for code in codes], [len(part.x) for part in parts])
    first = parts[0]
    return Columns(
        np.concatenate([part.x for part in parts]),
        np.concatenate(labels) if labels else None,
        split.astype(np.uint8) if told else None,
        first.classes,
        None,
        first.notes,
        first.recipe,
    )


def _split(path: Path) -> int | None:
    words = [part.lower().replace("_", "-").split("-")[0].split(".")[0] for part in path.parts]
    return next((SPLITS[word] for word in reversed(words) if word in SPLITS), None)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Whatever pyarrow says of a damaged file, at any time, is one sentence."""
    import pyarrow

    try:
        yield
    except MemoryError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        raise BadInput(
            f"{shown(path.name)} is damaged or cut short: save or upload it again."
        ) from error


@contextmanager
def open_book(path: Path) -> Iterator[Book]:
    """A parquet file whose footer holds nothing impossible.

    Raises:
        BadInput: too many rows or columns, or names that cannot be told apart.
    """
    import pyarrow
    from pyarrow import parquet

    where = shown(path.name)
    # other pools of memory reserve more than a child in quarantine may have
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with (
        path.open("rb") as stream,
        parquet.ParquetFile(
            stream,
            pre_buffer=False,
            thrift_string_size_limit=_FOOTER_BYTES,
            thrift_container_size_limit=_FOOTER_ENTRIES,
        ) as file,
    ):
        about = file.metadata
        if about.num_rows > MAX_ROWS or about.num_rows < 0:
            raise BadInput(
                f"{where} says it has {about.num_rows:,} rows: at most {MAX_ROWS:,} are read."
            )
        if about.num_columns > MAX_COLUMNS:
            raise BadInput(
                f"{where} has {about.num_columns:,} columns: at most {MAX_COLUMNS:,} are read."
            )
        schema = file.schema_arrow
        check_columns(schema.names, where)
        features = _features(schema.metadata)
        kinds = {
            field.name: "picture"
            if features.get(field.name, {}).get("_type") == "Image" and _holds_bytes(field.type)
            else _kind(field.type)
            for field in schema
        }
        names = {name: found for name in kinds if (found := _named(features.get(name)))}
        yield Book(where, file, kinds, names, about.num_rows)


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """What Hugging Face's library notes of each column; nothing where it is not well-formed."""
    try:
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {str(k): v for k, v in found.items() if isinstance(v, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _named(feature: dict[str, Any] | None) -> tuple[str, ...]:
    names = (feature or {}).get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_binary(kind.field(place).type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    return types.is_binary(kind) or types.is_large_binary(kind)


def _kind(kind: Any) -> str:
    from pyarrow import types

    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    return "picture" if _holds_bytes(kind) else "other"


def _batches(book: Book, columns: Sequence[str], rows: int) -> Iterator[tuple[int, Any]]:
    """(first row, batch) of the columns; the count of rows must be what the footer says."""
    start = 0
    for batch in book.file.iter_batches(rows, columns=list(columns), use_threads=False):
        yield start, batch
        start += batch.num_rows
        if start > book.n:
            break
    if start != book.n:
        raise BadInput(
            f"{book.where} says it has {book.n:,} rows but does not: it is damaged, save it again."
        )


def read_rows(book: Book) -> Table:
    """All columns of numbers and texts."""
    import pyarrow

    chosen = [name for name, kind in book.kinds.items() if kind in ("number", "text")]
    if not chosen:
        has = ", ".join(shown(name, 30) for name in list(book.kinds)[:8])
        raise BadInput(
            f"{book.where} has no column of pictures, numbers or texts (it has {has or 'none'}): "
            "save inputs and labels as plain columns."
        )
    fields = tuple(Field(name) for name in chosen)
    rows = min(_TEXT_ROWS, max(64, _CELLS_AT_ONCE // len(chosen)))
    for start, batch in _batches(book, chosen, rows):
        for field in fields:
            values = batch.column(batch.schema.get_field_index(field.name))
            if book.kinds[field.name] == "number":
                field.add_numbers(start, _as_floats(values, pyarrow))
            else:
                field.add_texts(start, _as_texts(values, book, field.name))
    return Table(book.where, fields, book.n)


def _as_floats(values: Any, pyarrow: Any) -> np.ndarray:
    kind = pyarrow.float64()
    if values.type == pyarrow.bool_():
        values = values.cast(pyarrow.int8())
    floats = values.cast(kind, safe=False)
    return np.array(floats.fill_null(float("nan")).to_numpy(zero_copy_only=False), np.float64)


def _as_texts(values: Any, book: Book, name: str) -> list[str | None]:
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.nbytes > 1 << 28:
        raise BadInput(
            f"The column {shown(name)} of {book.where} holds endless texts: leave it out."
        )
    return values.to_pylist()


def _read_pictures(book: Book, recipe: Recipe) -> Columns:
    if book.kinds.get(recipe.image) != "picture":
        raise BadInput(
            f"The column {shown(recipe.image)} of {book.where} holds no pictures as bytes: save "
            "them as encoded files, not as paths."
        )
    others = {name: kind for name, kind in book.kinds.items() if kind in ("number", "text")}
    label = recipe.label or book.label()
    if recipe.label and recipe.label not in others:
        has = ", ".join(shown(name, 30) for name in list(others)[:8])
        raise BadInput(f"{book.where} has no column {shown(label)} for labels: it has {has}.")
    stack, field = Stack(book.where, recipe), Field(label)
    for start, batch in _batches(
        book, [recipe.image, *([label] if label else [])], _PICTURES_AT_ONCE
    ):
        for row, data in enumerate(_as_bytes(batch, recipe.image, book, start), start):
            name = f"Row {row + 1:,} of {book.where}"
            stack.add(decode_picture(data, name), name)
        if label:
            import pyarrow

            values = batch.column(batch.schema.get_field_index(label))
            if others[label] == "number":
                field.add_numbers(start, _as_floats(values, pyarrow))
            else:
                field.add_texts(start, _as_texts(values, book, label))
    if not book.n:
        raise BadInput(f"{book.where} has no rows: there is nothing in it.")
    y, classes, notes = None, None, ()
    if label:
        if field.gap is not None:
            raise BadInput(
                f"Row {field.gap + 1:,} of {book.where} has no value in the column {shown(label)}: "
                "fill it in, or leave the row out."
            )
        texts = field.texts
        if texts is None:
            raise BadInput(f"The column {shown(label)} holds too many texts: these are no classes.")
        y = field.places(texts) if field.is_text else field.numbers()
        classes = texts if field.is_text else list(book.names.get(label, ())) or None
        notes = (f"Labels were taken from the column {shown(label)}.",) * (not recipe.label)
    return Columns(stack.whole(), y, None, classes, None, notes, replace(recipe, label=label))


def _as_bytes(batch: Any, name: str, book: Book, start: int) -> Iterator[bytes]:
    from pyarrow import types

    values = batch.column(batch.schema.get_field_index(name))
    if batch.nbytes > MAX_BYTES:
        raise BadInput(f"{book.where} unpacks to far more than it should: give a smaller file.")
    inner = values
    if types.is_struct(values.type):
        inner = values.field(values.type.get_field_index("bytes"))
    for row in range(len(values)):
        value = inner[row]
        if not values[row].is_valid or not value.is_valid:
            raise BadInput(
                f"Row {start + row + 1:,} of {book.where} has no picture, or only the path of one, "
                "in the column " + f"{shown(name)}: save the bytes of the pictures."
            )
        if not 0 < value.as_buffer().size <= MAX_MEMBER:
            raise BadInput(
                f"Row {start + row + 1:,} of {book.where} holds a picture that is empty or larger "
                f"than {MAX_MEMBER >> 20} MB: leave it out."
            )
        yield value.as_py()
