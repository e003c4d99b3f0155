"""The brainbow in real Chromium: a class's path, a unit's card, a sample, silence, files, keys."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from map_steps import until
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect
from visit import settle

from introspect.atlas import Atlas
from introspect.brainbow import sort_units


@pytest.fixture
def brainbow(context: BrowserContext, shelf: str) -> Iterator[Page]:
    """The page on the small atlas of digits, drawn; no script error is allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"/brainbow?atlas={shelf}")
    until(page, "window.__brainbow && __brainbow.ready && __brainbow.rev > 0")
    settle(page)
    yield page
    page.close()
    assert errors == []


def told(page: Page) -> list[float]:
    """The expected activations that the card shows, class by class."""
    texts = page.locator(".bb-card .bb-value").all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


def point_at(page: Page, unit: int, sorted: bool = True) -> None:
    page.locator(".bb-stage").first.scroll_into_view_if_needed()
    x, y = page.evaluate(f"() => __brainbow.spot({unit}, {str(sorted).lower()})")
    page.mouse.move(x, y)
    until(page, f"__brainbow.unit === {unit}")


def test_one_press_follows_a_class_and_another_shows_all(brainbow: Page, atlas: Atlas) -> None:
    chip = brainbow.locator(".bb-chip").nth(4)
    chip.click()
    until(brainbow, "__brainbow.only === 4")
    count = len(sort_units(atlas).units_of(4))
    expect(brainbow.locator(".bb-countbox")).to_contain_text(f"{count} of 96 units prefer 4")
    expect(brainbow.locator(".bb-path").nth(4)).to_have_attribute("aria-pressed", "true")
    brainbow.locator(".bb-path").nth(4).click()
    until(brainbow, "__brainbow.only === -1")


def test_pointing_at_a_unit_tells_what_python_knows_of_it(brainbow: Page, atlas: Atlas) -> None:
    found = sort_units(atlas)
    for sorted, unit in ((True, 40), (False, 70)):
        point_at(brainbow, unit, sorted)
        card = brainbow.locator(".bb-card")
        expect(card).to_contain_text(f"Layer {unit // 32 + 1}, unit {unit % 32}")
        expect(card).to_contain_text(f"answers {found.preferred[unit]} most")
        expect(card.locator(".bb-row")).to_have_count(10)
        np.testing.assert_allclose(told(brainbow), found.expected[:, unit], atol=0.0051)


def test_decoder_mean_and_difference_are_switched(brainbow: Page, atlas: Atlas) -> None:
    both = [sort_units(atlas, way).expected[:, 40] for way in ("decoder", "mean")]
    for name, wanted in (("Sample mean", both[1]), ("Difference", both[0] - both[1])):
        brainbow.get_by_role("radio", name=name).click()
        point_at(brainbow, 40)
        np.testing.assert_allclose(told(brainbow), wanted, atol=0.0051)


def test_keys_walk_through_the_sorted_units_and_pin_one(brainbow: Page, atlas: Atlas) -> None:
    order = sort_units(atlas).order
    brainbow.locator(".bb-stage").nth(1).focus()
    for key, unit in (("ArrowDown", order[0]), ("ArrowDown", order[1]), ("ArrowRight", order[33])):
        brainbow.keyboard.press(key)
        until(brainbow, f"__brainbow.unit === {unit}")
    brainbow.keyboard.press("Enter")
    brainbow.mouse.move(5, 5)
    until(brainbow, f"__brainbow.unit === {order[33]}")
    brainbow.keyboard.press("Escape")
    until(brainbow, "__brainbow.unit === -1")


def test_strongest_samples_are_found_on_demand_and_shown(brainbow: Page) -> None:
    point_at(brainbow, 40)
    button = brainbow.get_by_role("button", name="Find the strongest samples")
    expect(brainbow.locator(".bb-card")).to_contain_text("Find the strongest samples")
    button.click()
    until(brainbow, "__brainbow.strongest === 9")
    expect(button).to_have_count(0)
    point_at(brainbow, 40)
    expect(brainbow.locator(".bb-tile canvas")).to_have_count(9)


def test_sample_is_drawn_and_compared(brainbow: Page) -> None:
    until(brainbow, "window.__ordered && __ordered.rev > 0")
    samples = brainbow.locator(".bb-samples")
    expect(samples.locator(".bb-panel")).to_have_count(1)
    brainbow.get_by_text("Compare with a second sample").click()
    expect(samples.locator(".bb-panel")).to_have_count(3)
    expect(samples).to_contain_text("A minus B")


def test_silenced_units_take_their_class_with_them_and_come_back(brainbow: Page) -> None:
    brainbow.get_by_role("button", name="Silence").click()
    until(brainbow, "window.__trial && __trial.share === 1")
    expect(brainbow.locator(".bb-loss .bb-track")).to_have_count(10)
    expect(brainbow.get_by_text("units are silent")).to_be_visible()
    slider = brainbow.get_by_label("From the whole to the silenced network")
    # The picture walks to the silenced network by itself first; a key pressed meanwhile is undone.
    brainbow.wait_for_timeout(2500)
    slider.press("Home")
    until(brainbow, "__trial.share === 0")
    brainbow.get_by_role("button", name="Bring all back").click()
    expect(brainbow.locator(".bb-loss")).to_have_count(0)


def test_figure_and_table_can_be_kept(brainbow: Page, tmp_path: Path) -> None:
    with brainbow.expect_download() as held:
        brainbow.get_by_label("Save the figure as SVG").first.click()
    svg = held.value.path().read_text("utf-8")
    tags = [node.tag.rpartition("}")[2] for node in ElementTree.fromstring(svg).iter()]
    assert tags.count("image") == 2 and tags.count("polygon") > 5
    with brainbow.expect_download() as held:
        brainbow.get_by_label("Save the figure as PNG").first.click()
    with Image.open(io.BytesIO(held.value.path().read_bytes())) as picture:
        colours = picture.convert("RGB").getcolors(1 << 22)
    assert colours is not None and len(colours) > 60
    with brainbow.expect_download() as held:
        brainbow.get_by_role("button", name="Table of all units").click()
    assert len(held.value.path().read_text("utf-8").splitlines()) == 97
