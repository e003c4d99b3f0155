"""Survey: what is in a data file, before anybody decides how it is to be read.

It runs in the quarantine child: the page that asks sees names, counts and a few small pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from introspect.datafile import open_zip, read_head
from introspect.errors import BadInput
from introspect.intake import shown
from introspect.pictures import (
    Entry,
    arrange,
    decode_picture,
    folder_entries,
    measure_picture,
    read_member,
    zip_entries,
)
from introspect.source import PARQUET, PICTURES, TABLES, holds_arrays
from introspect.tables import Table, guess_label, is_index, read_table

EXAMPLES = 3
"""Pictures that are shown before and after they are fitted."""

LONGEST = 512
"""Longest side of an example, in pixels; larger ones are made smaller, in their own shape."""

MEASURED = 1000
"""Most pictures whose size is looked at."""

_SHOWN_COLUMNS = 200


def survey_upload(path: Path, folder: Path) -> dict[str, Any]:
    """What the quarantine child says of uploaded data.

    Returns:
        `kind` (pictures, table or arrays). Of pictures: `n`, `sizes` (the commonest ones with
        their counts, of at most 1,000 measured), `colour`, and `examples`, how many files
        `example0.npy` … it wrote into the folder. Of a table: `n`, `columns` (name, kind and how
        many different texts), `label`, the column that most likely holds the labels, and `left`,
        those that only name rows.

    Raises:
        BadInput: the file cannot be read.
    """
    if path.is_dir():
        if any(path.rglob("*.parquet")):
            return _survey_parquet(sorted(path.rglob("*.parquet"))[0], folder)
        if (path / "x.npy").exists() or any(path.glob("*ubyte*")):
            return {"kind": "arrays"}
        return _survey_entries(folder_entries(path), path.name, folder)
    head = read_head(path)
    if head.startswith(b"PK") and not holds_arrays(path):
        with open_zip(path) as archive:
            return _survey_entries(zip_entries(path, archive), path.name, folder)
    if head.startswith(PARQUET):
        return _survey_parquet(path, folder)
    if head.startswith(PICTURES) or head[8:12] == b"WEBP":
        entry = Entry((path.name,), path.stat().st_size, path.read_bytes)
        return _survey_entries(iter([entry]), path.name, folder)
    if path.suffix.lower() in TABLES:
        return _tell_table(read_table(path))
    return {"kind": "arrays"}


def _survey_entries(entries: Iterator[Entry], where: str, folder: Path) -> dict[str, Any]:
    chosen, _, _ = arrange(entries, shown(where))
    steps = np.linspace(0, len(chosen) - 1, min(len(chosen), MEASURED)).astype(int)
    measured = [chosen[int(row)] for row in steps]
    sizes = Counter(
        measure_picture(entry.read(), f"The picture {shown(entry.parts[-1])}") for entry in measured
    )
    shown_rows = np.linspace(0, len(chosen) - 1, min(len(chosen), EXAMPLES)).astype(int)
    pictures = [read_member(chosen[int(row)]) for row in shown_rows]
    return _tell_pictures(len(chosen), sizes, pictures, folder)


def _tell_pictures(
    n: int, sizes: Counter[tuple[int, int]], pictures: list[np.ndarray], folder: Path
) -> dict[str, Any]:
    for place, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
        np.save(folder / f"example{place}.npy", np.asarray(image), allow_pickle=False)
    return {
        "kind": "pictures",
        "n": n,
        "sizes": [[*size, count] for size, count in sizes.most_common(3)],
        "same": len(sizes) == 1,
        "colour": any(picture.ndim == 3 for picture in pictures),
        "examples": len(pictures),
    }


def _tell_table(table: Table) -> dict[str, Any]:
    if not table.n:
        raise BadInput(f"{table.where} has no rows: there is nothing in it.")
    columns = [
        {
            "name": field.name,
            "kind": "text" if field.is_text else "number",
            "texts": len(field.texts or ()) if field.is_text else 0,
            "gap": field.gap,
        }
        for field in table.fields[:_SHOWN_COLUMNS]
    ]
    return {
        "kind": "table",
        "n": table.n,
        "count": len(table.fields),
        "columns": columns,
        "label": guess_label(table),
        "left": [field.name for field in table.fields[:_SHOWN_COLUMNS] if is_index(field)],
    }


def _survey_parquet(path: Path, folder: Path) -> dict[str, Any]:
    from introspect.parquet import look

    book, pictures, table = look(path, EXAMPLES)
    if table is not None:
        return _tell_table(table)
    decoded = [decode_picture(data, "A picture") for data in pictures]
    sizes = Counter(picture.shape[:2] for picture in decoded)
    told = _tell_pictures(book.n, sizes, decoded[:EXAMPLES], folder)
    labels = [name for name, kind in book.kinds.items() if kind in ("number", "text")]
    return told | {"label": book.label(), "labels": labels[:_SHOWN_COLUMNS]}
