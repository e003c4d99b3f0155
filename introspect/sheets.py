"""Sheets: all pictures of a data set as tiles of a few large WebP files, for the page and as data.

Measured on MNIST (70,000 pictures of 28 x 28, two shared cores): lossless WebP, method 4, effort
50: 10.6 MB, 3.4 s to write, 0.6 s to read; effort 100: the same size, 11 s; method 0: 12.8 MB;
PNG: 11.9 MB, optimised 11.6 MB in 16 s.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress

MAX_SIDE = 2048
"""Longest side of a sheet in pixels: every browser and graphics card takes it."""

MAX_TILE = 48
"""Longest side of a tile in pixels; larger pictures are shrunk to thumbnails."""

_MAX_PIXELS = 1 << 32
_KEYS = {"height", "width", "channels", "columns", "per_sheet", "count"}


@runtime_checkable
class _HasPictures(Protocol):
    @property
    def x(self) -> np.ndarray: ...


def write_sheets(
    samples: _HasPictures,
    folder: Path,
    *,
    lossless: bool | None = None,
    quality: int | None = None,
    on_sheet: Progress | None = None,
) -> dict[str, Any]:
    """Writes the pictures as `000.webp`, `001.webp`, ... and `thumbs.json`; row r is tile r.

    Args:
        samples: anything whose `x` is uint8 or float [0, 1] of shape `(n, c, h, w)`, c 1 or 3.
        folder: made when it is not there.
        lossless: whether decoding must give `x` back bit for bit; None means yes for grey
            pictures of at most 48 px a side.
        quality: 0-100; effort when lossless (default 50), else how good it looks (default 80).
        on_sheet: told (sheets done, sheets in all); answering False stops the work.

    Returns:
        What thumbs.json says: `height, width, channels` of a tile, `columns` and `per_sheet`
        tiles, `count`, `lossless`, `sheets` (file names).

    Raises:
        BadInput: the samples are no pictures.
        Cancelled: `on_sheet` answered False.
    """
    x = samples.x
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise BadInput(
            f"Inputs of shape {x.shape[1:]} are no pictures: sheets need 1 or 3 channels."
        )
    n, channels, height, width = x.shape
    small = max(height, width) <= MAX_TILE
    exact = small and channels == 1 if lossless is None else lossless
    if exact and (x.dtype != np.uint8 or max(height, width) > MAX_SIDE):
        if lossless:
            raise BadInput("Only uint8 pictures of at most 2048 px a side have lossless sheets.")
        exact = False
    if not (small or exact):
        scale = MAX_TILE / max(height, width)
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
    columns = MAX_SIDE // width
    per_sheet = columns * min(MAX_SIDE // height, math.ceil(n / columns))
    count = math.ceil(n / per_sheet)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{sheet:03d}.webp" for sheet in range(count)]
    options = {"quality": quality or 50} if exact else {"quality": quality or 80}
    for sheet, name in enumerate(names):
        tiles = _shrink(x[sheet * per_sheet : (sheet + 1) * per_sheet], height, width)
        buffer = io.BytesIO()
        Image.fromarray(_lay(tiles, columns)).save(
            buffer, "WEBP", lossless=exact, method=4, **options
        )
        (folder / name).write_bytes(buffer.getvalue())
        if on_sheet is not None and on_sheet(sheet + 1, count) is False:
            raise Cancelled("Writing the thumbnails was stopped.")
    about = {
        "height": height,
        "width": width,
        "channels": channels,
        "columns": columns,
        "per_sheet": per_sheet,
        "count": n,
        "lossless": exact,
        "sheets": names,
    }
    (folder / "thumbs.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    return about


def read_sheets(folder: Path) -> UInt8[np.ndarray, "n c h w"]:
    """The tiles of `write_sheets` in order: the pictures themselves when the sheets are lossless.

    Raises:
        BadInput: a file is missing, damaged, or not what thumbs.json says.
    """
    about = read_about(folder)
    channels, height, width = (about[key] for key in ("channels", "height", "width"))
    x = np.empty((about["count"], channels, height, width), np.uint8)
    for start, sheet in _open_sheets(folder, about):
        stop = min(start + about["per_sheet"], len(x))
        x[start:stop] = _cut(sheet, height, width)[: stop - start, :channels]
    return x


@lru_cache(maxsize=8)
def _read_sheet(folder: Path, index: int) -> UInt8[np.ndarray, "m c h w"]:
    about = read_about(folder)
    start = about["per_sheet"] * index
    part = about | {
        "sheets": about["sheets"][index : index + 1],
        "count": min(about["count"] - start, about["per_sheet"]),
    }
    [(_, sheet)] = _open_sheets(folder, part)
    return _cut(sheet, about["height"], about["width"])[:, : about["channels"]]


def read_tile(folder: Path, row: int) -> UInt8[np.ndarray, "c h w"]:
    """One tile of `write_sheets`; the sheets looked at last are remembered.

    Raises:
        BadInput: a file is missing, damaged, or not what thumbs.json says.
    """
    index, place = divmod(row, read_about(folder)["per_sheet"])
    return _read_sheet(folder, index)[place]


def read_about(folder: Path) -> dict[str, Any]:
    """Thumbs.json, checked: a stranger's cannot make us open other files or fill the memory."""
    try:
        about = json.loads((folder / "thumbs.json").read_text(encoding="utf-8"))
        numbers = {key: about[key] for key in _KEYS}
        sheets = about["sheets"]
        whole = all(type(value) is int and value > 0 for value in numbers.values())
        plain = all(type(name) is str and Path(name).name == name for name in sheets)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"The thumbnails in {folder.name} lack a whole thumbs.json.") from error
    size = math.prod(about[key] for key in ("count", "channels", "height", "width")) if whole else 0
    if (
        not (whole and plain)
        or about["channels"] not in (1, 3)
        or about["per_sheet"] % about["columns"]
        or len(sheets) != math.ceil(about["count"] / about["per_sheet"])
        or size > _MAX_PIXELS
    ):
        raise BadInput(f"The thumbs.json in {folder.name} contradicts itself.")
    return about


