"""Places new data on an atlas and keeps the positions as a table."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np

from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.plugin import Progress
from introspect.points import OFF_THE_MAP
from introspect.recipe import recipe_of
from introspect.samples import load_samples
from introspect.store import write_file


def write_positions(
    folder: Path, data: str | Path, out: Path, on_batch: Progress | None = None
) -> dict[str, Any]:
    """Locates every sample; the table has its id, label, predicted class, x, y and estimates.

    Args:
        folder: the atlas.
        data: a bundled name or a file, as `load_samples` takes it.
        out: the parquet file to write; it is there whole or not at all.
        on_batch: told how many samples are placed.

    Raises:
        BadInput: when atlas or data cannot be read, or the data do not fit the model.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not out.parent.is_dir():
        raise BadInput(f"There is no folder {str(out.parent)!r} to write {out.name} in.")
    atlas = Atlas.load(folder)
    classifier = atlas.classifier
    recipe = recipe_of(atlas.settings)
    samples = load_samples(data, classes=classifier.classes, recipe=recipe)
    samples = samples.fitted(classifier.input_shape, classifier.classes)
    began = time.perf_counter()
    found = atlas.engine.locate_samples(samples, on_batch=on_batch)
    seconds = time.perf_counter() - began
    z, off_map = found.z, found.off_map
    columns = {
        "id": samples.ids,
        "label": samples.y,
        "predicted": found.predicted,
        "x": z[:, 0],
        "y": z[:, 1],
        "log_error": found.log_error,
        "log_error_map": found.log_error_map,
        "off_map": off_map,
    }
    sink = io.BytesIO()
    pq.write_table(pa.table({name: np.asarray(column) for name, column in columns.items()}), sink)
    write_file(out, sink.getvalue())
    return {
        "n": len(samples),
        "seconds": round(seconds, 3),
        "off_map": int((off_map > OFF_THE_MAP).sum()),
        "out": str(out),
    }
