"""Sheets: what goes in as tiles comes out as pictures, bit for bit where it is promised."""

import json

import numpy as np
import pytest
from PIL import Image

from introspect.datafile import Columns
from introspect.errors import BadInput, Cancelled
from introspect.samples import load_samples, make_samples
from introspect.sheets import MAX_SIDE, read_sheets, write_sheets


def samples_of(x):
    return make_samples(Columns(x, np.arange(len(x)) % 2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n", [1, 5, 51, 700])
def test_lossless_sheets_give_back_every_bit(tmp_path, channels, n):
    x = np.random.default_rng(n).integers(0, 256, (n, channels, 40, 37), np.uint8)
    about = write_sheets(samples_of(np.concatenate([x, x])[:n] if n > 1 else x[[0, 0]]), tmp_path,
                         lossless=True)  # fmt: skip
    found = read_sheets(tmp_path)
    assert np.array_equal(found[:n], x)
    assert about["lossless"] and about["count"] == len(found)
    assert json.loads((tmp_path / "thumbs.json").read_text()) == about


def test_tile_of_a_row_is_where_the_page_looks_for_it(tmp_path):
    x = np.zeros((6000, 1, 28, 28), np.uint8)
    x[:, 0, 20, 3], x[:, 0, 3, 20] = np.divmod(np.arange(6000), 250)
    about = write_sheets(samples_of(x), tmp_path)
    assert about["lossless"] and len(about["sheets"]) == 2
    for row in (0, 72, 73, 5328, 5329, 5999):
        sheet, tile = divmod(row, about["per_sheet"])
        pixels = np.asarray(Image.open(tmp_path / about["sheets"][sheet]).convert("L"))
        assert max(pixels.shape) <= MAX_SIDE
        top, left = (v * 28 for v in divmod(tile, about["columns"]))
        assert np.array_equal(pixels[top : top + 28, left : left + 28], x[row, 0])


def test_large_pictures_become_small_thumbnails(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (7, 3, 100, 1))
    about = write_sheets(samples_of(ramp), tmp_path)
    assert (about["height"], about["width"], about["lossless"]) == (24, 48, False)
    small = read_sheets(tmp_path).astype(int)
    assert small.shape == (7, 3, 24, 48)
    expected = ramp[0, 0, 0].reshape(-1)[
        np.round((np.arange(48) + 0.5) * 200 / 48 - 0.5).astype(int)
    ]
    assert np.abs(small - expected).max() < 16


def test_float_pictures_are_never_called_lossless(tmp_path):
    x = np.random.default_rng(0).random((6, 1, 9, 9), np.float32)
    assert not write_sheets(samples_of(x), tmp_path)["lossless"]
    with pytest.raises(BadInput, match="Only uint8"):
        write_sheets(samples_of(x), tmp_path, lossless=True)


def test_tables_have_no_sheets(tmp_path):
    with pytest.raises(BadInput, match="no pictures"):
        write_sheets(samples_of(np.zeros((6, 4))), tmp_path)


def test_progress_ends_whole_and_can_stop(tmp_path):
    x = np.zeros((120, 1, 300, 300), np.uint8) + 9
    seen = []
    write_sheets(samples_of(x), tmp_path, lossless=True, on_sheet=lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(Cancelled):
        write_sheets(samples_of(x), tmp_path, lossless=True, on_sheet=lambda *at: False)


@pytest.mark.parametrize(
    "change",
    [
        {"sheets": ["../000.webp"]},
        {"sheets": []},
        {"sheets": None},
        {"count": 10**12},
        {"count": -1},
        {"count": 1.5},
        {"columns": 0},
        {"channels": 4},
        {"height": 7},
        {"width": 4096},
    ],
)
def test_lying_thumbs_json_is_refused(tmp_path, change):
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 9, 9), np.uint8)
    about = write_sheets(samples_of(x), tmp_path)
    (tmp_path / "thumbs.json").write_text(json.dumps(about | change))
    with pytest.raises(BadInput):
        read_sheets(tmp_path)


def test_missing_and_damaged_sheets_are_sentences(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 9, 9), np.uint8)
    about = write_sheets(samples_of(x), tmp_path)
    sheet = tmp_path / about["sheets"][0]
    whole = sheet.read_bytes()
    sheet.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="missing or damaged"):
        read_sheets(tmp_path)
    sheet.unlink()
    with pytest.raises(BadInput, match="missing or damaged"):
        read_sheets(tmp_path)
    (tmp_path / "thumbs.json").unlink()
    with pytest.raises(BadInput, match=r"lack a whole thumbs\.json"):
        read_sheets(tmp_path)


def test_bundled_sheets_stand_in_for_mnist(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from introspect import bundled, samples
    from introspect.store import write_folder

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 1, 28, 28), np.uint8)
    rows = rng.permutation(60)
    table = {"id": rows, "label": rows % 10, "split": [samples.SPLITS[row % 3] for row in rows]}

    def fill(folder):
        parquet.write_table(pa.table(table), folder / "points.parquet")
        write_sheets(samples_of(x[rows]), folder / "thumbs")

    atlas = tmp_path / "mnist-net1.atlas"
    write_folder(atlas, fill)
    monkeypatch.delenv("INTROSPECT_DATA", raising=False)
    monkeypatch.setattr(bundled, "sample_atlases", lambda: {"mnist-net1": atlas})
    monkeypatch.setattr(samples, "_cache", lambda: tmp_path / "none")
    found = load_samples("mnist")
    assert found.ids.tolist() == list(range(60)) and found.classes[7] == "7"
    assert np.array_equal(found.x, x)
    assert np.array_equal(found.y, np.arange(60) % 10)
    assert np.array_equal(load_samples("mnist:test").ids % 3, np.full(20, 2))
