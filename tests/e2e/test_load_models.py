"""Models of every format in real Chromium: told in plain words, tried, built, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import model, node, tensor, value
from playwright.sync_api import BrowserContext, Page, expect
from torch import nn
from visit import Server, settle

PATIENCE = 60_000


class Own(nn.Module):
    """A class of the visitor's own: a pickle of it names code that nobody here has."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, mlp, digits) -> dict[str, Path]:
    """The trained network of the digits in every format, a conv net that knows nothing, data."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models")
    named = {
        name: folder / f"{name.split()[0]}.{name.split()[1]}"
        for name in ("net pt2", "lost pt2", "net onnx", "net safetensors", "net pt", "whole pth",
                     "keras h5", "digits npz")
    }  # fmt: skip
    module = mlp.module
    for name, network in (("net pt2", module), ("lost pt2", make_lost())):
        batch = ({0: torch.export.Dim.AUTO},)
        program = torch.export.export(network, (torch.rand(2, 1, 8, 8),), dynamic_shapes=batch)
        torch.export.save(program, named[name])
    named["net onnx"].write_bytes(as_onnx(module))
    save_file(module.state_dict(), named["net safetensors"])
    torch.save({"state_dict": module.state_dict(), "epoch": 20}, named["net pt"])
    torch.save(Own(module), named["whole pth"])
    named["keras h5"].write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    np.savez(named["digits npz"], x=digits.x, y=digits.y, split=digits.split)
    return named


def make_lost() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
        return nn.Sequential(*parts).eval()


def as_onnx(module: nn.Module) -> bytes:
    nodes, weights, last = [node("Flatten", "x", "v0", axis=1)], [], "v0"
    for i, part in enumerate(module):
        if isinstance(part, nn.Linear):
            weights += [tensor(f"w{i}", part.weight.detach()), tensor(f"b{i}", part.bias.detach())]
            nodes.append(node("Gemm", f"{last} w{i} b{i}", f"v{i + 1}", transB=1))
            last = f"v{i + 1}"
        elif isinstance(part, nn.ELU):
            nodes.append(node("Elu", last, f"v{i + 1}"))
            last = f"v{i + 1}"
    return model(nodes, weights, [value("x", ["n", 1, 8, 8])], [value(last, ["n", 10])])


@pytest.fixture
def form(context: BrowserContext) -> Iterator[Page]:
    """The empty form, in a browser that has the app's own files already."""
    page = context.new_page()
    page.goto("/load?tab=Build from a model")
    settle(page)
    yield page
    page.close()


def calm(page: Page) -> None:
    """Waits as long as a visitor's hand needs, and until the page has answered."""
    page.wait_for_timeout(300)
    settle(page)


def give(page: Page, label: str, file: Path) -> None:
    box = page.get_by_test_id("stFileUploader").filter(has_text=label)
    box.locator("input[type=file]").set_input_files(file)
    expect(box.get_by_text(file.name)).to_be_visible(timeout=PATIENCE)
    calm(page)


def panel(page: Page):
    return page.get_by_role("tabpanel").locator("visible=true")


@pytest.mark.parametrize(
    ("name", "words", "command"),
    [
        ("whole pth", "whole pickled Python model", "introspect export my_module:build model.pt2"),
        ("keras h5", "Keras or HDF5 file", "model.export('model.onnx', format='onnx')"),
    ],
)
def test_refused_kinds_say_what_they_are_and_the_command_that_converts_them(
    form: Page, files: dict[str, Path], name: str, words: str, command: str
) -> None:
    give(form, "Model file", files[name])
    told = panel(form).get_by_test_id("stAlert").filter(has_text=words)
    expect(told).to_be_visible(timeout=PATIENCE)
    expect(panel(form).get_by_test_id("stCode").filter(has_text=command)).to_be_visible()
    expect(form.get_by_role("button", name="Build the atlas")).to_be_disabled()
    assert "Traceback" not in form.content()


@pytest.mark.parametrize(
    ("name", "words"),
    [("net pt2", "An exported PyTorch network"), ("net onnx", "An ONNX network")],
)
def test_networks_are_told_at_once_and_are_right_on_data(
    form: Page, files: dict[str, Path], name: str, words: str
) -> None:
    give(form, "Model file", files[name])
    fact = panel(form).get_by_text(words, exact=True)
    expect(fact).to_be_visible(timeout=PATIENCE)
    expect(panel(form).get_by_text("one input is 1 × 8 × 8, 10 classes")).to_be_visible()
    expect(panel(form).get_by_text("Still missing: data with labels")).to_be_visible()
    expect(form.get_by_role("button", name="Build the atlas")).to_be_disabled()
    give(form, "Samples with labels", files["digits npz"])
    expect(panel(form).get_by_text("so its accuracy is plausible")).to_be_visible(timeout=PATIENCE)
    expect(panel(form).get_by_text("96 units, 192 bytes for each sample")).to_be_visible()
    expect(panel(form).get_by_text(re.compile("About .* on this machine"))).to_be_visible()
    expect(form.get_by_role("button", name="Build the atlas")).to_be_enabled()


def test_weights_find_their_network_and_become_an_atlas(
    form: Page, server: Server, files: dict[str, Path]
) -> None:
    give(form, "Model file", files["net pt"])
    expect(panel(form).get_by_text("Which network?")).to_be_visible(timeout=PATIENCE)
    expect(panel(form).get_by_text("The weights were found under state_dict.")).to_be_visible()
    give(form, "Samples with labels", files["digits npz"])
    expect(panel(form).get_by_text("so its accuracy is plausible")).to_be_visible(timeout=PATIENCE)
    expect(panel(form).get_by_text("Taken as mlp-elu")).to_be_visible()
    form.get_by_text("More settings").click()
    passes = form.get_by_role("spinbutton", name="Passes over the data")
    passes.fill("1")
    passes.press("Enter")
    calm(form)
    form.get_by_role("button", name="Build the atlas").click()
    work = form.locator("[class*='st-key-job-']").filter(has_text="Building net")
    expect(work).to_contain_text("is done", timeout=PATIENCE)
    assert (server.home / "net.atlas" / "CURRENT").is_file()


def test_network_is_chosen_by_name_and_the_tensor_that_does_not_fit_is_named(
    form: Page, files: dict[str, Path]
) -> None:
    give(form, "Model file", files["net safetensors"])
    box = panel(form).get_by_role("combobox", name="Take the weights as")
    expect(box).to_be_visible(timeout=PATIENCE)
    form.wait_for_timeout(3000)  # what is drawn above it moves the box
    box.click()
    box.press_sequentially("resnet18")
    form.wait_for_timeout(500)
    box.press("Enter")
    calm(form)
    told = panel(form).get_by_test_id("stAlert").filter(has_text="look nothing like resnet18")
    expect(told).to_be_visible(timeout=PATIENCE)


def test_hardly_right_model_is_built_only_when_the_person_says_so(
    form: Page, files: dict[str, Path]
) -> None:
    give(form, "Samples with labels", files["digits npz"])
    give(form, "Model file", files["lost pt2"])
    expect(panel(form).get_by_text("are probably not the right ones")).to_be_visible(
        timeout=PATIENCE
    )
    build = form.get_by_role("button", name="Build the atlas")
    expect(build).to_be_disabled()
    form.get_by_text("Go on anyway: map this model").click()
    calm(form)
    expect(build).to_be_enabled()
    expect(panel(form).get_by_text("1 of 3 layers, 4 units")).to_be_visible()
    form.get_by_text("the means of four quarters of each channel").click()
    calm(form)
    expect(panel(form).get_by_text("1 of 3 layers, 16 units")).to_be_visible()
