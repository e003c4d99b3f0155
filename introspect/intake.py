"""Intake: are these arrays fit to be samples? Says in one sentence what is wrong, or converts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int64, UInt8

from introspect.errors import BadInput

MAX_CLASSES = 10_000
"""Most classes taken from labels alone."""

MAX_NAME = 200
"""Most characters of a class name."""

_CHUNK = 1 << 24
_DARK = 32
_SPLITS = ("train", "validation", "test")


def check_inputs(x: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Inputs as `Samples` keeps them, and notes on what was changed.

    Pictures `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` become `(n, c, h, w)`: uint8 when their
    values are exactly bytes (0..255, or 0..1 in steps of 1/255), else float32 in [0, 1]. Tables
    `(n, d)` become float32 as they are, except flattened square pictures of bytes.

    Raises:
        BadInput: no numbers, no samples, wrong number of axes, NaN or infinity, or pictures whose
            values are in neither range.
    """
    if x.dtype.kind not in "buif":
        raise BadInput(
            f"The inputs are of type {x.dtype}, not numbers: save x as a float32 or uint8 array."
        )
    if x.ndim not in (2, 3, 4):
        raise BadInput(
            f"The inputs have shape {x.shape}: give pictures (n, h, w), (n, h, w, c) or "
            "(n, c, h, w), or a table (n, d)."
        )
    if 0 in x.shape:
        raise BadInput(f"The inputs have shape {x.shape}: there is nothing in them.")
    _check_finite(x)
    if x.ndim == 2:
        return _check_table(x)
    return _check_pictures(_channel_first(x))


def _channel_first(x: np.ndarray) -> np.ndarray:
    if x.ndim == 3:
        return x[:, None]
    if x.shape[1] in (1, 3):
        return x
    if x.shape[3] in (1, 3):
        return x.transpose(0, 3, 1, 2)
    if x.shape[3] in (2, 4) and x.shape[1] > 4:
        raise BadInput(
            f"The pictures have {x.shape[3]} channels: leave the transparency out and give 1 "
            "(grey) or 3 (red, green, blue)."
        )
    return x


