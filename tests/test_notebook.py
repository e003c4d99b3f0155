"""The notebook in docs/ does what it says, cell by cell."""

from __future__ import annotations

import contextlib
import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"


def test_every_cell_of_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_NO_BROWSER", "1")
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) >= 6
    known: dict[str, Any] = {"__name__": "notebook"}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            for number, source in enumerate(sources):
                exec(compile(source, f"cell {number}", "exec"), known)
                if "atlas.open" in source:
                    # What the browser would write when someone draws round three points.
                    with urllib.request.urlopen(known["window"].url, timeout=30) as answer:
                        assert answer.status == 200
                    known["window"]._chosen.write_text("[5, 1, 3]")
        finally:
            if "window" in known and known["window"].is_open:
                known["window"].close()
    assert not known["window"].is_open
    assert known["atlas"].settings["accuracy"] > 0.85
    lines = said.getvalue()
    assert "3 samples are selected" in lines
    assert f"right answers among them: {sum(known['atlas'].points.correct[[5, 1, 3]])}" in lines


def test_notebook_is_kept_without_its_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
