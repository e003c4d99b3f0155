"""Parts of an atlas that a stranger sent: each is checked before it is believed or takes room."""

from __future__ import annotations

import io
import json
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pt2_files import Archive
from safetensors.torch import save_file

from introspect.architectures import hf
from introspect.errors import BadInput
from introspect.formats.blueprint import read_blueprint
from introspect.formats.graph import document
from introspect.formats.pt2 import read_pt2
from introspect.formats.reader import check_growth, parse
from introspect.kept import read_kept
from introspect.sheets import read_sheets, write_sheets


class Nine:
    """Nine black pictures."""

    @property
    def x(self) -> np.ndarray:
        return np.zeros((9, 1, 4, 4), np.uint8)


@pytest.fixture
def bounded():
    """No more than 512 MB beyond what there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (512 << 20), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _folder(tmp_path: Path) -> Path:
    own = tmp_path / "samples"
    own.mkdir()
    np.save(own / "x.npy", np.zeros((3, 4), np.float32))
    np.save(own / "rows.npy", np.array([0, 2, 5]))
    return own


def test_the_inputs_that_the_hostile_ones_are_made_of_are_read(tmp_path: Path) -> None:
    _folder(tmp_path)
    found = read_kept(tmp_path, 6)
    assert found is not None
    rows, x = found
    assert list(rows) == [0, 2, 5] and x.shape == (3, 4)


def _zipped() -> bytes:
    raw = io.BytesIO()
    np.savez(raw, a=np.arange(3))
    return raw.getvalue()


def _objects() -> bytes:
    raw = io.BytesIO()
    np.save(raw, np.array([{}, {}, {}], object), allow_pickle=True)
    return raw.getvalue()


def _npy(shape: str, kind: str = "<i8", body: bytes = b"") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


LIES = {
    "a zip": _zipped(),
    "python objects": _objects(),
    "2^40 of them": _npy("(1099511627776,)"),
    "less than none": _npy("(-3,)", body=bytes(24)),
    "words": _npy("(3,)", "<U2", bytes(24)),
    "a side that is a name": _npy("(a,)"),
    "nothing": b"",
    "half a header": _npy("(3,)", body=bytes(24))[:40],
}


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("name", ["rows.npy", "x.npy"])
def test_arrays_that_lie_are_refused_in_one_sentence(
    kind: str, name: str, tmp_path: Path, bounded: None
) -> None:
    (_folder(tmp_path) / name).write_bytes(LIES[kind])
    with pytest.raises(BadInput, match="list of inputs in this atlas is damaged"):
        read_kept(tmp_path, 6)


def test_a_list_of_rows_longer_than_the_atlas_is_not_read(tmp_path: Path) -> None:
    own = _folder(tmp_path)
    for name, kind in (("rows.npy", "<i8"), ("x.npy", "<f8")):
        with (own / name).open("wb") as stream:
            stream.write(_npy(f"({2**28},)", kind))
            stream.truncate(stream.tell() + (8 << 28))  # a file with a hole: it takes no room
    before = int(Path("/proc/self/statm").read_text().split()[1])
    with pytest.raises(BadInput, match="other inputs than rows"):
        read_kept(tmp_path, 6)
    after = int(Path("/proc/self/statm").read_text().split()[1])
    assert (after - before) * resource.getpagesize() < 64 << 20


def test_more_pictures_than_rows_are_not_unpacked(tmp_path: Path) -> None:
    write_sheets(Nine(), tmp_path / "samples")
    with pytest.raises(BadInput, match="other inputs than rows"):
        read_kept(tmp_path, 6)


def test_a_sheet_of_very_many_pixels_is_one_sentence(tmp_path: Path) -> None:
    from PIL import Image

    write_sheets(Nine(), tmp_path)
    Image.new("L", (16_000, 12_000)).save(tmp_path / "000.webp", "WEBP", method=0)
    with pytest.raises(BadInput, match="missing or damaged|another size"):
        read_sheets(tmp_path)


def test_a_network_that_says_it_is_in_training_is_run_in_evaluation(tmp_path: Path) -> None:
    graph, tensors = read_pt2(Archive().write(tmp_path / "a.pt2"))
    told = json.loads(json.dumps(document(graph)))
    told["nodes"][1] |= {
        "op": "aten.rrelu.default",
        "args": [told["nodes"][1]["args"][0], 0.1, 0.9, True],
    }
    module: Any = read_blueprint(told).make(tensors)
    x = torch.randn(4, 4)
    torch.testing.assert_close(module(x), module(x), rtol=0, atol=0)


@pytest.mark.parametrize("bounds", [[0, float("nan")], [0, float("inf")], ["nan", "1"], [0, True]])
def test_bounds_that_are_no_numbers_are_refused(tmp_path: Path, bounds: list[Any]) -> None:
    told = document(read_pt2(Archive().write(tmp_path / "a.pt2"))[0])
    with pytest.raises(BadInput, match="bounds"):
        read_blueprint(told | {"bounds": bounds})


@pytest.mark.parametrize(
    "layer",
    [{"ZeroPad2d": 20_000}, {"AdaptiveAvgPool2d": 30_000}, {"Upsample": {"scale_factor": 10_000}}],
)
def test_a_layer_list_that_makes_gigabytes_of_a_picture_is_never_run(layer: dict[str, Any]) -> None:
    tall = ["Flatten", {"Linear": [4, 2]}]
    told = {"input_shape": [1, 28, 28], "layers": [layer, {"AdaptiveAvgPool2d": 2}, *tall]}
    with pytest.raises(BadInput, match="MB of one input"):
        read_blueprint(told)
    told["layers"][0] = {"ZeroPad2d": 2}
    assert read_blueprint(told).reading.input_shape == (1, 28, 28)


def test_weights_named_again_and_again_do_not_fill_the_disk(tmp_path: Path) -> None:
    many = {f"w{i}": torch.ones(1 << 20, 1).expand(1 << 20, 8) for i in range(20)}
    (tmp_path / "net.pt2").write_bytes(bytes(1000))
    with pytest.raises(BadInput, match="again and again"):
        check_growth(tmp_path / "net.pt2", many)
    made = Archive()
    wide = {"fc.weight": made.payload("weight_0", (3, 4))}
    wide |= {f"w{i}": made.payload("weight_0", (3, 4)) for i in range(40)}
    made.weights |= wide
    assert parse(made.write(tmp_path / "good.pt2"), "pt2").document
    save_file({"fc1.weight": torch.ones(2, 2)}, tmp_path / "good.safetensors")
    assert len(parse(tmp_path / "good.safetensors", "safetensors").tensors) == 1


def test_a_network_of_a_library_cannot_have_a_million_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(kind: str, num_labels: int) -> SimpleNamespace:
        return SimpleNamespace(num_hidden_layers=12, hidden_size=768, depth=3)

    library = SimpleNamespace(CONFIG_MAPPING={"vit": 1}, AutoConfig=SimpleNamespace(for_model=made))
    monkeypatch.setattr(hf, "_library", lambda: library)
    assert hf._configured("vit", 10, {"num_hidden_layers": 24}).num_hidden_layers == 24
    for changes in ({"num_hidden_layers": 2**20}, {"depth": 2**20}, {"hidden_size": 2**30}):
        with pytest.raises(BadInput, match="no size called"):
            hf._configured("vit", 10, changes)
