"""Pictures: strangers' image files decoded safely, alone or in a folder or zip by class."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from introspect.datafile import MAX_BYTES, Columns, check_sizes, open_zip
from introspect.errors import BadInput
from introspect.framing import frame, to_grey
from introspect.intake import natural, shown
from introspect.recipe import Recipe

MAX_PIXELS = 25_000_000
"""Largest picture decoded, in pixels."""

MAX_MEMBER = 64 << 20
"""Largest image file read from a folder or zip, in bytes."""

MAX_MEMBERS = 500_000
"""Most files looked at in one folder or zip."""

_ORIENTATION = 0x0112
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
SPLITS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
"""Names of folders and files that tell the split, and its code."""


class Entry(NamedTuple):
    """A file of a folder or zip: where it lies, its size in bytes, how to read it."""

    parts: tuple[str, ...]
    size: int
    read: Callable[[], bytes]


def decode_picture(data: bytes, name: str = "The picture") -> UInt8[np.ndarray, "h w *c"]:
    """Grey `(h, w)` or colour `(h, w, 3)` values of a PNG, JPEG, WebP or BMP file.

    Photos are turned upright, transparency is laid on white, 16-bit grey becomes 8-bit.

    Raises:
        BadInput: another format, damaged, or more than 25 million pixels.
    """
    with _opened(data, name) as image:
        if image.format in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
            raise BadInput(f"{name} is an animation: save one picture of it.")
        # a phone's JPEG that carries a second picture is called MPO
        if image.format in ("JPEG", "MPO"):
            image = ImageOps.exif_transpose(image)
        return to_array(image)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """The picture as Pillow sees it; whatever fails, now or later, is one sentence."""
    try:
        # Pillow's reader of WebP makes room for all pixels before anyone can ask how many
        _check_pixels(*_webp_size(data), name)
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_pixels(image.width, image.height, name)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(
            f"{name} has far too many pixels: at most {MAX_PIXELS // 1_000_000} million are read."
        ) from error
    except Image.UnidentifiedImageError as error:
        raise BadInput(f"{name} is not a PNG, JPEG, WebP or BMP picture: convert it.") from error
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, struct.error) as error:
        raise BadInput(f"{name} is damaged or cut short: save or upload it again.") from error


def _check_pixels(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(
            f"{name} is {width} x {height} pixels: make it smaller, at most "
            f"{MAX_PIXELS // 1_000_000} million pixels are read."
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height that a WebP file claims; (0, 0) for any other file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0, 0
    kind = data[12:16]
    if kind == b"VP8X":
        return _little(data[24:27]) + 1, _little(data[27:30]) + 1
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def measure_picture(data: bytes, name: str = "The picture") -> tuple[int, int]:
    """Height and width of a picture as it stands upright, from its header alone.

    Raises:
        BadInput: as `decode_picture`, as far as the header tells.
    """
    with _opened(data, name) as image:
        turned = image.format in ("JPEG", "MPO") and image.getexif().get(_ORIENTATION, 1) > 4
        return (image.width, image.height) if turned else (image.height, image.width)


def decode_upload(path: Path, folder: Path) -> dict[str, Any]:
    """What the quarantine child runs on one uploaded picture: `picture.npy` with its values."""
    if path.stat().st_size > MAX_MEMBER:
        raise BadInput(f"The picture is larger than {MAX_MEMBER >> 20} MB: make it smaller.")
    picture = decode_picture(path.read_bytes())
    np.save(folder / "picture.npy", picture, allow_pickle=False)
    return {"shape": list(picture.shape)}


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


def read_picture_folder(folder: Path, recipe: Recipe | None = None) -> Columns:
    """All pictures below a folder; the folder a picture lies in is its class."""
    return gather(folder_entries(folder), shown(folder.name), recipe)


def folder_entries(folder: Path) -> Iterator[Entry]:
    """All files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            parts = path.relative_to(folder).parts
            yield Entry(parts, path.stat().st_size, path.read_bytes)


def read_picture_zip(path: Path, recipe: Recipe | None = None) -> Columns:
    """All pictures in a zip, decoded in place; nothing is written to disk.

    Raises:
        BadInput: damaged, encrypted, a bomb, no pictures, or pictures of several sizes.
    """
    with open_zip(path) as archive:
        return gather(zip_entries(path, archive), shown(path.name), recipe)


def zip_entries(path: Path, archive: zipfile.ZipFile) -> Iterator[Entry]:
    """All files of a zip that are no links; read on demand, never written to disk.

    Raises:
        BadInput: a bomb, encrypted, or members whose names lead out of it or occur twice.
    """
    members, where = archive.infolist(), shown(path.name)
    check_sizes(where, path.stat().st_size, sum(member.file_size for member in members))
    seen: set[str] = set()
    for info in members:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",) or parts[:1] and parts[0].endswith(":"):
            raise BadInput(
                f"{where} holds {shown(info.filename)!r}, which leads out of it: make the zip anew."
            )
        if info.filename in seen:
            raise BadInput(f"{where} holds {shown(info.filename)!r} twice: make the zip anew.")
        seen.add(info.filename)
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            continue
        if info.flag_bits & 1:
            raise BadInput(f"{where} is encrypted: make a zip without a password.")

        def read(info: zipfile.ZipInfo = info) -> bytes:
            with archive.open(info) as file:
                return file.read(MAX_MEMBER + 1)

        yield Entry(parts, info.file_size, read)


