"""The attack player in real Chromium: run, scrubbed, played, taken away; no server is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from map_steps import PATIENCE, until
from playwright.sync_api import Browser, BrowserContext, Page, expect
from visit import Server, settle

if TYPE_CHECKING:
    from introspect.atlas import Atlas

SAMPLE = 5
SCRUB = """async (seconds) => {
  const roots = [...document.querySelectorAll('*')].map((n) => n.shadowRoot).filter(Boolean);
  const range = [document, ...roots].map((r) => r.querySelector('.player-range')).find(Boolean);
  const frame = () => new Promise(requestAnimationFrame);
  const last = Number(range.max);
  const [frames, started] = [window.__player.frames, await frame()];
  let [now, step] = [started, 0];
  const draws = [];
  while (now - started < 1000 * seconds) {
    step = (step + 1) % (last + 1);
    range.value = step;
    range.dispatchEvent(new Event('input'));
    now = await frame();
    draws.push(window.__player.drawMs);
  }
  draws.sort((a, b) => a - b);
  const made = window.__player.frames - frames;
  return { fps: (1000 * made) / (now - started), drawMs: draws[draws.length >> 1] };
}"""
"""Moves the slider one step on every frame, as a hand that drags does; tells what was drawn."""


@pytest.fixture
def open_player(context: BrowserContext, shelf: str) -> Iterator[Callable[..., Page]]:
    """Opens the page on one digit and runs the attack; no script error is allowed."""
    errors: list[str] = []
    pages: list[Page] = []

    def opened(context: BrowserContext = context) -> Page:
        page = context.new_page()
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"/trajectory?atlas={shelf}&sample={SAMPLE}")
        settle(page)
        page.get_by_role("button", name="Run the attack").click()
        until(page, "window.__player && __player.ready && __player.frames > 0")
        settle(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert errors == []


def fact(page: Page, name: str) -> Any:
    return page.evaluate(f"() => window.__player.{name}")


def pixels(page: Page, selector: str) -> str:
    """What a canvas shows, as a hash of its RGBA bytes (FNV-1a) and its size."""
    return page.evaluate(
        """(selector) => {
          const all = [...document.querySelectorAll('*')];
          const roots = all.map((node) => node.shadowRoot).filter(Boolean);
          const canvas = [document, ...roots].map((r) => r.querySelector(selector)).find(Boolean);
          const { width, height } = canvas;
          let hash = 2166136261;
          for (const byte of canvas.getContext('2d').getImageData(0, 0, width, height).data) {
            hash = Math.imul(hash ^ byte, 16777619) >>> 0;
          }
          return `${width} ${height} ${hash}`;
        }""",
        selector,
    )


def test_one_slider_moves_everything_and_asks_the_server_nothing(
    open_player: Callable[..., Page],
) -> None:
    page = open_player()
    expect(page.locator(".player-chip")).to_have_count(10)
    shown = (".player-picture", ".player-over", ".player-spark", ".player-units canvas")
    before = [pixels(page, selector) for selector in shown]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """() => {
          window.__sent = 0;
          const send = WebSocket.prototype.send;
          WebSocket.prototype.send = function (...given) {
            window.__sent++;
            return send.apply(this, given);
          };
        }"""
    )
    slider = page.locator(".player-range")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 8, middle, steps=30)
    until(page, "__player.step === 100")
    page.mouse.up()
    after = [pixels(page, selector) for selector in shown]
    assert all(a != b for a, b in zip(before, after, strict=True))
    expect(page.locator(".player-count")).to_have_text("step 100 of 100")
    expect(page.locator(".player-facts")).to_contain_text("grey levels")
    expect(page.get_by_text("What was added, magnified")).to_be_visible()
    page.locator(".player").focus()
    page.keyboard.press("Home")
    until(page, "__player.step === 0")
    assert [pixels(page, selector) for selector in shown] == before
    page.keyboard.press(" ")
    until(page, "__player.playing && __player.step > 3")
    page.keyboard.press(" ")
    until(page, "!__player.playing")
    assert page.evaluate("() => window.__sent") == 0 and asked == []


def test_scrubbing_is_smooth(open_player: Callable[..., Page], record_property: Callable) -> None:
    page = open_player()
    found = page.evaluate(SCRUB, 2)
    for name, value in found.items():
        record_property(name, round(value, 2))
    assert found["fps"] > 12, found  # about 60 on a quiet machine; a loaded one gets room


def test_keys_step_jump_play_and_choose_the_target(open_player: Callable[..., Page]) -> None:
    page = open_player()
    page.locator(".player").focus()
    page.keyboard.press("Home")
    for key, step in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 100)):
        page.keyboard.press(key)
        until(page, f"__player.step === {step}")
    target = fact(page, "target")
    page.keyboard.press("ArrowDown")
    until(page, f"__player.target === {(target + 1) % 10}")
    page.keyboard.press(" ")  # at the end it starts over
    until(page, "__player.playing && __player.step < 90")
    page.get_by_label("Pause (space)").click()
    until(page, "!__player.playing")
    page.get_by_label("To the start (Home)").click()
    page.get_by_label("One step on (right arrow)").click()
    until(page, "__player.step === 1")


def test_target_is_chosen_in_the_list_or_on_the_map(open_player: Callable[..., Page]) -> None:
    page = open_player()
    page.locator(".player-chip").nth(7).click()
    until(page, "__player.target === 7")
    expect(page.locator(".player-chip").nth(7)).to_have_attribute("aria-checked", "true")
    expect(page.locator(".player-told")).to_contain_text("Towards 7")
    page.get_by_role("button", name="Zoom to the paths").click()
    page.get_by_role("button", name="Show the whole map").click()
    box = page.locator(".player-map").bounding_box()
    assert box is not None
    seen = set()
    for across in range(2, 19):
        for down in (6, 10, 14):
            page.mouse.click(
                box["x"] + across * box["width"] / 20, box["y"] + down * box["height"] / 20
            )
            seen.add(fact(page, "target"))
    assert len(seen) > 1


def test_player_stands_where_it_stood_after_a_look_at_another_page(
    open_player: Callable[..., Page],
) -> None:
    page = open_player()
    page.locator(".player-chip").nth(4).click()
    page.locator(".player").focus()
    page.keyboard.press("End")
    until(page, "__player.step === 100 && __player.target === 4")
    page.get_by_role("link", name="Load").click()
    expect(page.get_by_role("heading", name="Load")).to_be_visible()
    page.evaluate("() => { window.__player = null; }")
    page.get_by_role("link", name="Trajectory").click()
    until(page, "window.__player && __player.ready")
    assert (fact(page, "step"), fact(page, "target")) == (100, 4)


def test_two_attacks_move_together(open_player: Callable[..., Page]) -> None:
    page = open_player()
    page.get_by_role("button", name="Keep to compare").click()
    settle(page)
    page.get_by_text("FGSM: settings and what it does").click()
    steps = page.get_by_role("spinbutton", name="Steps")
    steps.fill("30")
    steps.press("Tab")
    settle(page)
    page.get_by_role("button", name="Run the attack").click()
    expect(page.locator(".player")).to_have_count(2, timeout=PATIENCE)
    counts = page.locator(".player-count")
    page.locator(".player").nth(0).locator(".player-chip").nth(2).click()
    page.locator(".player").nth(0).focus()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    expect(counts.nth(0)).to_have_text("step 10 of 30")
    expect(counts.nth(1)).to_have_text("step 10 of 100")
    page.locator(".player").nth(1).focus()
    page.keyboard.press("End")
    expect(counts.nth(1)).to_have_text("step 100 of 100")
    expect(counts.nth(0)).to_have_text("step 30 of 30")
    for place in (0, 1):
        chip = page.locator(".player").nth(place).locator(".player-chip").nth(2)
        expect(chip).to_have_attribute("aria-checked", "true")


def test_two_models_share_one_scrubber(
    open_player: Callable[..., Page], browser: Browser, server: Server, atlas: Atlas, tmp_path: Path
) -> None:
    twin = server.home / "twin.atlas"
    if not twin.exists():
        replace(atlas, fingerprint="f" * 64, name="twin").save(twin)
    context = browser.new_context(base_url=server.url, viewport={"width": 1400, "height": 900})
    page = open_player(context)
    beside = page.get_by_role("combobox", name="Beside it")
    expect(beside).to_be_enabled(timeout=PATIENCE)
    beside.click()
    page.get_by_role("option", name="twin").click()
    settle(page)
    page.get_by_role("button", name="Run the attack").click()
    expect(page.locator(".player-pair .player-map")).to_have_count(2, timeout=PATIENCE)
    settle(page)
    expect(page.locator(".player-range:visible")).to_have_count(1)
    page.locator(".player-shared .player-range").focus()
    page.keyboard.press("End")
    until(page, "__player.step === 100")
    for place in (0, 1):
        expect(page.locator(".player-count").nth(place)).to_have_text("step 100 of 100")
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="Player as one HTML file").click()
    file = tmp_path / "two.html"
    download.value.save_as(file)
    alone = context.new_page()
    alone.goto(file.as_uri())
    until(alone, "window.__player && __player.ready && __player.frames > 0")
    expect(alone.locator(".player-model")).to_have_text(["digits", "twin"])
    alone.close()
    page.close()
    context.close()


def test_page_of_its_own_plays_without_any_server(
    open_player: Callable[..., Page], browser: Browser, tmp_path: Path
) -> None:
    page = open_player()
    page.locator(".player").focus()
    page.keyboard.press("End")
    until(page, "__player.step === 100")
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="Player as one HTML file").click()
    file = tmp_path / "attack.html"
    download.value.save_as(file)
    away = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    alone = away.new_page()
    asked: list[str] = []
    errors: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.on("pageerror", lambda error: errors.append(str(error)))
    alone.on("console", lambda told: told.type == "error" and errors.append(told.text))
    alone.goto(file.as_uri())
    until(alone, "window.__player && __player.ready && __player.frames > 0")
    alone.locator(".player").focus()
    alone.keyboard.press("End")
    until(alone, "__player.step === 100")
    assert pixels(alone, ".player-picture") == pixels(page, ".player-picture")
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    away.close()


def test_less_motion_is_respected(
    open_player: Callable[..., Page], browser: Browser, server: Server
) -> None:
    calm = browser.new_context(base_url=server.url, reduced_motion="reduce")
    page = open_player(calm)
    page.locator(".player").focus()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.wait_for_timeout(1000)
    assert 1 <= fact(page, "step") <= 6
    page.close()
    calm.close()


def test_player_fits_on_a_phone(
    open_player: Callable[..., Page], browser: Browser, server: Server
) -> None:
    phone = browser.new_context(base_url=server.url, viewport={"width": 390, "height": 844})
    page = open_player(phone)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 390
    for part in (
        ".player-map",
        ".player-range",
        ".player-bars",
        ".player-pictures",
        ".player-units",
    ):
        box = page.locator(part).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, part
    page.close()
    phone.close()
