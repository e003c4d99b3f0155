"""The training evolution in a browser: playing and scrubbing ask nothing of the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from map_steps import until
from playwright.sync_api import BrowserContext, Page, expect
from training_run import STEPS, write_run
from visit import Server, settle

from introspect.atlas import Atlas
from introspect.classifier import Classifier
from introspect.evolution import Evolution, evolve

READY = "window.__evolution && __evolution.ready && __evolution.rev > 0"


@pytest.fixture(scope="module")
def found(
    server: Server, atlas: Atlas, mlp: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Evolution:
    """The training of the small network, on the shelf as `grown`."""
    made = evolve(atlas, write_run(mlp.module, tmp_path_factory.mktemp("run")))
    replace(atlas, evolution=made, name="grown").save(server.home / "grown.atlas")
    return made


@pytest.fixture
def visit(context: BrowserContext, found: Evolution) -> Iterator[Callable[..., Page]]:
    """Opens the page and waits until it is drawn; no script error is allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened() -> Page:
        page.goto("/evolution?atlas=grown")
        until(page, READY)
        settle(page)
        return page

    yield opened
    page.close()
    assert errors == []


def fact(page: Page, name: str) -> Any:
    return page.evaluate(f"() => window.__evolution.{name}")


def test_playing_and_scrubbing_move_everything_without_the_server(
    visit: Callable[..., Page], found: Evolution
) -> None:
    page = visit()
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.get_by_role("button", name="Play (space)").click()
    until(page, f"__evolution.at === {len(STEPS) - 1} && !__evolution.playing")
    # Frames a second are those of a busy machine: what a frame costs when nothing comes between.
    times = fact(page, "times")
    assert len(times) > 10 and min(times) < 1000 / 60
    assert fact(page, "accuracy") == pytest.approx(found.accuracy[-1])
    expect(page.locator(".evolution-moment")).to_have_text(
        f"step 1,000 of 1,000 · {found.accuracy[-1]:.1%} right".replace("%", " %")
    )
    page.get_by_role("slider", name="Moment of the training").fill("1.5")
    until(page, "__evolution.at === 1.5")
    assert fact(page, "step") == 60
    page.locator(".evolution-stage").focus()
    page.keyboard.press("ArrowLeft")
    until(page, "__evolution.at === 1")
    page.keyboard.press("End")
    until(page, "__evolution.at === 4")
    page.keyboard.press("Home")
    until(page, "__evolution.at === 0")
    page.keyboard.press("Space")
    until(page, "__evolution.playing")
    page.keyboard.press("Space")
    until(page, "!__evolution.playing")
    assert said == []


def test_sample_shows_what_the_network_says_at_the_moment_and_its_path(
    visit: Callable[..., Page], found: Evolution
) -> None:
    page = visit()
    page.evaluate("() => window.__evolution.go(4)")
    until(page, "__evolution.at === 4")
    z = found.z[-1]
    gaps = ((z[:, None] - z[None]) ** 2).sum(2) + 1e9 * (abs(z[:, None, 0]) > 1.5)
    gaps[range(len(z)), range(len(z))] = 1e9
    inner = (abs(z) < 1.2).all(1)
    lonely = max((i for i in range(len(z)) if inner[i]), key=lambda i: gaps[i].min())
    number = int(found.id[lonely])
    stage = page.locator(".evolution-stage")
    stage.scroll_into_view_if_needed()
    box = page.locator(".evolution-stage canvas.base").bounding_box()
    assert box is not None
    x, y = page.evaluate(f"() => window.__evolution.place({number})")
    page.mouse.move(box["x"] + x, box["y"] + y)
    until(page, f"__evolution.hovered === {number} && __evolution.pictured === {number}")
    card = page.locator(".evolution .card")
    expect(card).to_contain_text(f"#{number:,}")
    expect(card).to_contain_text(f"label{found.label[lonely]}")
    expect(card).to_contain_text(re.compile(f"says{found.predicted[-1, lonely]}.*% sure"))
    page.mouse.click(box["x"] + x, box["y"] + y)
    until(page, f"__evolution.pinned === {number}")
    expect(page.locator(".evolution-axis")).to_contain_text("the pinned sample")
    page.evaluate("() => window.__evolution.go(0)")
    expect(card).to_contain_text(re.compile(f"says{found.predicted[0, lonely]}.*% sure"))
    page.keyboard.press("Escape")
    until(page, "__evolution.pinned === null")


def test_class_is_isolated_paths_are_drawn_and_the_picture_is_saved(
    visit: Callable[..., Page], found: Evolution, tmp_path: Path
) -> None:
    page = visit()
    page.evaluate("() => window.__evolution.go(3)")
    canvas = page.locator(".evolution-stage canvas.over")
    before = canvas.screenshot()
    page.get_by_label("Paths", exact=True).check()
    until(page, "__evolution.rev > 1")
    page.wait_for_timeout(100)
    drawn = canvas.screenshot()
    assert drawn != before
    page.locator(".legend-item").nth(7).click()
    expect(page.locator(".evolution-axis")).to_contain_text("7 in colour")
    assert canvas.screenshot() != drawn
    page.get_by_label("Colour", exact=True).select_option("predicted")
    until(page, "__evolution.by === 'predicted'")
    counts = fact(page, "counts")
    assert counts[:10] == [int((found.predicted[3] == code).sum()) for code in range(10)]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a PNG picture").click()
    file = tmp_path / "evolution.png"
    download.value.save_as(file)
    assert file.read_bytes()[:4] == b"\x89PNG" and file.stat().st_size > 10_000


def test_page_can_be_used_on_a_telephone(visit: Callable[..., Page]) -> None:
    page = visit()
    page.set_viewport_size({"width": 390, "height": 844})
    stage = page.locator(".evolution-stage")
    stage.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    box = stage.bounding_box()
    assert box is not None and box["width"] > 280 and box["x"] + box["width"] <= 390
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("button", name="Play (space)")).to_be_visible()
