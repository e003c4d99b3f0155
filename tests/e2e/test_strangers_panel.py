"""The panel of strangers in real Chromium: a set is placed, told and drawn, also on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from map_steps import PATIENCE, until
from playwright.sync_api import BrowserContext, Page, expect
from visit import settle


@pytest.fixture
def page(context: BrowserContext, shelf: str) -> Iterator[Page]:
    """The reliability page, drawn; no script error is allowed."""
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"/reliability?atlas={shelf}")
    expect(opened.get_by_role("button", name="Place them on the map")).to_be_visible(
        timeout=PATIENCE
    )
    settle(opened)
    yield opened
    opened.close()
    assert errors == []


def choose(page: Page, who: str) -> None:
    """Takes who comes out of the list, once the figures above have ceased to move it."""
    page.wait_for_timeout(3000)
    box = page.get_by_role("combobox", name="Who comes")
    box.scroll_into_view_if_needed()
    box.click()
    box.press_sequentially(who)
    page.wait_for_timeout(500)
    box.press("Enter")
    settle(page)


def test_chosen_set_is_placed_told_and_drawn(page: Page) -> None:
    choose(page, "test samples scrambled")
    page.get_by_role("button", name="Place them on the map").click()
    expect(page.get_by_text("300 inputs (test samples scrambled) are flagged")).to_be_visible(
        timeout=PATIENCE
    )
    plots = "[...document.querySelectorAll('.js-plotly-plot')]"
    found = f"{plots}.filter(p => p.data.some(t => (t.name || '').startsWith('flagged (')))"
    until(page, f"{found}.length === 1")
    page.set_viewport_size({"width": 390, "height": 844})
    main = "document.querySelector('[data-testid=stMain]')"
    until(page, f"{main}.scrollWidth <= {main}.clientWidth + 1")


def test_file_of_ones_own_is_placed(page: Page, tmp_path) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, x=np.random.default_rng(0).integers(0, 256, (40, 12, 12)).astype(np.uint8))
    choose(page, "a file of mine")
    expect(page.get_by_role("button", name="Place them on the map")).to_be_disabled()
    page.locator("input[type=file]").set_input_files(str(file))
    button = page.get_by_role("button", name="Place them on the map")
    expect(button).to_be_enabled(timeout=PATIENCE)
    button.click()
    expect(page.get_by_text("40 inputs (mine.npz) are flagged")).to_be_visible(timeout=PATIENCE)
