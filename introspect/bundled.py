"""What comes with Introspect: where the site's files lie, and what the sample models are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from introspect.errors import BadInput

__all__ = ["find_model", "sample_atlases", "site"]


@cache
def site() -> Path:
    """The folder holding app.py, pages/, assets/ and sample_models/.

    A checkout has them beside the package; a wheel carries them inside it, under `_site`.
    """
    package = Path(__file__).resolve().parent
    carried = package / "_site"
    return carried if carried.is_dir() else package.parent


def sample_atlases() -> dict[str, Path]:
    """The bundled atlases, by name."""
    folders = sorted((site() / "sample_models").glob("*/*.atlas"))
    return {path.stem: path for path in folders if (path / "CURRENT").is_file()}


def find_model(source: str | Path) -> Path:
    """The weights a MODEL argument stands for: a bundled name, or a path that exists.

    Raises:
        BadInput: when there is neither.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    weights = site() / "sample_models" / str(source) / "model.safetensors"
    if weights.is_file() and Path(source).name == str(source):
        return weights
    raise BadInput(f"There is no model {str(source)!r}: give a file{_names(_sample_models())}.")


def _sample_models() -> list[str]:
    return sorted(
        path.parent.name for path in (site() / "sample_models").glob("*/model.safetensors")
    )


def _names(names: list[str]) -> str:
    return f", or one of the names {', '.join(names)}" if names else ""
