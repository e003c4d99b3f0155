"""Data files made to do harm or to mislead, each with the words that its refusal must hold."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[[Path], bytes]
FILES: dict[str, tuple[str, Maker, str]] = {}
"""Kind to (file name, maker of its bytes from the path of a marker file, words of the refusal)."""

ROWS = 40


def hostile(name: str, words: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        FILES[maker.__name__.replace("_", " ")] = (name, maker, words)
        return maker

    return keep


class Touch:
    """What a careless reader would run: it makes the marker file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


# ---------------------------------------------------------------- building blocks
def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(text: str, body: bytes = b"", version: int = 1) -> bytes:
    raw = text.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + body


def shaped(shape: str, body: bytes = b"", kind: str = "|u1") -> bytes:
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}", body)


def packed(members: list[tuple[str | zipfile.ZipInfo, bytes]], deflate: bool = False) -> bytes:
    stream = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, data in members:
            # a second member of the same name is a warning, and here the point
            archive.filelist = [info for info in archive.filelist]
            archive.NameToInfo.pop(str(getattr(name, "filename", name)), None)
            archive.writestr(name, data, how)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    return packed([(f"{name}.npy", npy(array)) for name, array in arrays.items()])


def x(n: int = ROWS, side: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side), np.uint8)


def y(n: int = ROWS) -> np.ndarray:
    return np.arange(n) % 3


def image(side: tuple[int, int] = (8, 8), form: str = "PNG", mode: str = "L", **options) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, side).save(stream, form, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes, *extra: bytes, depth: int = 8) -> bytes:
    about = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about)
    return start + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def pictures(*members: tuple[str, bytes]) -> bytes:
    return packed([("a/0.png", image()), ("b/0.png", image()), *members])


def idx(shape: tuple[int, ...], body: bytes = b"", kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def safetensors(shape: list[int]) -> bytes:
    """One tensor x of a shape that 16 bytes may not hold."""
    said = json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 16]}}).encode()
    return struct.pack("<Q", len(said)) + said + bytes(16)


def parquet(table, **options) -> bytes:
    from pyarrow import parquet as writer

    stream = io.BytesIO()
    writer.write_table(table, stream, **options)
    return stream.getvalue()


def footer(body: bytes) -> tuple[int, int]:
    """Where the footer of a parquet file begins and ends."""
    size = struct.unpack("<I", body[-8:-4])[0]
    return len(body) - 8 - size, len(body) - 8


# ---------------------------------------------------------------- code in disguise
@hostile("x.npy", "Python objects, which Introspect never unpickles")
def npy_of_objects(marker: Path) -> bytes:
    return npy(np.array([Touch(marker)], object))


@hostile("a.npz", "Python objects, which Introspect never unpickles")
def npz_of_objects(marker: Path) -> bytes:
    return npz(x=x(), y=np.array([Touch(marker)] * ROWS, object))


@hostile("a.npz", "Python objects, which Introspect never unpickles")
def npz_whose_class_names_are_objects(marker: Path) -> bytes:
    return npz(x=x(), y=y(), classes=np.array([Touch(marker), "b"], object))


@hostile("x.npy", "holds Python objects|holds records")
def npy_with_objects_inside_records(marker: Path) -> bytes:
    return npy(np.array([(1, Touch(marker))], [("a", "i4"), ("b", "O")]))


@hostile("data.npz", "not a data file")
def pickle_called_npz(marker: Path) -> bytes:
    return pickle.dumps(Touch(marker))


@hostile("data.csv", "no UTF-8 text|zero bytes")
def pickle_called_csv(marker: Path) -> bytes:
    return pickle.dumps(Touch(marker))


@hostile("a.npz", "no array named x|not a whole NumPy array")
def npz_with_a_pickle_for_a_member(marker: Path) -> bytes:
    return packed([("x.npy", pickle.dumps(Touch(marker)))])


@hostile("x.npy", "not a whole NumPy array")
def npy_whose_header_calls_a_function(marker: Path) -> bytes:
    return header(f"open({str(marker)!r}, 'w')")


@hostile("data.parquet", "damaged or cut short|not a PNG, JPEG, WebP or BMP")
def pickle_in_a_parquet_extension_type(marker: Path) -> bytes:
    import pyarrow as pa

    field = pa.field(
        "x",
        pa.binary(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(Touch(marker)),
        },
    )
    return parquet(pa.table([pa.array([b"0"])], schema=pa.schema([field])))


# ---------------------------------------------------------------- bombs
@hostile("a.npz", "looks like a zip bomb")
def flat_zip_bomb(marker: Path) -> bytes:
    return packed([("x.npy", npy(np.zeros((150_000, 28, 28), np.uint8)))], deflate=True)


@hostile("a.zip", "holds no PNG")
def nested_zip_bomb(marker: Path) -> bytes:
    inner = packed([("0.png", bytes(20 << 20))], deflate=True)
    for _ in range(3):
        inner = packed([(f"{i}.zip", inner) for i in range(8)], deflate=True)
    return inner


@hostile("a.zip", "zip bomb|damaged")
def zip_bomb_of_overlapping_members(marker: Path) -> bytes:
    """All entries of the directory point at the same compressed bytes (Fifield 2019)."""
    one = packed([("a/00000.png", bytes(8 << 20))], deflate=True)
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry = one[start:end]
    many = b"".join(entry.replace(b"00000", b"%05d" % i) for i in range(2000))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2000, 2000, len(many), start, 0)
    return one[:start] + many + tail