def _check_pictures(x: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    low, high = _range(x)
    if x.dtype == np.bool_ or (x.dtype.kind in "ui" and 0 <= low and high <= 1):
        note = "Pictures of zeros and ones were read as black and white."
        return np.asarray(x, np.uint8) * np.uint8(255), (note,)
    if x.dtype.kind in "ui":
        if low < 0 or high > 255:
            raise BadInput(
                f"The pictures hold whole numbers from {low:g} to {high:g}: bring them to 0-255 "
                "(uint8) or to 0-1 (float32)."
            )
        return np.asarray(x, np.uint8), ()
    if low < 0:
        raise BadInput(
            f"The pictures hold values from {low:.4g} to {high:.4g}, as if already normalised: "
            "give them as 0-1 or 0-255 and state mean and deviation as the model's preprocessing."
        )
    if high <= 1.5:
        return _exact_bytes(x, 255), ()
    if high > 255 or not _is_whole(x):
        raise BadInput(
            f"The pictures hold values from {low:.4g} to {high:.4g}, neither 0-1 nor whole numbers "
            "0-255: scale them to one of the two."
        )
    if high <= _DARK:
        raise BadInput(
            f"The pictures hold whole numbers from 0 to {high:g} only: divide them by {high:g} to "
            "bring them to 0-1, or scale them to 0-255."
        )
    return np.asarray(x, np.uint8), (_DIVIDED,)


_DIVIDED = "Values 0-255 were divided by 255, because a model takes 0-1."


def _check_table(x: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    if _is_flat_picture(x.shape[1]):
        if x.dtype == np.uint8:
            return x, ()
        low, high = _range(x)
        if 0 <= low and _DARK < high <= 255 and _is_whole(x):
            return np.asarray(x, np.uint8), (_DIVIDED,)
        if 0 <= low and 1 <= high <= 1.5:
            return _exact_bytes(x, 255), ()
    return _floats(x), ()


def _is_flat_picture(width: int) -> bool:
    return any(
        width % channels == 0
        and math.isqrt(width // channels) ** 2 == width // channels
        and width // channels >= 64
        for channels in (1, 3)
    )


def _floats(x: np.ndarray) -> np.ndarray:
    if x.dtype == np.float32:
        return x
    with np.errstate(over="ignore"):
        converted = np.asarray(x, np.float32)
    _check_finite(converted)
    return converted


def _exact_bytes(x: np.ndarray, scale: int) -> np.ndarray:
    """The bytes that `x` is 1/scale of, bit for bit in float32; else `x` as float32."""
    x = _floats(x)
    found = np.empty(x.shape, np.uint8)
    for rows in _chunks(x):
        values = np.round(x[rows] * np.float32(scale))
        if values.max() > 255 or not np.array_equal(values / np.float32(scale), x[rows]):
            return x
        found[rows] = values
    return found


def _chunks(x: np.ndarray) -> Iterator[slice]:
    step = max(1, _CHUNK // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def _range(x: np.ndarray) -> tuple[float, float]:
    if x.dtype == np.bool_:
        return 0.0, 1.0
    lows, highs = zip(*((x[rows].min(), x[rows].max()) for rows in _chunks(x)), strict=True)
    return float(min(lows)), float(max(highs))


def _is_whole(x: np.ndarray) -> bool:
    return all(np.array_equal(x[rows], np.floor(x[rows])) for rows in _chunks(x))


def _check_finite(x: np.ndarray) -> None:
    if x.dtype.kind != "f":
        return
    axes = tuple(range(1, x.ndim))
    bad = [~np.isfinite(x[rows]).all(axis=axes) for rows in _chunks(x)]
    rows = np.flatnonzero(np.concatenate(bad))
    if len(rows):
        raise BadInput(
            f"{len(rows):,} of {len(x):,} samples hold NaN, infinite or far too large values "
            f"(first: sample {rows[0]}): remove or repair them."
        )


def check_labels(
    y: np.ndarray | None, n: int, classes: Sequence[str] | None
) -> tuple[Int64[np.ndarray, " n"], tuple[str, ...]]:
    """Labels as class numbers, -1 where there is none, and the class names.

    Numbers, names, booleans and one-hot rows are understood. Without `classes`, numbers name
    themselves.

    Raises:
        BadInput: another length than the inputs, fractions, NaN, or out of range.
    """
    named = None if classes is None else tuple(str(name) for name in classes)
    if y is None:
        return np.full(n, -1, np.int64), named or ()
    if len(y) != n or y.ndim == 0:
        raise BadInput(f"There are {n:,} inputs but {y.size:,} labels: give one label for each.")
    y = _flatten_labels(y)
    if y.ndim != 1:
        raise BadInput(f"The labels have shape {y.shape}: give one class number for each sample.")
    if y.dtype.kind in "US":
        return _number(y, named)
    y = _whole_labels(y)
    limit = MAX_CLASSES if named is None else len(named)
    wrong = np.flatnonzero((y < -1) | (y >= limit))
    if len(wrong):
        raise BadInput(
            f"Sample {wrong[0]} has the label {y[wrong[0]]}, but there are {limit:,} classes, "
            f"0 to {limit - 1:,}: correct {len(wrong):,} labels or give all class names."
        )
    if named is None:
        named = tuple(str(code) for code in range(int(y.max()) + 1))
    return y, named


def shown(name: object, most: int = 60) -> str:
    """A stranger's name fit for a sentence: one line, no control characters, not too long."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in str(name)[: 2 * most])
    return line if len(str(name)) <= most else f"{line[:most]}\u2026"


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Class names as they are shown: text of one line, each once.

    Control characters, also those that turn the direction of writing, become U+FFFD.

    Raises:
        BadInput: too many or too long names, an empty one, or one that occurs twice.
    """
    if len(names) > MAX_CLASSES:
        raise BadInput(f"There are {len(names):,} class names: at most {MAX_CLASSES:,} are read.")
    for name in names:
        if len(name) > MAX_NAME:
            raise BadInput(
                f"The class name {shown(name, 30)!r} is {len(name):,} characters long: at most "
                f"{MAX_NAME} are read."
            )
    tidy = tuple(shown(name, MAX_NAME) for name in names)
    if "" in tidy:
        raise BadInput(f"Class {tidy.index('')} has an empty name: give each class its name.")
    if len(set(tidy)) < len(tidy):
        seen: set[str] = set()
        twice = next(name for name in tidy if name in seen or seen.add(name))
        raise BadInput(f"Two classes are called {shown(twice)!r}: give each its own name.")
    return tidy


def _flatten_labels(y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "buif" and _is_one_hot(y):
        return y.argmax(1)
    return y


def _whole_labels(y: np.ndarray) -> Int64[np.ndarray, " n"]:
    if y.dtype.kind not in "buif":
        raise BadInput(f"The labels are of type {y.dtype}: give whole numbers or class names.")
    if y.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.floor(y) == y) | (np.abs(y) > 1e9))
        if len(wrong):
            raise BadInput(
                f"Sample {wrong[0]} has the label {y[wrong[0]]:g}: labels are whole numbers that "
                f"count classes from 0 ({len(wrong):,} are not)."
            )
    elif y.dtype.kind == "u" and len(y) and y.max() > 1 << 40:
        raise BadInput(f"A label is {y.max()}: labels count classes from 0.")
    return y.astype(np.int64)


def _is_one_hot(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())


def check_several(y: Int64[np.ndarray, " n"], names: tuple[str, ...]) -> None:
    """Refuses labels that are all the same: nothing could be told apart."""
    found = np.unique(y[y >= 0])
    if len(found) == 1:
        raise BadInput(
            f"All labels are {names[found[0]]}: a map needs samples of at least two "
            "classes; if these are part of a larger set, give its class names."
        )


def _number(
    y: np.ndarray, classes: tuple[str, ...] | None
) -> tuple[Int64[np.ndarray, " n"], tuple[str, ...]]:
    names = y.astype(str)
    if classes is None:
        classes = tuple(sorted(np.unique(names).tolist(), key=natural))
        if len(classes) > MAX_CLASSES:
            raise BadInput(f"There are {len(classes):,} different labels: are these classes?")
    codes = {name: code for code, name in enumerate(classes)}
    unknown = [name for name in np.unique(names).tolist() if name not in codes]
    if unknown:
        raise BadInput(f"The label {unknown[0]!r} is no class of {', '.join(classes[:12])}.")
    numbers = np.array([codes[name] for name in names.tolist()], np.int64)
    return numbers, classes


def natural(name: str) -> tuple:
    """Sort key that puts 2 before 10."""
    parts = (part for part in re.split(r"(\d+)", name) if part)
    return tuple((int(p), "") if p.isdecimal() else (math.inf, p) for p in parts)


def check_split(split: np.ndarray, n: int) -> UInt8[np.ndarray, " n"]:
    """Split codes 0, 1, 2 (or the names train, validation, test) of all n samples."""
    if split.shape != (n,):
        raise BadInput(f"The split has shape {split.shape}: give one value for each input ({n:,}).")
    if split.dtype.kind in "US":
        codes = {name: code for code, name in enumerate(_SPLITS)} | {"val": 1, "valid": 1}
        values = np.array([codes.get(name.lower(), -1) for name in split.astype(str).tolist()])
    elif split.dtype.kind in "buif":
        values = split
    else:
        values = np.full(n, -1)
    wrong = np.flatnonzero(~np.isin(values, (0, 1, 2)))
    if len(wrong):
        raise BadInput(
            f"Sample {wrong[0]} has the split {split[wrong[0]]}: use 0 (train), 1 (validation) or "
            "2 (test)."
        )
    return values.astype(np.uint8)


def check_ids(ids: np.ndarray, n: int) -> Int64[np.ndarray, " n"]:
    """Ids as whole numbers, each once."""
    if ids.shape != (n,) or ids.dtype.kind not in "ui":
        raise BadInput(f"The ids must be {n:,} whole numbers, one for each sample.")
    if len(np.unique(ids)) != n:
        raise BadInput("Some ids occur twice: give each sample its own.")
    return ids.astype(np.int64)
