"""The Load page in real Chromium: files in and out, cards, a build that survives the visitor."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from shelves import put
from visit import Server, settle

from introspect import archive

PATIENCE = 60_000


@pytest.fixture
def load(page: Page) -> Page:
    page.goto("/load")
    settle(page)
    return page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, mlp, digits) -> dict[str, Path]:
    """A small trained network and its data, as files a visitor would have."""
    from introspect.classifier import save_classifier

    folder = tmp_path_factory.mktemp("files")
    assert save_classifier(mlp, folder)
    weights = (folder / "model.safetensors").rename(folder / "little.safetensors")
    layers = (folder / "graph.json").rename(folder / "layers.json")
    data = folder / "digits.npz"
    np.savez(data, x=digits.x, y=digits.y, split=digits.split)
    return {"weights": weights, "layers": layers, "data": data}


def calm(page: Page) -> None:
    """Waits as long as a visitor's hand needs, and until the page has answered."""
    page.wait_for_timeout(400)
    settle(page)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    calm(page)


def hand_in(page: Page, label: str, file: Path) -> None:
    """Gives one file, as a visitor would: the next one only when this one is there."""
    box = page.get_by_test_id("stFileUploader").filter(has_text=label)
    box.locator("input[type=file]").set_input_files(file)
    expect(box.get_by_text(file.name)).to_be_visible(timeout=PATIENCE)
    calm(page)


def expect_told(page: Page, text: str) -> None:
    """A message in the open tab says so."""
    boxes = page.get_by_role("tabpanel").get_by_test_id("stAlert").filter(has_text=text)
    expect(boxes.locator("visible=true")).to_have_count(1, timeout=PATIENCE)


def card(page: Page, name: str):
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator("[class*='st-key-card-']").filter(has=heading)


def add(page: Page, path: Path) -> None:
    """Uploads an atlas zip and goes to the cards."""
    tab(page, "Open from a file")
    hand_in(page, "Atlas file", path)
    expect(page.get_by_text("is on your shelf")).to_be_visible(timeout=PATIENCE)
    tab(page, "Choose")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return archive.pack(put(tmp_path / "made.atlas"), tmp_path / "petals.atlas.zip")


# ---------------------------------------------------------------- atlases in and out
def test_atlas_file_goes_in_is_renamed_deleted_brought_back_and_comes_out_again(
    load: Page, server: Server, packed: Path, tmp_path: Path
) -> None:
    add(load, packed)
    mine = card(load, "petals")
    expect(mine.get_by_text("200 points · 97.50% right")).to_be_visible()
    expect(mine.get_by_role("img")).to_be_visible()

    mine.get_by_role("button", name="More").click()
    name = load.get_by_role("textbox", name="Name")
    name.fill("roses")
    name.press("Enter")
    mine = card(load, "roses")
    expect(mine).to_be_visible()
    expect(card(load, "petals")).to_have_count(0)

    mine.get_by_role("button", name="More").click()
    with load.expect_download() as download:
        load.get_by_role("button", name="Download as a file").click()
    download.value.save_as(tmp_path / "out.zip")
    assert download.value.suggested_filename == "roses.atlas.zip"
    version = archive.unpack(tmp_path / "out.zip", tmp_path / "again.atlas")
    assert (version / "points.parquet").is_file()

    load.get_by_role("button", name="Delete").click()
    expect(card(load, "roses")).to_have_count(0)
    assert not (server.home / "roses.atlas").exists()
    load.get_by_role("button", name="Undo").click()
    expect(card(load, "roses")).to_be_visible()
    assert (server.home / "roses.atlas" / "CURRENT").is_file()


def test_file_that_is_no_atlas_is_refused_in_a_sentence(load: Page, tmp_path: Path) -> None:
    (tmp_path / "holiday.zip").write_bytes(b"PK\x03\x04 and then nothing")
    tab(load, "Open from a file")
    hand_in(load, "Atlas file", tmp_path / "holiday.zip")
    expect_told(load, "holiday.zip")
    assert "Traceback" not in load.content()


def test_link_to_a_tab_opens_it(page: Page) -> None:
    page.goto("/load?tab=Build from a model")
    settle(page)
    expect(page.get_by_role("heading", name="1 · Model")).to_be_visible()


def test_page_is_usable_by_keyboard_alone(load: Page) -> None:
    load.get_by_role("tab", name="Choose").focus()
    load.keyboard.press("ArrowRight")
    load.keyboard.press("Enter")
    expect(load.get_by_role("tab", name="Open from a file")).to_have_attribute(
        "aria-selected", "true"
    )


