"""More data files made to mislead: lying headers, bad names, tables, values and pictures."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from hostile.data_files import (
    ROWS,
    header,
    hostile,
    idx,
    image,
    npy,
    npz,
    packed,
    parquet,
    pictures,
    safetensors,
    shaped,
    x,
    y,
)
from PIL import Image


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
