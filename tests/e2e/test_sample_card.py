"""The sample card page in real Chromium: one sample, two side by side, neighbours, files, keys."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from map_steps import until
from networks import table_atlas
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect
from visit import Server, settle

from introspect.atlas import Atlas

READY = "window.__pair && __pair.ready && __pair.near && __pair.near[0]"


@pytest.fixture
def visit(context: BrowserContext, shelf: str) -> Iterator[Callable[..., Page]]:
    """Opens the page with a query string and waits until it is drawn; no script error allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened(query: str = "") -> Page:
        own = "atlas=" in query
        page.goto(f"/sample_card?{query}" if own else f"/sample_card?atlas={shelf}&{query}")
        until(page, READY)
        settle(page)
        return page

    yield opened
    page.close()
    assert errors == []


def test_neighbour_becomes_the_second_sample_then_both_are_swapped_and_one_cleared(
    visit: Callable, atlas: Atlas
) -> None:
    a = int(atlas.points.id[17])
    page = visit(f"a={a}")
    expect(page.locator(".pair-head:visible")).to_have_count(1)
    expect(page.locator(".pair-picture:visible")).to_have_count(1)
    expect(page.locator(".pair-row")).to_have_count(10)
    expect(page.locator(".bb-panel")).to_have_count(1)
    tile = page.locator(".pair-near .tile").first
    expect(tile.locator(".tile-name")).to_contain_text(
        atlas.classes[atlas.points.label[int(tile.get_attribute("data-row") or -1)]]
    )
    b = int(atlas.points.id[int(tile.get_attribute("data-row") or -1)])
    tile.focus()
    page.keyboard.press("Enter")
    until(page, f"__pair.titles.length === 2 && location.search.includes('b={b}')")
    expect(page.locator(".bb-panel")).to_have_count(3)
    expect(page.locator(".pair-row.head")).to_contain_text("A − B")
    expect(page.locator(".pair-apart")).to_contain_text("in activation space")
    first = page.evaluate("() => __pair.crosses()[0]")
    assert first == pytest.approx(atlas.z[17].tolist(), abs=1e-6)
    page.get_by_role("button", name="Swap").click()
    until(page, f"location.search.includes('a={b}') && location.search.includes('b={a}')")
    until(page, f"__pair.titles[1].startsWith('#{a:,}')")
    page.get_by_role("button", name="Clear B").click()
    until(page, "__pair.titles.length === 1 && !location.search.includes('b=')")


def test_press_on_a_dot_of_the_map_puts_it_beside_the_first(visit: Callable, atlas: Atlas) -> None:
    page = visit(f"a={atlas.points.id[17]}")
    z = atlas.z
    middle = np.flatnonzero((np.abs(z - np.median(z, 0)) < z.std(0)).all(1))
    gaps = [np.partition(((z - z[row]) ** 2).sum(1), 1)[1] for row in middle]
    row = int(middle[int(np.argmax(gaps))])
    page.locator(".pair-stage").scroll_into_view_if_needed()
    page.mouse.click(*page.evaluate(f"() => __pair.spot({row})"))
    until(page, f"location.search.includes('b={atlas.points.id[row]}')")


def test_colours_of_the_units_mean_the_same_for_every_sample(visit: Callable, atlas: Atlas) -> None:
    page = visit(f"a={atlas.points.id[17]}")
    ends = page.locator(".pair-units .strip-ends").inner_text()
    until(page, READY)
    for row in (40, 41):
        page.get_by_role("textbox", name="Sample").first.fill(str(atlas.points.id[row]))
        page.keyboard.press("Enter")
        until(page, f"__pair.titles[0].startsWith('#{atlas.points.id[row]:,}')")
        assert page.locator(".pair-units .strip-ends").inner_text() == ends
    expect(page.locator(".pair-units")).to_contain_text("the same range for every sample")


def test_card_is_kept_as_a_picture(visit: Callable, atlas: Atlas) -> None:
    page = visit(f"a={atlas.points.id[17]}&b={atlas.points.id[40]}")
    until(page, "__pair.near[1]")
    with page.expect_download() as held:
        page.get_by_role("button", name="Save the card as PNG").click()
    with Image.open(io.BytesIO(held.value.path().read_bytes())) as picture:
        assert picture.width > 1500 and picture.height > 1500
        colours = picture.convert("RGB").getcolors(1 << 22)
    assert colours is not None and len(colours) > 300


def test_drawn_digit_is_a_sample_and_leaves_the_address(visit: Callable, atlas: Atlas) -> None:
    page = visit(f"a={atlas.points.id[17]}")
    page.get_by_role("radio", name="Drawing").click()
    pad = page.locator(".pad-canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.8, steps=6)
    page.mouse.up()
    until(page, "window.__pair && __pair.titles[0] === 'your drawing'")
    until(page, "!location.search.includes('a=')")
    expect(page.locator(".pair-verdict, .pair-head .sample-warning").first).to_contain_text("map")


def test_samples_of_a_table_show_their_values_and_name_their_neighbours(
    visit: Callable, server: Server
) -> None:
    rows = table_atlas()
    rows.save(server.home / "rows.atlas")
    page = visit("atlas=rows&a=5&b=9")
    assert rows.samples is not None
    for sample, shown in zip((5, 9), page.locator(".pair-values:visible").all(), strict=True):
        values = [float(text) for text in shown.locator("tbody td").all_inner_texts()]
        assert values == pytest.approx(rows.samples.x[sample].tolist(), rel=1e-3)
    expect(page.locator(".pair-row:not(.head)")).to_have_count(2)
    expect(page.locator(".pair-near .tile-text").first).to_contain_text("#")


def test_page_can_be_used_on_a_telephone(visit: Callable, atlas: Atlas) -> None:
    page = visit(f"a={atlas.points.id[17]}&b={atlas.points.id[40]}")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".pair-stage").scroll_into_view_if_needed()
    for part in (".pair-stage", ".pair-bars", ".bb-panel"):
        box = page.locator(part).first.bounding_box()
        assert box is not None and box["width"] > 250 and box["x"] + box["width"] <= 390
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
