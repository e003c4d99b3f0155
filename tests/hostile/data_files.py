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


# ---------------------------------------------------------------- headers that lie
@hostile("x.npy", "says it holds")
def npy_of_2_to_the_40_rows(marker: Path) -> bytes:
    return shaped(f"({2**40}, 28, 28)", bytes(784))


@hostile("x.npy", "impossible|says it has the shape")
def npy_of_negative_sides(marker: Path) -> bytes:
    return shaped("(-4, -196)", bytes(784))


@hostile("x.npy", "says it has the shape")
def npy_of_60_axes(marker: Path) -> bytes:
    return shaped("(" + "1," * 60 + ")", bytes(1))


@hostile("x.npy", "says it has the shape")
def npy_of_no_rows_but_endless_width(marker: Path) -> bytes:
    return shaped(f"(0, {2**62}, {2**62})")


@hostile("x.npy", "not a whole NumPy array")
def npy_whose_header_is_nested_without_end(marker: Path) -> bytes:
    return header("(" * 9000)


@hostile("x.npy", "not a whole NumPy array")
def npy_whose_header_is_longer_than_the_file(marker: Path) -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{'descr'"


@hostile("a.npz", "says it holds")
def npz_member_of_2_to_the_40_rows(marker: Path) -> bytes:
    return packed([("x.npy", shaped(f"({2**40}, 2)", bytes(64)))], deflate=True)


@hostile("images-idx3-ubyte", "zip bomb|should hold")
def idx_of_2_to_the_128_values(marker: Path) -> bytes:
    return idx((2**32 - 1,) * 4, bytes(16))


@hostile("images-idx3-ubyte", "not an idx file of unsigned bytes")
def idx_of_200_axes(marker: Path) -> bytes:
    return bytes([0, 0, 8, 200]) + bytes(800)


@hostile("images-idx3-ubyte", "should hold")
def idx_cut_short(marker: Path) -> bytes:
    return idx((40, 8, 8), bytes(1000))


@hostile("a.safetensors", "impossible type or shape")
def safetensors_of_2_to_the_62_rows(marker: Path) -> bytes:
    return safetensors([2**62])


@hostile("a.safetensors", "damaged|cut short|impossible|not numbers")
def safetensors_whose_shape_and_bytes_differ(marker: Path) -> bytes:
    return safetensors([100, 4])


@hostile("a.zip", "damaged or cut short")
def zip_without_its_end(marker: Path) -> bytes:
    return pictures()[:-30]


# ---------------------------------------------------------------- names
@hostile("a.zip", "leads out of it")
def zip_member_that_climbs_out(marker: Path) -> bytes:
    return pictures(("../../../tmp/c/0.png", image()))


@hostile("a.zip", "leads out of it")
def zip_member_with_an_absolute_name(marker: Path) -> bytes:
    return pictures(("/etc/c/0.png", image()))


@hostile("a.zip", "leads out of it")
def zip_member_with_a_drive_and_backslashes(marker: Path) -> bytes:
    return pictures(("C:\\Windows\\c\\0.png", image()))


@hostile("a.zip", "twice")
def zip_with_the_same_member_twice(marker: Path) -> bytes:
    return pictures(("a/0.png", image()))


@hostile("a.npz", "two arrays of the same name")
def npz_with_the_same_array_twice(marker: Path) -> bytes:
    return packed([("x.npy", npy(x())), ("y.npy", npy(y())), ("x.npy", npy(x(3)))])


@hostile("a.zip", "holds no PNG")
def zip_of_links(marker: Path) -> bytes:
    link = zipfile.ZipInfo("a/0.png")
    link.external_attr = 0o120777 << 16
    return packed([(link, b"/etc/passwd")])


@hostile("a.zip", "encrypted")
def zip_with_a_password(marker: Path) -> bytes:
    whole = bytearray(pictures())
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = whole.index(sign)
        whole[place + at] |= 1
    return bytes(whole)


@hostile("a.npz", "characters long")
def class_name_of_a_million_letters(marker: Path) -> bytes:
    return npz(x=x(), y=y(), classes=np.array(["a", "b", "c" * 10_000]))


@hostile("a.npz", "names too many classes")
def more_class_names_than_anyone_has(marker: Path) -> bytes:
    return npz(x=x(), y=y(), classes=np.arange(200_000).astype("U6"))


@hostile("a.npz", "Two classes are called")
def two_classes_of_one_name(marker: Path) -> bytes:
    return npz(x=x(), y=y(), classes=np.array(["a", "a", "b"]))


@hostile("data.parquet", "characters long")
def huge_class_names_in_the_metadata_of_parquet(marker: Path) -> bytes:
    import pyarrow as pa

    features = {"label": {"_type": "ClassLabel", "names": ["a" * 5000, "b"]}}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": pa.array([image()] * 4), "label": [0, 1, 0, 1]})
    return parquet(table.replace_schema_metadata(said))


# ---------------------------------------------------------------- tables
@hostile("a.csv", "columns: at most 20,000 are read|longer than 4 MB")
def csv_of_a_million_columns(marker: Path) -> bytes:
    return b"," * 1_000_000 + b"\n" + b"," * 1_000_000 + b"\n"


@hostile("a.csv", "longer than 4 MB")
def csv_of_one_endless_line(marker: Path) -> bytes:
    return b"1" * (8 << 20)


@hostile("a.csv", "no row of a table")
def csv_whose_quote_never_ends(marker: Path) -> bytes:
    return b'a,b\n1,"' + b"text\n" * 200_000


@hostile("a.csv", "zero bytes")
def csv_of_zero_bytes(marker: Path) -> bytes:
    return bytes(10_000)


@hostile("a.csv", "no UTF-8 text")
def csv_in_utf_16(marker: Path) -> bytes:
    return "a,label\n1,x\n2,y\n".encode("utf-16")


@hostile("a.csv", "too large for any model")
def csv_of_infinite_values(marker: Path) -> bytes:
    return b"a,label\n1,x\ninf,y\n1e400,x\n"


@hostile("a.csv", "Row 2 of a.csv has no value in the column a")
def csv_with_nan(marker: Path) -> bytes:
    return b"a,label\n1,x\nNaN,y\n"


@hostile("a.csv", "two columns called 'a'")
def csv_of_columns_with_one_name(marker: Path) -> bytes:
    return b"a,a,label\n1,2,x\n3,4,y\n"


@hostile("a.csv", "different texts")
def csv_of_endless_different_labels(marker: Path) -> bytes:
    return b"a,label\n" + b"".join(b"1,x%d\n" % i for i in range(30_000))


@hostile("a.csv", "cells but the first line has")
def csv_of_rows_that_differ(marker: Path) -> bytes:
    return b"a,label\n1,x\n1,2,3,4,5,y\n"


@hostile("a.csv", "no rows")
def csv_of_nothing_but_a_head(marker: Path) -> bytes:
    return b"a,label\n"


# ---------------------------------------------------------------- values and pictures
@hostile("a.npz", "NaN, infinite")
def inputs_of_nan(marker: Path) -> bytes:
    return npz(x=np.full((ROWS, 6, 6), np.nan), y=y())


@hostile("a.npz", "has the label 9")
def labels_out_of_range(marker: Path) -> bytes:
    return npz(x=x(), y=np.where(y() == 2, 9, y()), classes=np.array(["a", "b", "c"]))


@hostile("a.npz", "A label is|has the label")
def labels_of_2_to_the_63(marker: Path) -> bytes:
    return npz(x=x(), y=np.full(ROWS, 2**63, np.uint64))


@hostile("a.npz", "has the label")
def labels_that_are_infinite(marker: Path) -> bytes:
    return npz(x=x(), y=np.full(ROWS, np.inf))


@hostile("a.zip", "bring all pictures to one size")
def pictures_of_several_sizes(marker: Path) -> bytes:
    return pictures(("a/1.png", image((9, 8))))


@hostile("a.zip", "animation")
def animated_png(marker: Path) -> bytes:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90, 180)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    return pictures(("a/1.png", stream.getvalue()))


@hostile("a.webp", "animation")
def animated_webp(marker: Path) -> bytes:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 90, 180)]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    return stream.getvalue()


@hostile("a.zip", "damaged or cut short")
def picture_cut_short(marker: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return pictures(("a/1.jpg", stream.getvalue()[:900]))


@hostile("a.png", "damaged or cut short|not a PNG")
def png_with_wrong_sums(marker: Path) -> bytes:
    whole = bytearray(image((64, 64)))
    whole[20] ^= 0xFF
    return bytes(whole)


@hostile("a.zip", "not a PNG, JPEG, WebP or BMP")
def gif_called_png(marker: Path) -> bytes:
    return pictures(("a/1.png", image((8, 8), "GIF", "P")))


@hostile("a.zip", "not a PNG, JPEG, WebP or BMP")
def postscript_called_png(marker: Path) -> bytes:
    """Pillow would start Ghostscript for it."""
    script = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n({marker}) (w) file\n"
    return pictures(("a/1.png", script.encode()))


@hostile("a.zip", "holds no PNG")
def zip_of_nothing(marker: Path) -> bytes:
    return packed([])
