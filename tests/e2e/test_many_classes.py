"""A hundred classes on the attack pages, in real Chromium: fans and tables stay readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from map_steps import PATIENCE, until
from networks import seeded
from playwright.sync_api import BrowserContext, Page, expect
from visit import Server, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

K = 100


@pytest.fixture(scope="module")
def hundred(server: Server) -> str:
    """An atlas of a table with a hundred classes with long names, on the shelf."""
    from torch import nn

    from introspect.building import build_atlas
    from introspect.classifier import Classifier
    from introspect.samples import Samples

    rng = np.random.default_rng(3)
    names = tuple(f"{code}: <b>kind</b> of a thing" for code in range(K))
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 30), nn.ELU(), nn.Linear(30, K)))
    samples = Samples(
        x=rng.random((1500, 4), np.float32),
        y=rng.integers(0, K, 1500),
        split=(np.arange(1500) % 3).astype(np.uint8),
        classes=names,
        ids=np.arange(1500),
        name="things",
    )
    classifier = Classifier.of(module, input_shape=(4,), link="softmax", classes=names)
    build_atlas(classifier, samples, name="things", epochs=1, umap=False).save(
        server.home / "things.atlas"
    )
    return "things"


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no script error is allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def test_fan_of_a_hundred_targets_stays_readable(page: Page, hundred: str) -> None:
    page.goto(f"/trajectory?atlas={hundred}&sample=5")
    settle(page)
    page.get_by_role("button", name="Run the attack").click()
    until(page, "window.__player && __player.ready && __player.frames > 0")
    expect(page.locator(".player-chip")).to_have_count(K)
    chips = page.locator(".player-chips").bounding_box()
    assert chips is not None and chips["height"] <= 140, "the list scrolls"
    expect(page.locator(".player-bar")).to_have_count(10)
    expect(page.locator(".player-note")).to_contain_text("90 further classes")
    page.locator(".player-chip").nth(77).click()
    until(page, "__player.target === 77")
    expect(page.locator(".player-told")).to_contain_text("77: <b>kind</b> of a thing")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1360


def test_table_of_a_hundred_classes_scrolls_and_keeps_its_names(page: Page, hundred: str) -> None:
    page.goto(f"/attack_flow?atlas={hundred}")
    settle(page)
    samples = page.get_by_role("spinbutton", name="Samples")
    samples.fill("40")
    samples.press("Tab")
    settle(page)
    which = page.get_by_role("combobox", name="Which")
    which.click()
    page.get_by_role("option", name="any answer").click()
    settle(page)
    page.get_by_text("FGSM: settings and what it does").click()
    steps = page.get_by_role("spinbutton", name="Steps")
    steps.fill("5")
    steps.press("Tab")
    settle(page)
    page.get_by_role("button", name="Run in the background").click()
    until(page, "window.__flow && __flow.ready && __flow.rev > 0", 2 * PATIENCE)
    assert page.evaluate("() => __flow.walks") == 40 * (K - 1)
    expect(page.locator(".flow-table thead th")).to_have_count(K + 1)
    scroll = page.locator(".flow-scroll")
    outside = scroll.bounding_box()
    assert outside is not None and outside["height"] <= 700
    cell = page.locator(".flow-table tbody tr").first.locator("td").nth(90)
    cell.scroll_into_view_if_needed()
    inside = cell.bounding_box()
    heading = page.locator(".flow-table tbody tr").first.locator("th").bounding_box()
    assert inside is not None and heading is not None
    assert inside["width"] >= 30 and inside["height"] >= 24
    assert heading["x"] == pytest.approx(outside["x"], abs=3), "names stay while one scrolls"
    cell.click()
    until(page, "__flow.column === 90")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1360
