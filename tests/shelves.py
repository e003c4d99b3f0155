"""Atlases that stand on a shelf but hold no more than a card shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from introspect import store


def put(path: Path, n: int = 200, seed: int = 0) -> Path:
    """Writes an atlas folder with a map and a description, nothing to locate with."""
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    z = rng.normal(0, 0.3, (n, 2)) + label[:, None]

    def fill(folder: Path) -> None:
        columns = {"x": z[:, 0].astype("f4"), "y": z[:, 1].astype("f4"), "label": label}
        parquet.write_table(pyarrow.table(columns), folder / "points.parquet")
        summary = {"n": n, "p": 96, "k": 3, "accuracy": 0.975}
        (folder / "settings.json").write_text(json.dumps(summary))

    store.write_folder(path, fill)
    return path
