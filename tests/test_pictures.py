"""Pictures: decoded as they look, gathered by class, refused when they could do harm."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from introspect import datafile, pictures
from introspect.errors import BadInput
from introspect.pictures import decode_picture, read_picture_folder, read_picture_zip


def encode(values, kind="PNG", mode=None, **options):
    buffer = io.BytesIO()
    Image.fromarray(values, mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_formats_give_back_every_value(colour, kind, options):
    assert np.array_equal(decode_picture(encode(colour, kind, **options)), colour)
    grey = decode_picture(encode(colour[..., 0], kind, **options))
    assert np.array_equal(grey if grey.ndim == 2 else grey[..., 1], colour[..., 0])


def test_jpeg_is_close_and_turned_upright():
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (16, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_picture(encode(ramp, "JPEG", quality=95, exif=exif))
    assert upright.shape == (24, 16)
    assert np.abs(upright.astype(int) - ramp.T.astype(int)).max() < 12


def test_transparent_parts_are_white():
    values = np.zeros((4, 4, 4), np.uint8)
    values[:2, :, 3] = 255
    seen = decode_picture(encode(values))
    assert seen.shape == (4, 4, 3)
    assert (seen[:2] == 0).all() and (seen[2:] == 255).all()
    assert decode_picture(encode(values[..., 2:])).tolist() == [[0] * 4] * 2 + [[255] * 4] * 2


def test_sixteen_bits_one_bit_and_palettes_become_bytes(colour):
    deep = np.array([[0, 256, 65535]], np.uint16)
    assert decode_picture(encode(deep)).tolist() == [[0, 1, 255]]
    flags = np.array([[True, False]])
    assert decode_picture(encode(flags)).tolist() == [[255, 0]]
    few = Image.fromarray(colour // 128 * 255).convert("P")
    buffer = io.BytesIO()
    few.save(buffer, "PNG")
    assert np.array_equal(decode_picture(buffer.getvalue()), np.asarray(few.convert("RGB")))


def png_header(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width + 1) * 10)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5001, 9600, 20_000])
def test_picture_bomb_is_refused_by_its_header(side):
    with pytest.raises(BadInput, match="25 million"):
        decode_picture(png_header(side, side))


def test_damage_and_strange_formats_are_sentences(colour):
    whole = encode(colour)
    for cut in (8, 20, 60, len(whole) // 2):
        with pytest.raises(BadInput, match="damaged or cut short|is not a PNG"):
            decode_picture(whole[:cut])
    for other in (encode(colour, "GIF"), encode(colour, "TIFF"), b"", b"<svg/>"):
        with pytest.raises(BadInput, match="not a PNG, JPEG, WebP or BMP"):
            decode_picture(other)


# ------------------------------------------------------------------ folders and zips


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def flat(value, size=(4, 5)):
    return encode(np.full(size, value, np.uint8))


def test_zip_and_folder_of_the_same_pictures_are_the_same(tmp_path, colour):
    members = {f"root/{c}/{i}.png": flat(10 * c + i) for c in (2, 10) for i in (1, 9, 11)}
    for name, data in members.items():
        target = tmp_path / "here" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    zipped = read_picture_zip(write_zip(tmp_path / "a.zip", members))
    folder = read_picture_folder(tmp_path / "here")
    assert zipped.classes == folder.classes == ["2", "10"]
    assert zipped.x[:, 0, 0, 0].tolist() == [21, 29, 31, 101, 109, 111]
    assert np.array_equal(zipped.x, folder.x) and np.array_equal(zipped.y, folder.y)


def test_split_folders_become_the_split(tmp_path):
    members = {
        f"data/{split}/{name}/{i}.png": flat(i)
        for split in ("test", "train", "val")
        for name in ("a", "b")
        for i in (1, 2)
    }
    found = read_picture_zip(write_zip(tmp_path / "a.zip", members))
    assert found.split.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found.y.tolist() == [0, 0, 1, 1] * 3 and found.classes == ["a", "b"]


def test_pictures_without_folders_have_no_labels(tmp_path):
    found = read_picture_zip(write_zip(tmp_path / "a.zip", {"1.png": flat(1), "2.png": flat(2)}))
    assert found.y is None and len(found.x) == 2


def test_one_coloured_picture_makes_all_colour(tmp_path, colour):
    members = {"a/1.png": flat(7, (7, 9)), "b/1.png": encode(colour)}
    x = read_picture_zip(write_zip(tmp_path / "a.zip", members)).x
    assert (x[0] == 7).all() and np.array_equal(x[1], colour.transpose(2, 0, 1))


def test_what_is_no_picture_is_left_out(tmp_path):
    members = {
        "a/1.png": flat(1),
        "b/1.png": flat(2),
        "__MACOSX/a/1.png": b"resource fork",
        "a/.hidden.png": b"nothing",
        "README.txt": b"hello",
    }
    file = write_zip(tmp_path / "a.zip", members)
    with zipfile.ZipFile(file, "a") as archive:
        link = zipfile.ZipInfo("b/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = read_picture_zip(file)
    assert len(found.x) == 2 and found.notes == ("1 other files were left out.",)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a/1.png": flat(1), "b/2.png": flat(1, (9, 9))}, "b/2.png is 9 x 9 .* a/1.png is 5 x 4"),
        ({"a/1.png": flat(1), "b/2.png": flat(2)[:50]}, "picture b/2.png is damaged"),
        ({"a/1.png": flat(1), "b/2.png": b""}, "b/2.png is empty"),
        ({"a/1.png": flat(1), "loose.png": flat(2)}, "1 pictures .*loose.png, lie outside"),
        ({"a/notes.txt": b"none"}, "holds no PNG"),
        ({}, "holds no PNG"),
    ],
)
def test_unusable_zip_is_a_sentence(tmp_path, members, words):
    with pytest.raises(BadInput, match=words):
        read_picture_zip(write_zip(tmp_path / "a.zip", members))


def test_declared_zip_bomb_is_refused_unread(tmp_path):
    file = tmp_path / "bomb.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"a/{i}.png", bytes(30 << 20))
    with pytest.raises(BadInput, match="zip bomb"):
        read_picture_zip(file)


def test_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    file = tmp_path / "liar.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(20 << 20))
    raw = file.read_bytes()
    file.write_bytes(raw.replace(struct.pack("<I", 20 << 20), struct.pack("<I", 500)))
    with pytest.raises(BadInput, match="damaged"):
        read_picture_zip(file)


def test_caps_on_members_and_bytes_hold(tmp_path, monkeypatch):
    file = write_zip(tmp_path / "a.zip", {f"{i % 2}/{i}.png": flat(i) for i in range(9)})
    with monkeypatch.context() as patch, pytest.raises(BadInput, match="more than 5 files"):
        patch.setattr(pictures, "MAX_MEMBERS", 5)
        read_picture_zip(file)
    with monkeypatch.context() as patch, pytest.raises(BadInput, match="0/0.png is larger than"):
        patch.setattr(pictures, "MAX_MEMBER", 10)
        read_picture_zip(file)
    with monkeypatch.context() as patch, pytest.raises(BadInput, match="too much at once"):
        patch.setattr(pictures, "MAX_BYTES", 100)
        read_picture_zip(file)
    with monkeypatch.context() as patch, pytest.raises(BadInput, match="zip bomb"):
        patch.setattr(datafile, "MAX_BYTES", 100)
        read_picture_zip(file)


def test_password_is_said(tmp_path):
    file = write_zip(tmp_path / "a.zip", {"a/1.png": flat(1)})
    raw = bytearray(file.read_bytes())
    raw[raw.rfind(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(raw)
    with pytest.raises(BadInput, match="without a password"):
        read_picture_zip(file)
