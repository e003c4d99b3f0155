"""Puts the app, its pages and one sample into a wheel, under introspect/_site/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SITE = (
    "app.py",
    "pages",
    "assets",
    ".streamlit",
    "sample_models/mnist-net1",
)
LEFT_OUT = ("assets/screenshots/", "__pycache__/", ".streamlit/secrets.toml", ".atlas/.lock")


class SiteHook(BuildHookInterface):
    """Adds the site to a wheel; an editable install uses the checkout itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Names every file of the site once, from its place here to its place in the wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        for entry in SITE:
            path = root / entry
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                name = file.relative_to(root).as_posix()
                if file.is_file() and not any(part in name for part in LEFT_OUT):
                    build_data["force_include"][str(file)] = f"introspect/_site/{name}"