# ---------------------------------------------------------------- building
def give(page: Page, model: dict[str, Path]) -> None:
    tab(page, "Build from a model")
    hand_in(page, "Model file", model["weights"])
    hand_in(page, "Layer list", model["layers"])
    hand_in(page, "Samples with labels", model["data"])


def order(page: Page, name: str, passes: int) -> None:
    build = page.get_by_role("button", name="Build the atlas")
    expect(build).to_be_enabled(timeout=PATIENCE)
    field = page.get_by_role("textbox", name="Name of the atlas")
    field.fill(name)
    field.press("Enter")
    page.get_by_text("More settings").click()
    number = page.get_by_role("spinbutton", name="Passes over the data")
    number.fill(str(passes))
    number.press("Enter")
    settle(page)
    build.click()


def test_refused_model_leaves_the_rest_of_the_form_as_it_is(
    load: Page, model: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no network at all")
    tab(load, "Build from a model")
    hand_in(load, "Samples with labels", model["data"])
    hand_in(load, "Model file", tmp_path / "net.onnx")
    expect_told(load, "of no kind that Introspect knows")
    expect(load.get_by_text("digits.npz", exact=True)).to_be_visible()


def test_check_tells_whether_model_and_data_fit_and_the_form_outlives_other_pages(
    load: Page, model: dict[str, Path]
) -> None:
    give(load, model)
    fit = load.get_by_text("so its accuracy is plausible")
    expect(fit).to_be_visible(timeout=PATIENCE)
    expect(load.get_by_text("one input is 1 × 8 × 8, 10 classes")).to_be_visible()
    expect(load.get_by_text(re.compile("3 of . layers, 96 units, 192 bytes"))).to_be_visible()

    load.get_by_text("More settings").click()
    load.get_by_role("spinbutton", name="Seed").fill("7")
    load.keyboard.press("Enter")
    calm(load)
    load.get_by_role("link", name="Activation map").click()
    expect(load.get_by_role("heading", name="Activation map")).to_be_visible(timeout=PATIENCE)
    load.get_by_role("link", name="Load").click()
    tab(load, "Build from a model")
    expect(load.get_by_text("little.safetensors, as given before")).to_be_visible()
    expect(load.get_by_role("button", name="Build the atlas")).to_be_enabled(timeout=PATIENCE)
    load.get_by_text("More settings").click()
    expect(load.get_by_role("spinbutton", name="Seed")).to_have_value("7")


def test_weights_that_do_not_fit_the_layers_are_named(
    load: Page, model: dict[str, Path], tmp_path: Path
) -> None:
    wrong = tmp_path / "layers.json"
    text = model["layers"].read_text()
    wrong.write_text(re.sub(r"\b32\b", "33", text))
    give(load, model | {"layers": wrong})
    expect_told(load, "weight")


def test_build_survives_reload_and_second_tab_is_cancelled_and_resumed(
    load: Page, browser: Browser, server: Server, model: dict[str, Path]
) -> None:
    give(load, model)
    order(load, "endless", passes=1000)
    work = load.locator("[class*='st-key-job-']").filter(has_text="Building endless")
    expect(work.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE)
    expect(work).to_contain_text("left in this step", timeout=PATIENCE)
    assert re.search(r"[?&]job=[0-9a-f]{16}", load.url)

    load.reload()
    settle(load)
    expect(work.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE)

    other = browser.new_context(base_url=server.url).new_page()
    other.goto(load.url)
    settle(other)
    there = other.locator("[class*='st-key-job-']").filter(has_text="Building endless")
    expect(there.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE)

    there.get_by_role("button", name="Cancel").click()
    for tab_of_it in (work, there):
        expect(tab_of_it).to_contain_text("was stopped", timeout=PATIENCE)
    other.context.close()

    work.get_by_role("button", name="Resume").click()
    expect(work.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE)
    work.get_by_role("button", name="Cancel").click()
    expect(work).to_contain_text("was stopped", timeout=PATIENCE)
    work.get_by_role("button", name="Dismiss").click()
    expect(work).to_have_count(0)


def test_finished_build_opens_as_a_map(load: Page, model: dict[str, Path]) -> None:
    give(load, model)
    order(load, "little digits", passes=1)
    work = load.locator("[class*='st-key-job-']").filter(has_text="Building little digits")
    expect(work).to_contain_text("is done", timeout=2 * PATIENCE)
    tab(load, "Choose")
    expect(card(load, "little digits")).to_be_visible()
    work.get_by_role("button", name="Open the map").click()
    load.wait_for_url(re.compile(r"atlas=little\+digits"))
    load.wait_for_function("window.__map && window.__map.ready && window.__map.n > 1000")
