"""The data half of the form: what is shown of a file, and what is chosen for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from introspect.recipe import recipe_of
from introspect.samples import load_samples
from introspect.ui import gather, upload
from introspect.ui.guard import HEADERS


def form(kept: Path) -> AppTest:
    def page(path: str) -> None:
        from pathlib import Path

        from introspect.ui import gather

        gather.draw(Path(path))

    return AppTest.from_function(page, args=(str(kept),), default_timeout=60).run()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "up" / "people.csv"
    file.parent.mkdir()
    rows = [f"{i},{i % 5},{'' if i == 3 else i % 7},{'ab'[i % 2]}" for i in range(60)]
    file.write_text("id,age,size,class\n" + "\n".join(rows) + "\n")
    return file


def test_gap_is_told_with_row_and_column_until_the_column_is_taken_out(table: Path) -> None:
    app = form(table)
    assert app.selectbox[0].value == "class"
    assert app.multiselect[0].value == ["age", "size"]
    assert "Row 4 has no value in the column size" in app.error[0].value
    app.multiselect[0].set_value(["age"]).run()
    assert not app.error and not app.exception
    assert "60 samples of 1 value, 2 classes" in app.caption[-1].value
    [folder] = table.parent.glob("plain-*/people")
    found = load_samples(folder)
    assert found.recipe.columns == ("age",) and found.recipe.label == "class"
    assert recipe_of({"data": {"intake": found.recipe.told(False)}}) == found.recipe


def test_limit_of_uploads_is_stated_with_the_way_around_it() -> None:
    assert "1,024 MB a file" in gather.limits() and "introspect build" in gather.limits()
    assert upload.DATA_MB == upload.UPLOAD_MB == 1024


def test_camera_is_lent_to_our_own_pages_only() -> None:
    assert "camera=(self)" in HEADERS["Permissions-Policy"]
    assert "microphone=()" in HEADERS["Permissions-Policy"]
