"""The rows of an atlas: what is known of every recorded sample, and the table that holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float32, Int64, UInt8

from introspect.errors import BadInput
from introspect.samples import SPLITS

VIEWS = ("umap", "pca")
OFF_THE_MAP = 99.0
"""Percentile among validation samples from which a sample counts as a stranger."""

_MAX_ROWS = 20_000_000
_FLOATS = ("x", "y", "log_error", "log_error_map", "off_map", "error")


@dataclass(frozen=True, eq=False)
class Points:
    """One row per recorded sample, in recording order; all arrays are read-only.

    `z` is the place on the InfoVAE map; `log_error` (from all activations) and `log_error_map`
    (from z alone) estimate log10 of ½‖y − ŷ‖²; `error` is that quantity itself, NaN without a
    label (label -1); `off_map` is a percentile among validation samples, 0-100; `views` holds
    other places of the same rows by projection.
    """

    id: Int64[np.ndarray, " n"]
    split: UInt8[np.ndarray, " n"]
    label: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    correct: Bool[np.ndarray, " n"]
    z: Float32[np.ndarray, "n 2"]
    log_error: Float32[np.ndarray, " n"]
    log_error_map: Float32[np.ndarray, " n"]
    error: Float32[np.ndarray, " n"]
    off_map: Float32[np.ndarray, " n"]
    outputs: Float32[np.ndarray, "n k"]
    views: dict[str, Float32[np.ndarray, "n 2"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", {"infovae": self.z, **self.views})
        for value in (*vars(self).values(), *self.views.values()):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.id)

    def row_of(self, name: int | str) -> int:
        """The row of an id, or of `split:place` such as `test:907`.

        Raises:
            BadInput: no sample is called that.
        """
        split, _, place = str(name).strip().rpartition(":")
        # Long numbers are no ids, and more digits than fit would be refused by Python itself.
        if place.isdecimal() and len(place) < 19:
            if not split:
                found = np.flatnonzero(self.id == int(place))
            elif split in SPLITS:
                found = np.flatnonzero(self.split == SPLITS.index(split))[int(place) :][:1]
            else:
                found = np.zeros(0, int)
            if len(found):
                return int(found[0])
        raise BadInput(
            f"There is no sample {name!r}: give an id of the atlas, or such as test:907."
        )


def table_of(points: Points) -> pa.Table:
    """The table as it is stored and handed out: columns of DESIGN's points.parquet."""
    columns: dict[str, Any] = {
        "id": points.id,
        "split": pa.DictionaryArray.from_arrays(
            pa.array(points.split.astype(np.int8)), list(SPLITS)
        ),
        "label": points.label,
        "predicted": points.predicted,
        "correct": points.correct,
        "x": points.z[:, 0],
        "y": points.z[:, 1],
        "log_error": points.log_error,
        "log_error_map": points.log_error_map,
        "off_map": points.off_map,
        "error": points.error,
        "outputs": pa.FixedSizeListArray.from_arrays(
            pa.array(points.outputs.reshape(-1)), points.outputs.shape[1]
        ),
    }
    for name in VIEWS:
        if name in points.views:
            columns |= {f"{name}_{axis}": points.views[name][:, i] for i, axis in enumerate("xy")}
    return pa.table(
        {
            name: pa.array(np.ascontiguousarray(v)) if isinstance(v, np.ndarray) else v
            for name, v in columns.items()
        }
    )


def write_points(points: Points, file: Path) -> None:
    """Writes points.parquet; floats are stored byte plane by byte plane, which zstd likes."""
    table = table_of(points)
    floats = [n for n in table.column_names if pa.types.is_floating(table.schema.field(n).type)]
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=12,
        use_dictionary=["split", "label", "predicted"],  # pyright: ignore[reportArgumentType]
        use_byte_stream_split=[*floats, "outputs.list.element"],  # pyright: ignore
    )


def read_points(file: Path) -> Points:
    """The rows of an atlas; nothing in the file is run or looked up elsewhere.

    Raises:
        BadInput: the table is damaged or lacks a column (names it).
    """
    try:
        with pq.ParquetFile(file) as stored:
            if stored.metadata.num_rows > _MAX_ROWS:
                raise BadInput(
                    f"{file.name} claims {stored.metadata.num_rows:,} rows, {_MAX_ROWS:,} fit."
                )
            table = stored.read().combine_chunks()
        split = table["split"].combine_chunks()
        names = split.dictionary.to_pylist() if pa.types.is_dictionary(split.type) else None
        codes = split.indices.to_numpy() if names else [SPLITS.index(s) for s in split.to_pylist()]
        lookup = np.array([SPLITS.index(name) for name in names or SPLITS], np.uint8)
        outputs = table["outputs"].combine_chunks()
        count = table.num_rows
        flat = outputs.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        column = {
            name: table[name].to_numpy().astype(np.int64) for name in ("id", "label", "predicted")
        } | {name: table[name].to_numpy().astype(np.float32) for name in _FLOATS}
        x, y = column.pop("x"), column.pop("y")
        views = {
            name: np.stack([table[f"{name}_{a}"].to_numpy() for a in "xy"], 1).astype(np.float32)
            for name in VIEWS
            if f"{name}_x" in table.column_names
        }
        return Points(
            split=lookup[np.asarray(codes)],
            correct=table["correct"].to_numpy(zero_copy_only=False).astype(bool),
            z=np.stack([x, y], 1),
            outputs=flat.reshape(count, -1 if count else outputs.type.list_size),
            views=views,
            **column,
        )
    except KeyError as error:
        raise BadInput(
            f"{file.name} lacks the column {error}: the atlas is damaged; build it again."
        ) from error
    except (OSError, ValueError, IndexError, AttributeError, pa.ArrowException) as error:
        raise BadInput(f"{file.name} is damaged: build or download the atlas again.") from error
