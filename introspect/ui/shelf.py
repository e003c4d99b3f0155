"""The atlases a visitor can open: the bundled ones and those kept in the library folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from introspect.store import library_dir
from introspect.ui.nav import site


@dataclass(frozen=True)
class Book:
    """One atlas on the shelf, before it is opened."""

    name: str
    title: str
    path: Path
    version: str
    bundled: bool


def books() -> dict[str, Book]:
    """Every atlas that can be opened, by the name that stands in the URL; bundled ones first."""
    found: dict[str, Book] = {}
    for bundled, folder in ((True, site() / "sample_models"), (False, library_dir())):
        pattern = "*/*.atlas" if bundled else "*.atlas"
        for path in sorted(folder.glob(pattern)):
            current = path / "CURRENT"
            if current.is_file():
                name = path.stem if path.stem not in found else f"my-{path.stem}"
                found[name] = Book(name, path.stem, path, current.read_text().strip(), bundled)
    return found
