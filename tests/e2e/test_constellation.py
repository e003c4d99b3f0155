"""The constellation page in a browser: the slider and playing ask nothing of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from map_steps import until
from playwright.sync_api import BrowserContext, Page, expect
from visit import settle

READY = "window.__constellation && __constellation.ready && __constellation.rev > 0"


@pytest.fixture
def visit(context: BrowserContext, shelf: str) -> Iterator[Callable[..., Page]]:
    """Opens the page with a query string and waits until it is drawn; no script error allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened(query: str = "") -> Page:
        page.goto(f"/constellation?atlas={shelf}&{query}")
        until(page, READY)
        settle(page)
        return page

    yield opened
    page.close()
    assert errors == []


def fact(page: Page, name: str) -> Any:
    return page.evaluate(f"() => window.__constellation.{name}")


def listen(page: Page) -> list[str]:
    """Every request and every word to the server from now on."""
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.evaluate(
        """() => {
          const { send } = WebSocket.prototype;
          window.__sent = 0;
          WebSocket.prototype.send = function (...words) {
            window.__sent++;
            return send.apply(this, words);
          };
        }"""
    )
    return said


def test_slider_moves_copies_shares_and_pictures_without_the_server(visit) -> None:
    page = visit("sample=1500")
    said = listen(page)
    slider = page.locator(".cloud-slide input")
    slider.focus()
    page.keyboard.press("Home")
    until(page, "__constellation.sigma === 0")
    assert fact(page, "kept") == [1]
    expect(page.locator(".cloud-facts strong").first).to_have_text("100 %")
    shares = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    until(page, "__constellation.level === 6")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.5, 0.7, 0.9, 0.999):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=4)
        page.wait_for_timeout(40)
        shares.append(fact(page, "sigma"))
    page.mouse.up()
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert fact(page, "kept")[0] < 1
    counts = page.locator(".cloud-class .number").all_inner_texts()
    assert sum(int(text) for text in counts) == 200
    assert fact(page, "drawMs") < 33
    assert said == [] and page.evaluate("() => window.__sent") == 0


def test_playing_draws_at_thirty_frames_a_second_or_more(visit) -> None:
    page = visit()
    page.get_by_role("slider").first.focus()
    page.keyboard.press("Home")
    page.get_by_label("Levels a second").select_option("16")
    said = listen(page)
    page.get_by_role("button", name="Play").click()
    until(page, "__constellation.sigma === 1")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert fact(page, "frames / __constellation.seconds") >= 30
    assert said == []


def test_curve_leads_to_its_level_and_maps_are_fitted(visit) -> None:
    page = visit()
    chart = page.locator(".cloud-chart svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.97, box["y"] + box["height"] * 0.5)
    until(page, "__constellation.sigma === 1")
    before = page.locator(".cloud-stage canvas").first.screenshot()
    page.get_by_role("button", name="Fit the copies").click()
    page.wait_for_timeout(150)
    assert page.locator(".cloud-stage canvas").first.screenshot() != before


def test_other_corruption_of_a_drawn_digit(visit) -> None:
    page = visit()
    page.get_by_role("radio", name="Drawing").click()
    pad = page.locator(".pad-canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.8, steps=6)
    page.mouse.up()
    expect(page.get_by_alt_text("The chosen sample, your drawing")).to_be_visible(timeout=20_000)
    page.get_by_role("combobox", name="What is done to it").click()
    page.get_by_role("option", name="Rotation").click()
    expect(page.locator(".cloud-slide small")).to_contain_text("degrees", timeout=20_000)
    settle(page)
    expect(page.locator(".cloud")).to_have_count(1)
    assert len(fact(page, "kept")) == 1


def test_page_can_be_used_on_a_telephone(visit) -> None:
    page = visit()
    page.set_viewport_size({"width": 390, "height": 844})
    stage = page.locator(".cloud-stage").first
    stage.scroll_into_view_if_needed()
    until(page, READY)
    box = stage.bounding_box()
    assert box is not None and box["width"] > 280 and box["x"] + box["width"] <= 390
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390
