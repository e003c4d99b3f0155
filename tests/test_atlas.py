"""The atlas: same input same place, its folder, what is refused, what chart and neighbours say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from introspect.archive import pack, unpack
from introspect.atlas import Atlas
from introspect.building import build
from introspect.engine import Strangeness
from introspect.errors import BadInput, NewerFormat
from introspect.store import open_folder


@pytest.fixture
def x(atlas: Atlas) -> torch.Tensor:
    return atlas.samples.floats(slice(0, 300))


def test_alone_twice_is_bit_equal(atlas: Atlas, x: torch.Tensor) -> None:
    for row in range(20):
        first, second = (atlas.locate(x[row : row + 1]) for _ in range(2))
        assert np.array_equal(first.z, second.z) and np.array_equal(
            first.log_error, second.log_error
        )


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_place_does_not_depend_on_the_batch(atlas: Atlas, x: torch.Tensor, size: int) -> None:
    found = np.concatenate([atlas.locate(part).z for part in x.split(size)])
    np.testing.assert_allclose(found, atlas.points.z[:300], atol=1e-5)


def test_place_does_not_depend_on_the_order_or_the_company(atlas: Atlas, x: torch.Tensor) -> None:
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(atlas.locate(x[order]).z, atlas.points.z[:300][order], atol=1e-5)
    strange = torch.cat([torch.rand(50, *x.shape[1:]), x[:10]])
    np.testing.assert_allclose(atlas.locate(strange).z[50:], atlas.points.z[:10], atol=1e-5)


def test_every_stored_column_is_what_locate_returns(atlas: Atlas) -> None:
    found, stored = atlas.engine.locate_samples(atlas.samples), atlas.points
    for name in ("z", "outputs", "log_error", "log_error_map"):
        np.testing.assert_allclose(getattr(found, name), getattr(stored, name), atol=1e-5)
    np.testing.assert_allclose(found.off_map, stored.off_map, atol=0.2)
    assert np.array_equal(found.predicted, stored.predicted)


def test_another_process_finds_the_same_place(atlas: Atlas, tmp_path: Path) -> None:
    atlas.save(tmp_path / "a.atlas")
    code = (
        "import sys, numpy as np, introspect\n"
        "atlas = introspect.load(sys.argv[1])\n"
        "np.save(sys.argv[2], atlas.locate(atlas.samples.floats(slice(0, 40))).z)\n"
    )
    out = tmp_path / "z.npy"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.atlas"), str(out)], check=True)
    np.testing.assert_allclose(np.load(out), atlas.points.z[:40], atol=1e-5)


def test_saved_zipped_and_read_again_nothing_is_lost(
    atlas: Atlas, x: torch.Tensor, tmp_path: Path
) -> None:
    pack(atlas.folder.parent, tmp_path / "a.atlas.zip")
    unpack(tmp_path / "a.atlas.zip", tmp_path / "b.atlas")
    again = Atlas.load(tmp_path / "b.atlas")
    for name, value in vars(atlas.points).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(again.points, name), value)
    assert again.points.views.keys() == atlas.points.views.keys()
    assert again.thresholds == atlas.thresholds and again.fingerprint == atlas.fingerprint
    assert np.array_equal(again.locate(x).z, atlas.locate(x).z)
    assert np.array_equal(again.samples.x, atlas.samples.x)


def test_uint8_pictures_and_floats_land_in_one_place(atlas: Atlas) -> None:
    picture = atlas.picture(5)
    np.testing.assert_allclose(atlas.locate(picture).z[0], atlas.points.z[5], atol=1e-5)


def test_what_cannot_be_located_is_told(atlas: Atlas) -> None:
    with pytest.raises(BadInput):
        atlas.locate(np.zeros((3, 5, 5), np.uint8))
    broken = torch.zeros(2, 1, 8, 8)
    broken[1, 0, 3, 3] = float("nan")
    with pytest.raises(BadInput, match="NaN"):
        atlas.locate(broken)


def test_no_inputs_give_no_positions(atlas: Atlas) -> None:
    assert atlas.locate(torch.zeros(0, 1, 8, 8)).z.shape == (0, 2)


def test_chart_is_the_estimate_over_the_map_and_covers_all_points(atlas: Atlas) -> None:
    chart = atlas.chart(50)
    x0, x1, y0, y1 = chart.extent
    low, high = atlas.z.min(0), atlas.z.max(0)
    assert x0 < low[0] and high[0] < x1 and y0 < low[1] and high[1] < y1
    column, row = 12, 31
    centre = np.array(
        [[x0 + (column + 0.5) / 50 * (x1 - x0), y0 + (row + 0.5) / 50 * (y1 - y0)]], np.float32
    )
    with torch.inference_mode():
        wanted = float(atlas.engine.map_estimator(torch.from_numpy(centre)))
    assert chart.log_error[row, column] == pytest.approx(wanted, abs=1e-4)


def test_neighbours_are_those_of_a_plain_search(atlas: Atlas) -> None:
    h = np.array(atlas.recording.h, np.float64)
    rows, distances = atlas.neighbours(atlas.samples.floats([17, 400]), 6)
    for place, row in enumerate((17, 400)):
        far = np.linalg.norm(h - h[row], axis=1)
        assert rows[place][0] == row
        np.testing.assert_allclose(distances[place][1:], np.sort(far)[1:6], rtol=2e-2)


def test_strangeness_is_the_error_of_rebuilding_in_deviations(atlas: Atlas) -> None:
    spread = torch.tensor([0.5, 2.0, torch.inf])
    net = torch.nn.Sequential(torch.nn.Linear(2, 3))
    strange = Strangeness(net, spread, torch.linspace(0, 2, 1001))
    h, z = torch.tensor([[1.0, -1.0, 7.0]]), torch.tensor([[0.3, 0.2]])
    with torch.no_grad():
        gap = (h - net(z))[0].double().numpy()
        wanted = np.sqrt(((gap[0] / 0.5) ** 2 + (gap[1] / 2) ** 2) / 3)
        assert float(strange.distance(h, z)) == pytest.approx(wanted, abs=1e-6)
        assert float(strange(h, z)) == pytest.approx(min(100, 50 * wanted), abs=0.1)


def test_validation_samples_fill_the_percentiles_evenly(atlas: Atlas) -> None:
    off_map = atlas.points.off_map[atlas.points.split == 1]
    assert np.median(off_map) == pytest.approx(50, abs=2)


def test_noise_is_further_off_the_map_than_digits(atlas: Atlas) -> None:
    noise = atlas.locate(torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    test = atlas.points.off_map[atlas.points.split == 2]
    assert np.median(noise.off_map) > np.median(test) + 20


def test_rows_are_found_by_id_and_by_place_in_a_split(atlas: Atlas) -> None:
    test = np.flatnonzero(atlas.points.split == 2)
    assert atlas.points.row_of(f"test:{3}") == atlas.points.row_of(" test:3 ") == test[3]
    assert atlas.points.row_of(int(atlas.points.id[9])) == 9
    for wrong in ("test:100000", "elsewhere:1", -4, "x", "²", "9" * 5000, "test:", ""):
        with pytest.raises(BadInput, match="no sample"):
            atlas.points.row_of(wrong)


def _copied(atlas: Atlas, folder: Path) -> Path:
    atlas.save(folder / "copy.atlas")
    return folder / "copy.atlas"


def _remade(path: Path) -> None:
    """Makes the manifest fit the files again, as a hostile writer would."""
    import hashlib

    version = open_folder(path)
    manifest = json.loads((version / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        body = (version / name).read_bytes()
        entry["size"], entry["sha256"] = len(body), hashlib.sha256(body).hexdigest()
    (version / "manifest.json").write_text(json.dumps(manifest))


def test_newer_format_says_so(atlas: Atlas, tmp_path: Path) -> None:
    version = open_folder(_copied(atlas, tmp_path))
    manifest = json.loads((version / "manifest.json").read_text())
    manifest["format"] = 99
    (version / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NewerFormat):
        Atlas.load(tmp_path / "copy.atlas")


def test_cut_table_is_refused(atlas: Atlas, tmp_path: Path) -> None:
    file = open_folder(_copied(atlas, tmp_path)) / "points.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadInput, match="points.parquet"):
        Atlas.load(tmp_path / "copy.atlas")


def test_weights_that_are_not_numbers_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    file = open_folder(_copied(atlas, tmp_path)) / "weights.safetensors"
    tensors = load_file(file)
    tensors["encoder.0.weight"][0, 0] = float("nan")
    save_file(tensors, file)
    _remade(tmp_path / "copy.atlas")
    with pytest.raises(BadInput, match="encoder"):
        Atlas.load(tmp_path / "copy.atlas")


def test_atlas_without_its_network_shows_but_places_nothing(digits, tmp_path: Path) -> None:
    class Twisted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(64, 24), torch.nn.Linear(24, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.tanh(self.first(x.flatten(1))))

    module = Twisted()
    built = build(module, digits, epochs=2)
    built.save(tmp_path / "live.atlas")
    seen = Atlas.load(tmp_path / "live.atlas")
    assert not seen.complete and len(seen.points) == len(digits)
    with pytest.raises(BadInput, match="without its network"):
        seen.locate(digits.floats(slice(0, 2)))
    whole = Atlas.load(tmp_path / "live.atlas", model=module)
    np.testing.assert_allclose(
        whole.locate(digits.floats(slice(0, 9))).z, seen.points.z[:9], atol=1e-5
    )
    with pytest.raises(BadInput, match="not the one"):
        Atlas.load(tmp_path / "live.atlas", model=Twisted())
