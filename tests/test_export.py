"""The export command: a network of one's own becomes a file that is read back as the same."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from architectures import made
from graph_checks import compare, network

from introspect.cli import main
from introspect.errors import BadInput
from introspect.export import load_built
from introspect.formats.pt2 import read_pt2

SOURCE = """
import torch
from torch import nn

input_shape = (1, 8, 8)

def build():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3))

def example():
    return build(), torch.rand(2, 1, 8, 8)

def wrong():
    return 3

def broken():
    raise RuntimeError("out of luck")

class Choosing(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x

def choosing():
    return Choosing()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module in it, as the place where the command is given."""
    (tmp_path / "own_net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_net", raising=False)
    return tmp_path


def test_a_module_is_exported_and_read_back(home: Path, capsys) -> None:
    assert main(["export", "own_net:build", "net.pt2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["input_shape"] == [1, 8, 8] and answer["outputs"] == 3
    assert answer["difference"] < 1e-5
    module, shape = load_built("own_net:build")
    assert shape == (1, 8, 8) and module.training
    compare(network(*read_pt2(home / "net.pt2")), module.eval(), shape)


def test_the_file_says_nothing_of_the_machine(home: Path) -> None:
    assert main(["export", "own_net.py:example", "net.pt2"]) == 0
    with zipfile.ZipFile(home / "net.pt2") as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert str(home).encode() not in whole and b"own_net.py" not in whole


@pytest.mark.parametrize("how", ["trace", "script"])
def test_torchscript_is_exported(how: str, home: Path, capsys) -> None:
    module, shape = made("lstm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.rand(2, *shape)
        written = torch.jit.trace(module, x) if how == "trace" else torch.jit.script(module)
        torch.jit.save(written, home / "old.pt")
    assert main(["export", "--torchscript", "old.pt", "--input-shape", "7,6"]) == 0
    assert "old.pt2" in capsys.readouterr().out
    net = network(*read_pt2(home / "old.pt2"))
    x = torch.rand(5, *shape)
    torch.testing.assert_close(net(x), module(x))


@pytest.mark.parametrize(
    "given, words",
    [
        (["own_net"], "my_module:build"),
        (["nowhere:build"], "cannot be imported"),
        (["own_net:nothing"], "no function"),
        (["own_net:wrong"], "gives a int"),
        (["own_net:broken"], "out of luck"),
        (["own_net:input_shape"], "no function"),
        (["missing.py:build"], "no file missing.py"),
        (["own_net:build", "net.onnx"], "end in .pt2"),
        (["own_net:build", "net.pt2", "--input-shape", "a,b"], "is no shape"),
        (["own_net:build", "net.pt2", "--input-shape", "5"], "does not take a batch"),
        (["--torchscript", "own_net.py", "--input-shape", "5"], "no TorchScript file"),
        (["own_net:choosing", "net.pt2"], "cannot export this network"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    given: list[str], words: str, home: Path, capsys
) -> None:
    assert main(["export", *given]) == 2
    told = capsys.readouterr().err.strip()
    assert words in told and "\n" not in told


def test_without_a_shape_the_option_is_named(home: Path, capsys) -> None:
    (home / "bare_net.py").write_text(SOURCE.replace("input_shape = (1, 8, 8)", ""))
    assert main(["export", "bare_net:build", "net.pt2"]) == 2
    assert "--input-shape" in capsys.readouterr().err
    with pytest.raises(BadInput, match="my_module:build"):
        load_built("bare_net")
