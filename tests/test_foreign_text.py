"""Names given by strangers are text: never HTML in a page, never a formula in a table."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from standin import pretend

import introspect
from introspect.ui.selection import confusions_csv, harmless, to_csv

PACKAGE = Path(introspect.__file__).parent
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|"
    r"srcdoc|unsafe_allow_html|unsafe_allow_javascript"
)
STARTS = ("=", "+", "-", "@", "\t", "\r=", "\n=", " =", "a\r=", "a\n=")


@pytest.mark.parametrize("start", STARTS)
def test_cell_never_begins_like_a_formula(start: str) -> None:
    name = f"{start}HYPERLINK(1)"
    atlas = pretend()
    rows = np.arange(len(atlas.points.id))
    classes = (name, "plain", name)
    for text in (to_csv(atlas.points, rows, classes), confusions_csv(atlas.points, rows, classes)):
        lines = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
        cells = {line[column] for line in lines for column in ("label", "predicted")}
        assert cells == {harmless(name), "plain", ""} - ({""} if b"correct" not in text else set())
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
        assert not any(cell.startswith("\t") for cell in cells)


def test_harmless_names_stay_as_they_are() -> None:
    assert [harmless(name) for name in ("", "cat", "a=b", "1-2")] == ["", "cat", "a=b", "1-2"]


def test_every_table_of_names_is_written_through_the_same_gate() -> None:
    writers = [path for path in PACKAGE.rglob("*.py") if "csv.writer(" in path.read_text()]
    assert len(writers) >= 4
    numbers_only = {"reliability_table.py"}
    ungated = {path.name for path in writers if "harmless(" not in path.read_text()}
    assert ungated <= numbers_only


def test_no_page_part_makes_markup_of_text() -> None:
    files = [*PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("pages/*.py")]
    assert len(files) > 100
    assert [path.name for path in files if MARKUP.search(path.read_text())] == []