@hostile("a.zip", "larger than 64 MB|zip bomb")
def picture_member_that_unpacks_without_end(marker: Path) -> bytes:
    filler = np.random.default_rng(0).bytes(1 << 19)  # so that the ratio of all looks honest
    return packed([("a/0.png", bytes(65 << 20)), ("b/0.bin", filler)], deflate=True)


@hostile("a.zip", "damaged")
def member_larger_than_the_directory_says(marker: Path) -> bytes:
    whole = packed([("a/0.png", image((64, 64))), ("b/0.png", image((64, 64)))])
    size = struct.pack("<I", len(image((64, 64))))
    return whole.replace(size, struct.pack("<I", 20))


@hostile("images-idx3-ubyte.gz", "should hold 7,840 values")
def gzip_bomb_behind_a_small_header(marker: Path) -> bytes:
    return gzip.compress(idx((10, 28, 28), bytes(50 << 20)), 1)


@hostile("images-idx3-ubyte.gz", "zip bomb")
def gzip_bomb_that_says_so(marker: Path) -> bytes:
    return gzip.compress(idx((1 << 22, 28, 28)))


@hostile("a.png", "far too many pixels")
def png_of_400_megapixels(marker: Path) -> bytes:
    return png(20_000, 20_000, zlib.compress(bytes(20_000 * 2501), 1), depth=1)


@hostile("a.webp", "16384 x 16384 pixels")
def webp_of_268_megapixels_in_64_bytes(marker: Path) -> bytes:
    side = (16_383).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + side + side + b"VP8 " + bytes(30)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@hostile("a.jpg", "65500 x 65500 pixels|far too many pixels")
def jpeg_of_4_gigapixels(marker: Path) -> bytes:
    whole = bytearray(image((16, 16), "JPEG"))
    at = whole.index(b"\xff\xc0") + 5
    whole[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(whole)


@hostile("a.bmp", "pixels|damaged")
def bmp_of_a_billion_pixels(marker: Path) -> bytes:
    whole = bytearray(image((8, 8), "BMP"))
    whole[18:26] = struct.pack("<ii", 32_000, 32_000)
    return bytes(whole)


@hostile("a.png", "damaged")
def png_with_a_bomb_for_a_comment(marker: Path) -> bytes:
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(100 << 20), 1))
    return png(8, 8, zlib.compress(bytes(72)), *[text] * 2)


@hostile("data.parquet", "endless texts|different texts|names rows|no column of numbers|memory")
def parquet_dictionary_bomb(marker: Path) -> bytes:
    import pyarrow as pa

    words = pa.array(["x" * (1 << 20), "y" * (1 << 20)])
    places = pa.array(np.zeros(1_000_000, np.int8))
    table = pa.table({"a": pa.DictionaryArray.from_arrays(places, words), "label": places})
    return parquet(table, compression="zstd")


@hostile("data.parquet", "at most 20,000,000 are read")
def parquet_of_more_rows_than_anyone_has(marker: Path) -> bytes:
    import pyarrow as pa

    table = pa.table({"a": pa.array(np.zeros(21_000_000, np.int8))})
    return parquet(table, compression="zstd")


@hostile("data.parquet", "damaged")
def parquet_whose_footer_says_too_many_rows(marker: Path) -> bytes:
    import pyarrow as pa

    body = parquet(pa.table({"a": pa.array(np.arange(100.0))}))
    start, end = footer(body)
    foot = body[start:end].replace(b"\xc8\x01", b"\xd0\x0f")
    assert foot != body[start:end]
    return body[:start] + foot + body[end:]


@hostile("data.parquet", "damaged")
def parquet_whose_footer_is_longer_than_the_file(marker: Path) -> bytes:
    import pyarrow as pa

    body = parquet(pa.table({"a": [1.0]}))
    return body[:-8] + struct.pack("<I", 0x7FFFFFFF) + b"PAR1"


@hostile("data.parquet", "damaged")
def parquet_whose_footer_is_noise(marker: Path) -> bytes:
    import pyarrow as pa

    body = parquet(pa.table({"a": [1.0, 2.0], "label": ["a", "b"]}))
    start, end = footer(body)
    noise = np.random.default_rng(1).bytes(end - start)
    return body[:start] + noise + body[end:]


@hostile("data.parquet", "damaged")
def parquet_whose_pages_are_noise(marker: Path) -> bytes:
    import pyarrow as pa

    body = parquet(pa.table({"a": pa.array(np.random.default_rng(0).random(500))}))
    start, _ = footer(body)
    return b"PAR1" + np.random.default_rng(2).bytes(start - 4) + body[start:]


@hostile("data.parquet", "columns: at most|damaged")
def parquet_of_30000_columns(marker: Path) -> bytes:
    import pyarrow as pa

    one = pa.array([1], pa.int8())
    return parquet(pa.table({f"c{i}": one for i in range(30_000)}), write_statistics=False)


@hostile("data.parquet", "only the path of one")
def parquet_of_paths_instead_of_pictures(marker: Path) -> bytes:
    import pyarrow as pa

    rows = [{"bytes": None, "path": "/etc/passwd"}] * 3
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return parquet(pa.table({"image": pa.array(rows, kind), "label": [0, 1, 0]}))


@hostile("data.parquet", "not a PNG, JPEG, WebP or BMP")
def parquet_of_svg_pictures(marker: Path) -> bytes:
    import pyarrow as pa

    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    return parquet(pa.table({"image": pa.array([svg] * 3), "label": [0, 1, 0]}))


@hostile("data.parquet", "far too many pixels")
def parquet_of_huge_pictures(marker: Path) -> bytes:
    import pyarrow as pa

    big = png_of_400_megapixels(marker)
    return parquet(pa.table({"image": pa.array([big] * 3), "label": [0, 1, 0]}))