def _open_sheets(folder: Path, about: dict[str, Any]) -> Iterator[tuple[int, np.ndarray]]:
    rows = about["per_sheet"] // about["columns"]
    for index, name in enumerate(about["sheets"]):
        start = index * about["per_sheet"]
        left = math.ceil((about["count"] - start) / about["columns"])
        size = (about["columns"] * about["width"], min(rows, left) * about["height"])
        try:
            with Image.open(folder / name, formats=("WEBP",)) as image:
                if image.size != size or max(size) > MAX_SIDE:
                    raise BadInput(f"The thumbnail sheet {name} has another size than it should.")
                yield start, np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError,
                Image.DecompressionBombWarning) as error:  # fmt: skip
            raise BadInput(f"The thumbnail sheet {name} is missing or damaged.") from error


def _shrink(x: np.ndarray, height: int, width: int) -> UInt8[np.ndarray, "m h w c"]:
    """Tiles as bytes, channel last; pictures larger than a tile are averaged down."""
    if x.dtype != np.uint8:
        x = np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)
    tiles = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if tiles.shape[1:3] == (height, width):
        return tiles
    mode = tiles[..., 0] if tiles.shape[3] == 1 else tiles
    small = [
        np.asarray(Image.fromarray(tile).resize((width, height), Image.Resampling.BOX))
        for tile in mode
    ]
    return np.stack(small).reshape(len(small), height, width, -1)


def _lay(tiles: UInt8[np.ndarray, "m h w c"], columns: int) -> np.ndarray:
    m, height, width, channels = tiles.shape
    rows = math.ceil(m / columns)
    full = np.zeros((rows * columns, height, width, channels), np.uint8)
    full[:m] = tiles
    sheet = full.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return sheet[..., 0] if channels == 1 else sheet


def _cut(sheet: np.ndarray, height: int, width: int) -> UInt8[np.ndarray, "m c h w"]:
    rows, columns = sheet.shape[0] // height, sheet.shape[1] // width
    tiles = sheet.reshape(rows, height, columns, width, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(rows * columns, 3, height, width)