def gather(entries: Iterator[Entry], where: str, recipe: Recipe | None = None) -> Columns:
    """Pictures, their classes by folder, and their split where folders tell it.

    Raises:
        BadInput: no pictures, some outside the folders, or one that cannot be read or fitted.
    """
    recipe = recipe or Recipe()
    chosen, split, ignored = arrange(entries, where)
    y, classes = _label(chosen, where)
    notes = (f"{ignored} other files were left out.",) if ignored else ()
    x = _decode_all(chosen, where, recipe)
    return Columns(x, y, split, classes, None, notes, recipe)


def arrange(
    entries: Iterator[Entry], where: str
) -> tuple[list[Entry], UInt8[np.ndarray, " n"] | None, int]:
    """The pictures among the files in their lasting order, their split, and how many were left out.

    Raises:
        BadInput: there are none, or far too many files.
    """
    chosen: list[Entry] = []
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
    if all(len(entry.parts) > 1 and entry.parts[0].lower() in SPLITS for entry in chosen):
        codes = [SPLITS[entry.parts[0].lower()] for entry in chosen]
        chosen = [entry._replace(parts=entry.parts[1:]) for entry in chosen]
        order = sorted(range(len(chosen)), key=lambda i: (codes[i], _natural(chosen[i].parts)))
        chosen = [chosen[i] for i in order]
        split = np.array([codes[i] for i in order], np.uint8)
    else:
        chosen.sort(key=lambda entry: _natural(entry.parts))
    return chosen, split, ignored


def _without_root(entries: list[Entry]) -> list[Entry]:
    """Drops folders that hold everything, such as the folder that was zipped."""
    while all(len(e.parts) > 2 for e in entries) and len({e.parts[0] for e in entries}) == 1:
        entries = [entry._replace(parts=entry.parts[1:]) for entry in entries]
    return entries


def _label(entries: list[Entry], where: str) -> tuple[np.ndarray | None, list[str] | None]:
    loose = [entry for entry in entries if len(entry.parts) == 1]
    if len(loose) == len(entries):
        return None, None
    if loose:
        raise BadInput(
            f"{len(loose)} pictures of {where}, such as {shown(loose[0].parts[-1])}, lie outside "
            "the class folders: move them into one."
        )
    classes = sorted({entry.parts[0] for entry in entries}, key=natural)
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes[entry.parts[0]] for entry in entries], np.int64), classes


def _natural(parts: tuple[str, ...]) -> list[tuple]:
    return [natural(part) for part in parts]


class Stack:
    """Pictures gathered one by one, fitted as the recipe says, into one array."""

    def __init__(self, where: str, recipe: Recipe, expected: int = 0) -> None:
        self._where, self._recipe, self._expected = where, recipe, expected
        self._pictures: list[np.ndarray | None] = []
        self._first: tuple[str, np.ndarray] | None = None
        self._bytes = 0

    def add(self, picture: UInt8[np.ndarray, "h w *c"], name: str) -> None:
        """Adds one.

        Raises:
            BadInput: another size than the first, where none is chosen, or too much in all.
        """
        if self._recipe.grey:
            picture = to_grey(picture)
        if self._recipe.size is not None:
            picture = frame(picture, *self._recipe.size, self._recipe.fit)
        first = self._first = self._first or (name, picture)
        if picture.shape[:2] != first[1].shape[:2]:
            raise BadInput(
                f"{name} is {_size(picture)} pixels but {first[0][:1].lower()}{first[0][1:]} is "
                f"{_size(first[1])}: bring all pictures to one size first, or let them be fitted "
                "(--size 32x32, or on the Load page)."
            )
        self._bytes += picture.size
        if max(self._bytes, self._expected * picture.size) > MAX_BYTES:
            raise BadInput(
                f"{max(self._expected, len(self._pictures)):,} pictures of {_size(picture)} pixels "
                "are too much at once: make them smaller or give fewer."
            )
        self._pictures.append(picture)

    def whole(self) -> UInt8[np.ndarray, "n c h w"]:
        """All pictures, in colour if one of them is; the stack is empty afterwards."""
        assert self._first is not None
        colour = any(picture is not None and picture.ndim == 3 for picture in self._pictures)
        height, width = self._first[1].shape[:2]
        x = np.empty((len(self._pictures), 3 if colour else 1, height, width), np.uint8)
        for row, picture in enumerate(self._pictures):
            assert picture is not None
            x[row] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
            # so that there is never a second copy of all
            self._pictures[row] = None
        self._pictures.clear()
        return x


def read_member(entry: Entry) -> UInt8[np.ndarray, "h w *c"]:
    """The picture in one member of a folder or zip.

    Raises:
        BadInput: it is empty, far too large, or no whole picture.
    """
    name = f"The picture {_name(entry)}"
    data = entry.read() if entry.size <= MAX_MEMBER else b""
    if not 0 < len(data) <= MAX_MEMBER:
        problem = "empty" if entry.size == 0 else f"larger than {MAX_MEMBER >> 20} MB"
        raise BadInput(f"{name} is {problem}: replace it or leave it out.")
    return decode_picture(data, name)


def _decode_all(entries: list[Entry], where: str, recipe: Recipe) -> UInt8[np.ndarray, "n c h w"]:
    stack = Stack(where, recipe, len(entries))
    for entry in entries:
        stack.add(read_member(entry), f"The picture {_name(entry)}")
    return stack.whole()


def _name(entry: Entry) -> str:
    return shown("/".join(entry.parts))


def _size(picture: Any) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
