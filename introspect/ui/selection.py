"""What a visitor has drawn round: which samples those are, and what went wrong among them.

The browser sends a polygon and its filter, never the samples themselves; both are taken for a
stranger's. `frontend/filter.js` and `frontend/grid.js` hold the same rules, and a test compares.
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from introspect.errors import BadInput
from introspect.ui.payload import SPLITS, pack_score, unpack_score

if TYPE_CHECKING:
    from introspect.atlas import Points

MOST_CORNERS = 20_000
MOST_CLASSES = 12
"""Classes with a row and a column of their own in a confusion matrix; the rest are summed."""


def read_polygon(raw: Any) -> Float[np.ndarray, "c 2"]:
    """The corners of a polygon from the browser.

    Raises:
        BadInput: not a list of 3 to 20,000 pairs of finite numbers.
    """
    try:
        polygon = np.array(raw, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput("The outline is no list of points; draw it again.") from error
    if polygon.ndim != 2 or polygon.shape[1] != 2 or not 3 <= len(polygon) <= MOST_CORNERS:
        raise BadInput("The outline is no list of points; draw it again.")
    if not np.isfinite(polygon).all():
        raise BadInput("The outline leaves the map; draw it again.")
    return polygon


def inside(
    polygon: Float[np.ndarray, "c 2"], z: Float[np.ndarray, "n 2"]
) -> Bool[np.ndarray, " n"]:
    """Which points lie in a polygon, by the even-odd rule."""
    low, high = polygon.min(0), polygon.max(0)
    near = np.flatnonzero(((z >= low) & (z <= high)).all(1))
    x, y = z[near, 0].astype(np.float64), z[near, 1].astype(np.float64)
    odd = np.zeros(len(near), bool)
    for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        if ya == yb:
            continue
        crosses = (ya > y) != (yb > y)
        odd[crosses] ^= x[crosses] < (xb - xa) * (y[crosses] - ya) / (yb - ya) + xa
    mask = np.zeros(len(z), bool)
    mask[near[odd]] = True
    return mask


def passing(points: Points, classes: int, raw: Any) -> Bool[np.ndarray, " n"]:
    """Which samples pass the browser's filter; anything in it that makes no sense lets all pass.

    Args:
        points: the samples.
        classes: how many classes there are; label code `classes` stands for "no label".
        raw: {label, predicted, split, wrong, low, high, only {by, codes}}.
    """
    wanted = raw if isinstance(raw, dict) else {}
    mask = np.ones(len(points.id), bool)
    for name in ("label", "predicted", "split"):
        if type(wanted.get(name)) is int:
            mask &= _codes(points, classes, name) == wanted[name]
    if wanted.get("wrong") is True:
        mask &= _codes(points, classes, "correct") == 0
    only = wanted.get("only")
    if isinstance(only, dict) and isinstance(only.get("codes"), list):
        codes = [code for code in only["codes"] if type(code) is int]
        by = only.get("by")
        if by in ("label", "predicted", "split", "correct"):
            mask &= np.isin(_codes(points, classes, by), codes)
    low, high = (_bound(wanted.get(name)) for name in ("low", "high"))
    if low is not None or high is not None:
        # What the browser compared is the packed value, so that both count alike.
        estimate = unpack_score(*pack_score(points.log_error)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            mask &= (estimate >= (-math.inf if low is None else low)) & (
                estimate <= (math.inf if high is None else high)
            )
    return mask


def _codes(points: Points, classes: int, name: str) -> np.ndarray:
    if name == "predicted":
        return points.predicted
    if name == "split":
        return points.split
    labelled = points.label >= 0
    if name == "label":
        return np.where(labelled, points.label, classes)
    return np.where(labelled, (points.label == points.predicted).astype(np.int64), 2)


def _bound(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def chosen_rows(points: Points, classes: int, raw: Any) -> Int64[np.ndarray, " m"]:
    """The rows of a selection {polygon, view, filter}, the most doubtful sample first.

    Raises:
        BadInput: the polygon is none, or the projection is not in this atlas.
    """
    raw = raw if isinstance(raw, dict) else {}
    view = raw.get("view")
    if not isinstance(view, str) or view not in points.views:
        raise BadInput("The outline belongs to a projection that this atlas does not have.")
    mask = inside(read_polygon(raw.get("polygon")), points.views[view])
    rows = np.flatnonzero(mask & passing(points, classes, raw.get("filter")))
    return rows[np.argsort(-points.log_error[rows], kind="stable")]


def confusions(points: Points, rows: Int64[np.ndarray, " m"]) -> list[tuple[int, int, int]]:
    """(label, predicted, count) of the labelled samples in `rows`: mistakes first, most first."""
    rows = rows[points.label[rows] >= 0]
    pairs, counts = np.unique(
        np.stack([points.label[rows], points.predicted[rows]], 1), axis=0, return_counts=True
    )
    found = [
        (int(label), int(predicted), int(count))
        for (label, predicted), count in zip(pairs, counts, strict=True)
    ]
    return sorted(found, key=lambda entry: (entry[0] == entry[1], -entry[2]))


@dataclass(frozen=True, eq=False)
class Confusion:
    """How many samples of each true class got each answer: `counts[true, predicted]`, read-only.

    `codes` are the classes of the first rows and columns, in class order; with `others` > 0 one
    more row and column sum that many classes which are present but have none of their own.
    """

    codes: tuple[int, ...]
    others: int
    counts: Int64[np.ndarray, "c c"]

    def __post_init__(self) -> None:
        self.counts.setflags(write=False)


def confusion_matrix(
    points: Points, rows: Int64[np.ndarray, " m"], most: int = MOST_CLASSES
) -> Confusion:
    """The confusion matrix of the labelled samples in `rows`, over the classes present there.

    A class is present when it is a label or an answer; the `most` frequent ones, labels and answers
    counted together, keep a row of their own.
    """
    rows = rows[points.label[rows] >= 0]
    label, predicted = points.label[rows], points.predicted[rows]
    present, counts = np.unique(np.concatenate([label, predicted]), return_counts=True)
    own = np.sort(present[np.argsort(-counts, kind="stable")[:most]])
    place = np.full(int(present.max(initial=-1)) + 1, len(own), np.int64)
    place[own] = np.arange(len(own))
    size = len(own) + (len(present) > len(own))
    cells = np.bincount(place[label] * size + place[predicted], minlength=size * size)
    return Confusion(
        tuple(own.tolist()), len(present) - len(own), cells.astype(np.int64).reshape(size, size)
    )


def to_columns(
    points: Points, rows: Int64[np.ndarray, " m"], classes: tuple[str, ...]
) -> dict[str, list[Any]]:
    """The samples in `rows` as columns of a table, in that order."""
    names = (*classes, "")  # -1, no label, is the last
    return {
        "id": points.id[rows].tolist(),
        "split": [SPLITS[code] for code in points.split[rows]],
        "label": [names[code] for code in points.label[rows]],
        "predicted": [names[code] for code in points.predicted[rows]],
        "correct": [
            "" if label < 0 else bool(correct)
            for label, correct in zip(points.label[rows], points.correct[rows], strict=True)
        ],
        "x": points.z[rows, 0].tolist(),
        "y": points.z[rows, 1].tolist(),
        "log_error": points.log_error[rows].tolist(),
        "log_error_map": points.log_error_map[rows].tolist(),
        "off_map": points.off_map[rows].tolist(),
    }


def to_csv(points: Points, rows: Int64[np.ndarray, " m"], classes: tuple[str, ...]) -> bytes:
    """The samples in `rows` as a CSV file, their ids first."""
    columns = to_columns(points, rows, classes)
    for name in ("label", "predicted"):
        columns[name] = [harmless(text) for text in columns[name]]
    for name in ("x", "y", "log_error", "log_error_map", "off_map"):
        columns[name] = [f"{value:.6g}" for value in columns[name]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def confusions_csv(
    points: Points, rows: Int64[np.ndarray, " m"], classes: tuple[str, ...]
) -> bytes:
    """Every pair of label and answer with its count, as CSV in UTF-8: no class is summed up."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "predicted", "count"])
    for label, predicted, count in confusions(points, rows):
        writer.writerow([harmless(classes[label]), harmless(classes[predicted]), count])
    return text.getvalue().encode()


def harmless(text: str) -> str:
    """A class name that no spreadsheet takes for a formula, on one line.

    Python's csv writes a lone carriage return without quotes: what follows it would be a new cell.
    """
    text = " ".join(re.split(r"[\r\n\v\f\0]", text))
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] == "\t" else text
