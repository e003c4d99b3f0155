"""The attack flow in real Chromium: run in the background, left, found again, looked at."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from map_steps import PATIENCE, until
from playwright.sync_api import Browser, BrowserContext, Page, expect
from visit import Server, settle

READY = "window.__flow && __flow.ready && __flow.rev > 0"


@pytest.fixture(scope="module")
def page(context: BrowserContext, shelf: str) -> Iterator[Page]:
    """The page with a small flow, run through its button; no script error is allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"/attack_flow?atlas={shelf}")
    settle(page)
    expect(page.get_by_text("No flow is computed yet")).to_be_visible()
    samples = page.get_by_role("spinbutton", name="Samples")
    samples.fill("60")
    samples.press("Tab")
    settle(page)
    page.get_by_role("button", name="Run in the background").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible(timeout=PATIENCE)
    page.reload()  # the work goes on without its page
    until(page, READY)
    settle(page)
    yield page
    page.close()
    assert errors == []


def fact(page: Page, name: str) -> Any:
    return page.evaluate(f"() => window.__flow.{name}")


def test_press_on_a_number_shows_those_walks_without_the_server(page: Page) -> None:
    assert (fact(page, "walks"), fact(page, "source")) == (540, None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    row = page.locator(".flow-table tbody tr").nth(4)
    cells = row.locator("td")
    cells.nth(9).click()
    until(page, "__flow.source === 4 && __flow.column === 9")
    assert fact(page, "walks") == 6
    story = page.locator(".flow-story")
    expect(story).to_contain_text("4 to 9:")
    shown = int(cells.nth(9).inner_text())
    arrived = int(story.inner_text().split(":")[1].split(" of ")[0])
    assert shown == round(100 * arrived / 6)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    until(page, "__flow.column === 8")
    page.get_by_role("button", name="All walks towards 3").click()
    until(page, "__flow.source === null && __flow.column === 3 && __flow.walks === 54")
    page.get_by_role("radio", name="Median steps").click()
    assert asked == []
    page.get_by_role("button", name="Show all walks").click()
    until(page, "__flow.walks === 540")


def test_map_is_moved_asked_and_taken_away(page: Page, tmp_path: Path) -> None:
    stage = page.locator(".flow-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    expect(page.locator(".flow-told")).to_contain_text("here, most often")
    page.mouse.wheel(0, -300)  # not pressed yet: the page scrolls
    assert fact(page, "zoom") == pytest.approx(1, abs=0.01)
    page.get_by_label("Zoom in").click()
    until(page, "__flow.zoom > 1.3")
    page.get_by_label("Show the whole map").click()
    until(page, "Math.abs(__flow.zoom - 1) < 0.01")
    gateway = page.get_by_role("button", name="Gateway 1")
    gateway.click()
    until(page, "__flow.zoom > 2")
    page.get_by_label("Only until they arrive").check()
    with page.expect_download(timeout=PATIENCE) as table:
        page.get_by_role("button", name="Rates as a table (CSV)").click()
    table.value.save_as(tmp_path / "rates.csv")
    lines = list(csv.DictReader((tmp_path / "rates.csv").read_text("utf-8").splitlines()))
    assert len(lines) == 90 and sum(int(line["walks"]) for line in lines) == 540
    with page.expect_download(timeout=PATIENCE):
        page.get_by_role("button", name="PNG", exact=True).click()


def test_flow_is_listed_on_another_visit_and_fits_on_a_phone(
    page: Page, browser: Browser, server: Server
) -> None:
    phone = browser.new_context(base_url=server.url, viewport={"width": 390, "height": 844})
    other = phone.new_page()
    other.goto("/attack_flow?atlas=digits")
    until(other, READY)
    settle(other)
    assert fact(other, "walks") == 540
    assert other.evaluate("() => document.documentElement.scrollWidth") <= 390
    for part in (".flow-stage", ".flow-scroll", ".flow-gateways"):
        box = other.locator(part).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, part
    phone.close()
