"""Pictures: strangers' image files decoded safely, alone or in a folder or zip by class."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from introspect.datafile import MAX_BYTES, Columns, check_sizes, open_zip
from introspect.errors import BadInput
from introspect.intake import natural

MAX_PIXELS = 25_000_000
"""Largest picture decoded, in pixels."""

MAX_MEMBER = 64 << 20
"""Largest image file read from a folder or zip, in bytes."""

MAX_MEMBERS = 500_000
"""Most files looked at in one folder or zip."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}


class _Entry(NamedTuple):
    parts: tuple[str, ...]
    size: int
    read: Callable[[], bytes]


def decode_picture(data: bytes, name: str = "The picture") -> UInt8[np.ndarray, "h w *c"]:
    """Grey `(h, w)` or colour `(h, w, 3)` values of a PNG, JPEG, WebP or BMP file.

    Photos are turned upright, transparency is laid on white, 16-bit grey becomes 8-bit.

    Raises:
        BadInput: another format, damaged, or more than 25 million pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadInput(
                    f"{name} is {image.width} x {image.height} pixels: make it smaller, at most "
                    f"{MAX_PIXELS // 1_000_000} million pixels are read."
                )
            if image.format == "JPEG":
                image = ImageOps.exif_transpose(image)
            return to_array(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(
            f"{name} has far too many pixels: at most {MAX_PIXELS // 1_000_000} million are read."
        ) from error
    except Image.UnidentifiedImageError as error:
        raise BadInput(f"{name} is not a PNG, JPEG, WebP or BMP picture: convert it.") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        raise BadInput(f"{name} is damaged or cut short: save or upload it again.") from error


def to_array(image: Image.Image) -> UInt8[np.ndarray, "h w *c"]:
    """Pixel values of a PIL image as 8-bit grey `(h, w)` or colour `(h, w, 3)`."""
    if image.mode == "L":
        return np.asarray(image)
    if image.mode in ("1", "La"):
        return to_array(image.convert("L" if image.mode == "1" else "LA"))
    if image.mode == "I" or image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    if image.mode == "F":
        raise BadInput("The picture holds 32-bit floats: save it as an 8-bit PNG.")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "PA", "RGBA", "RGBa"):
        grey = image.mode == "LA"
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        ground.alpha_composite(layer)
        rgb = np.asarray(ground)[..., :3]
        return rgb[..., 0].copy() if grey else rgb.copy()
    rgb = np.asarray(image.convert("RGB"))
    if image.mode == "P" and is_grey(rgb):
        return rgb[..., 0].copy()
    return rgb


def is_grey(rgb: np.ndarray) -> bool:
    """Whether the three channels of `(..., 3)` are the same everywhere."""
    first = rgb[..., 0]
    return bool(np.array_equal(first, rgb[..., 1]) and np.array_equal(first, rgb[..., 2]))


def read_picture_folder(folder: Path) -> Columns:
    """All pictures below a folder; the folder a picture lies in is its class."""

    def entries() -> Iterator[_Entry]:
        for path in folder.rglob("*"):
            if path.is_file():
                parts = path.relative_to(folder).parts
                yield _Entry(parts, path.stat().st_size, path.read_bytes)

    return _gather(entries(), folder.name)


def read_picture_zip(path: Path) -> Columns:
    """All pictures in a zip, decoded in place; nothing is written to disk.

    Raises:
        BadInput: damaged, encrypted, a bomb, no pictures, or pictures of several sizes.
    """
    with open_zip(path) as archive:
        members = archive.infolist()
        check_sizes(path.name, path.stat().st_size, sum(m.file_size for m in members))
        return _gather(_zip_entries(path, archive, members), path.name)


def _zip_entries(
    path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]
) -> Iterator[_Entry]:
    for info in members:
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            continue
        if info.flag_bits & 1:
            raise BadInput(f"{path.name} is encrypted: make a zip without a password.")

        def read(info: zipfile.ZipInfo = info) -> bytes:
            with archive.open(info) as file:
                return file.read(MAX_MEMBER + 1)

        yield _Entry(PurePosixPath(info.filename.replace("\\", "/")).parts, info.file_size, read)


def _gather(entries: Iterator[_Entry], where: str) -> Columns:
    chosen: list[_Entry] = []
    ignored = 0
    for count, entry in enumerate(entries):
        if count >= MAX_MEMBERS:
            raise BadInput(f"{where} holds more than {MAX_MEMBERS:,} files: give a smaller set.")
        if any(part.startswith(".") or part == "__MACOSX" for part in entry.parts):
            continue
        if PurePosixPath(entry.parts[-1]).suffix.lower() in _SUFFIXES:
            chosen.append(entry)
        else:
            ignored += 1
    if not chosen:
        raise BadInput(
            f"{where} holds no PNG, JPEG, WebP or BMP pictures: put them into one folder for each "
            "class."
        )
    chosen = _without_root(chosen)
    split = None
    if all(len(entry.parts) > 1 and entry.parts[0].lower() in _SPLITS for entry in chosen):
        codes = [_SPLITS[entry.parts[0].lower()] for entry in chosen]
        chosen = [entry._replace(parts=entry.parts[1:]) for entry in chosen]
        order = sorted(range(len(chosen)), key=lambda i: (codes[i], _natural(chosen[i].parts)))
        chosen = [chosen[i] for i in order]
        split = np.array([codes[i] for i in order], np.uint8)
    else:
        chosen.sort(key=lambda entry: _natural(entry.parts))
    y, classes = _label(chosen, where)
    notes = (f"{ignored} other files were left out.",) if ignored else ()
    return Columns(_decode_all(chosen), y, split, classes, None, notes)


def _without_root(entries: list[_Entry]) -> list[_Entry]:
    """Drops folders that hold everything, such as the folder that was zipped."""
    while all(len(e.parts) > 2 for e in entries) and len({e.parts[0] for e in entries}) == 1:
        entries = [entry._replace(parts=entry.parts[1:]) for entry in entries]
    return entries


def _label(entries: list[_Entry], where: str) -> tuple[np.ndarray | None, list[str] | None]:
    loose = [entry for entry in entries if len(entry.parts) == 1]
    if len(loose) == len(entries):
        return None, None
    if loose:
        raise BadInput(
            f"{len(loose)} pictures of {where}, such as {loose[0].parts[-1]}, lie outside the "
            "class folders: move them into one."
        )
    classes = sorted({entry.parts[0] for entry in entries}, key=natural)
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes[entry.parts[0]] for entry in entries], np.int64), classes


def _natural(parts: tuple[str, ...]) -> list[tuple]:
    return [natural(part) for part in parts]


def _decode_all(entries: list[_Entry]) -> UInt8[np.ndarray, "n c h w"]:
    pictures: list[np.ndarray] = []
    for entry in entries:
        name = "/".join(entry.parts)
        data = entry.read() if entry.size <= MAX_MEMBER else b""
        if not 0 < len(data) <= MAX_MEMBER:
            problem = "empty" if entry.size == 0 else f"larger than {MAX_MEMBER >> 20} MB"
            raise BadInput(f"The picture {name} is {problem}: replace it or leave it out.")
        picture = decode_picture(data, f"The picture {name}")
        if pictures and picture.shape[:2] != pictures[0].shape[:2]:
            raise BadInput(
                f"The picture {name} is {_size(picture)} pixels but {'/'.join(entries[0].parts)} "
                f"is {_size(pictures[0])}: bring all pictures to one size first."
            )
        if len(entries) * picture.size > MAX_BYTES:
            raise BadInput(
                f"{len(entries):,} pictures of {_size(picture)} pixels are too much at once: "
                "make them smaller or give fewer."
            )
        pictures.append(picture)
    colour = any(picture.ndim == 3 for picture in pictures)
    height, width = pictures[0].shape[:2]
    x = np.empty((len(pictures), 3 if colour else 1, height, width), np.uint8)
    for row, picture in enumerate(pictures):
        x[row] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return x


def _size(picture: Any) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
