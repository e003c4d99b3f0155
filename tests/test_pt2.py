"""Exported PyTorch networks: read by ourselves, they are the network they were made from."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, made
from graph_checks import compare, network
from pt2_files import Archive
from torch import nn

from introspect.errors import BadInput
from introspect.formats.preparing import prepare
from introspect.formats.pt2 import parse_pt2, read_pt2


def save(module: nn.Module, x: torch.Tensor, path: Path, free: bool = True) -> Path:
    """torch.export's archive, with an open batch or that of x."""
    batch = ({0: torch.export.Dim("batch", min=1, max=4096)},) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (x,), dynamic_shapes=batch)
        torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pt2")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_export_with_an_open_batch_is_the_network_itself(name: str, folder: Path) -> None:
    module, shape = made(name)
    graph, tensors = read_pt2(save(module, torch.rand(2, *shape), folder / f"{name}.pt2"))
    assert graph.input_shape == shape and not graph.notes
    compare(network(graph, tensors), module, shape)


@pytest.mark.parametrize("name", ["cnn", "vit", "lstm"])
def test_an_export_for_one_input_takes_any_number(name: str, folder: Path) -> None:
    module, shape = made(name)
    file = save(module, torch.rand(1, *shape), folder / f"{name}-one.pt2", free=False)
    assert parse_pt2(file)[0].batch == 1
    graph, tensors = read_pt2(file)
    assert any("fixed number" in note for note in graph.notes)
    compare(network(graph, tensors), module, shape)


def test_an_export_for_four_inputs_takes_any_number(folder: Path) -> None:
    module, shape = made("cnn")
    graph, tensors = read_pt2(save(module, torch.rand(4, *shape), folder / "four.pt2", free=False))
    compare(network(graph, tensors), module, shape)


def test_an_export_in_training_is_read_in_evaluation(folder: Path) -> None:
    module, shape = made("cnn")
    file = save(module.train(), torch.rand(2, *shape), folder / "train.pt2")
    graph, tensors = read_pt2(file)
    assert "dropout" not in str([node.op for node in graph.nodes])
    compare(network(graph, tensors), module.eval(), shape)


def test_nothing_is_written_in_place_and_gradients_keep_what_they_need(folder: Path) -> None:
    class Over(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            z = y.relu_()
            y += 1
            return self.b(y * z)

    torch.manual_seed(0)
    module = Over()
    file = save(module, torch.rand(2, 4), folder / "over.pt2")
    graph, tensors = read_pt2(file)
    assert not [node.op for node in graph.nodes if "_." in node.op]
    x = torch.randn(5, 4)
    torch.testing.assert_close(network(graph, tensors)(x), module(x))


def test_writing_into_a_view_that_is_used_again_is_refused(folder: Path) -> None:
    class Part(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            y[:, :2].relu_()
            return y

    file = save(Part(), torch.rand(2, 4), folder / "part.pt2")
    with pytest.raises(BadInput, match="overwrites a part"):
        read_pt2(file)


def test_of_several_outputs_the_first_row_of_scores_is_chosen(folder: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            maps = torch.relu(self.conv(x))
            return maps, self.head(maps.mean((2, 3)))

    module = Two().eval()
    x = torch.rand(3, 1, 6, 6)
    graph, tensors = read_pt2(save(module, x, folder / "two.pt2"))
    assert len(graph.outputs) == 2
    torch.testing.assert_close(network(graph, tensors)(x), module(x)[1])


def test_two_inputs_are_refused(folder: Path) -> None:
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    path = folder / "sum.pt2"
    torch.export.save(torch.export.export(Sum(), (torch.rand(2, 3), torch.rand(2, 3))), path)
    with pytest.raises(BadInput, match="takes 2 inputs"):
        read_pt2(path)


def test_a_network_bound_to_its_batch_is_refused_with_the_way_out(folder: Path) -> None:
    class Across(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - x.mean(0, keepdim=True)) / (1 + x.sum(0)) @ torch.ones(4, 3)

    file = save(Across(), torch.rand(2, 4), folder / "across.pt2", free=False)
    with pytest.raises(BadInput, match="introspect export my_module:build model.pt2"):
        read_pt2(file)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_widths_become_float32(kind: torch.dtype, tmp_path: Path) -> None:
    archive = Archive()
    codes = {torch.float16: 6, torch.bfloat16: 13, torch.float64: 8}
    for place, value in (("weight_0", archive.weight), ("weight_1", torch.ones(3))):
        raw = value.to(kind).view(torch.uint8).numpy().tobytes()
        archive.members[f"data/weights/{place}"] = raw
    for entry in archive.weights.values():
        entry["tensor_meta"]["dtype"] = codes[kind]
    x = torch.rand(3, 4)
    got = network(*read_pt2(archive.write(tmp_path / "other.pt2")))(x)
    torch.testing.assert_close(got, torch.relu(x @ archive.weight.to(kind).float().T + 1))


def test_weights_that_are_not_numbers_are_named(folder: Path) -> None:
    module, shape = made("mlp")
    graph, tensors = read_pt2(save(module, torch.rand(2, *shape), folder / "nan.pt2"))
    name = next(iter(tensors))
    spoiled = {**tensors, name: tensors[name] * float("nan")}
    with pytest.raises(BadInput, match=f'"{name}" contain NaN'):
        prepare(graph, spoiled, "nan.pt2")
