"""The activation map in real Chromium: seen, pointed at, drawn round, filtered, linked."""

from __future__ import annotations

import csv
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from visit import Server, settle

from introspect.atlas import Atlas

PATIENCE = 60_000
SIZE = {"width": 1360, "height": 900}


@pytest.fixture(scope="module")
def shelf(server: Server, atlas: Atlas) -> str:
    """The small atlas of digits, on the shelf of the running app; answers its name."""
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, server.home / "digits.atlas", dirs_exist_ok=True)
    return "digits"


@pytest.fixture(scope="module")
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """One visitor for the whole file, whose browser keeps what it has fetched."""
    made = browser.new_context(base_url=server.url, viewport=SIZE)
    asked: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    yield made
    made.close()
    own = (server.url, "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


@pytest.fixture
def visit(context: BrowserContext, shelf: str) -> Iterator[Callable[..., Page]]:
    """Opens the map with a query string and waits until it is drawn; no script error is allowed."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def opened(query: str = "") -> Page:
        page.goto(f"/?atlas={shelf}&{query}")
        until(page, "window.__map && __map.ready && __map.rev > 0")
        settle(page)
        return page

    yield opened
    page.close()
    assert errors == []


def until(page: Page, expression: str, patience: float = PATIENCE) -> Any:
    """Waits until an expression is true; the page's content policy forbids Playwright's way."""
    deadline = time.monotonic() + patience / 1000
    while True:
        value = page.evaluate(f"() => ({expression})")
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not in time: {expression}: {page.evaluate('() => window.__map')}"
            )
        page.wait_for_timeout(25)


def fact(page: Page, name: str) -> Any:
    return page.evaluate(f"() => window.__map.{name}")


def stage(page: Page) -> tuple[float, float]:
    box = page.locator("canvas.base").bounding_box()
    assert box is not None
    return box["x"], box["y"]


def place(page: Page, number: int) -> tuple[float, float]:
    """Where on the screen the sample with this id lies."""
    left, top = stage(page)
    x, y = page.evaluate(f"() => window.__map.place({number})")
    return left + x, top + y


def lonely(atlas: Atlas, rows: np.ndarray | None = None) -> int:
    """The id of a sample with no other one near it, so that pointing at it is not ambiguous."""
    z = atlas.z
    rows = np.arange(len(z)) if rows is None else rows
    middle = rows[(np.abs(z[rows] - np.median(z, 0)) < 1.5 * z.std(0)).all(1)]
    gaps = [np.partition(((z - z[row]) ** 2).sum(1), 1)[1] for row in middle]
    return int(atlas.points.id[middle[int(np.argmax(gaps))]])


def lasso(page: Page, corners: list[tuple[float, float]], shift: bool = True) -> None:
    """Draws through corners given in shares of the stage."""
    box = page.locator(".stage").bounding_box()
    assert box is not None
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=4)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


AROUND = [(0.12, 0.05), (0.7, 0.05), (0.7, 0.75), (0.12, 0.75)]


# ---------------------------------------------------------------- seeing
def test_map_shows_every_sample_in_its_class_colour(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    assert fact(page, "n") == len(atlas.points)
    expect(page.get_by_role("heading", name="Activation map")).to_be_visible()
    expect(page.get_by_text("How to read this map.")).to_be_visible()
    expect(page.locator(".legend-item")).to_have_count(10)
    expect(page.get_by_text("estimated error (log10)", exact=True).first).to_be_visible()
    wrong = (~atlas.points.correct).mean()
    expect(page.locator(".status-text")).to_have_text(
        f"{len(atlas.points):,} pictures · {wrong:.1%} wrong".replace("%", " %")
    )
    label = page.locator("canvas.base").get_attribute("aria-label")
    assert label and "Activation map of 1,797 pictures in 10 classes" in label
    seen = page.evaluate(
        """() => {
          const canvas = document.querySelector('[data-testid=stMain]').querySelectorAll('*');
          const all = [...canvas].map(n => n.shadowRoot).filter(Boolean);
          const base = all.map(r => r.querySelector('canvas.base')).find(Boolean);
          const {data} = base.getContext('2d').getImageData(0, 0, base.width, base.height);
          const found = new Set();
          for (let i = 0; i < data.length; i += 4) {
            found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
          }
          return [...found];
        }"""
    )
    for colour in (0x3F90DA, 0xFFA90E, 0xBD1F01, 0x92DADD):
        assert colour in seen


def test_redraw_is_quick_and_equal_views_are_equal_to_the_pixel(visit: Callable) -> None:
    page = visit()
    times = sorted(page.evaluate("() => Array.from({length: 9}, () => window.__map.paint())"))
    assert times[2] < 100  # 3 ms on a quiet machine
    first = page.locator("canvas.base").screenshot()
    page.get_by_label("Zoom in").click()
    until(page, "__map.zoom > 1.59")
    page.get_by_label("Show everything").click()
    until(page, "__map.zoom < 1.0001")
    page.mouse.move(5, 5)
    page.wait_for_timeout(150)
    assert page.locator("canvas.base").screenshot() == first


def test_pointing_shows_a_card_with_the_picture(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    number = lonely(atlas)
    row = atlas.points.row_of(number)
    page.mouse.move(*place(page, number))
    until(page, f"__map.pictured === {number}")
    card = page.locator(".card")
    expect(card).to_contain_text(f"#{number:,}")
    expect(card).to_contain_text("right" if atlas.points.correct[row] else "wrong")
    expect(card).to_contain_text("estimated error")
    shades = page.evaluate(
        """() => {
          const roots = [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean);
          const c = roots.map(r => r.querySelector('canvas.card-picture')).find(Boolean);
          const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
          const cell = c.width / 8;
          return Array.from({length: 64}, (_, k) =>
            data[4 * (Math.floor((Math.floor(k / 8) + .5) * cell) * c.width
                      + Math.floor((k % 8 + .5) * cell))]);
        }"""
    )
    assert np.array_equal(np.array(shades).reshape(8, 8), atlas.picture(row))
    other = lonely(atlas, np.flatnonzero(atlas.points.label != atlas.points.label[row]))
    page.mouse.move(*place(page, other))
    until(page, f"__map.pictured === {other}")
    assert fact(page, "cardMs") < 150
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()


# ---------------------------------------------------------------- pinning, links
def test_click_pins_a_sample_with_its_true_neighbours(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    number = lonely(atlas)
    row = atlas.points.row_of(number)
    page.mouse.click(*place(page, number))
    title = page.locator(".sample-title")
    expect(title).to_contain_text(f"#{number:,}", timeout=PATIENCE)
    expect(page.locator(".sample-facts").first).to_contain_text(
        atlas.classes[atlas.points.predicted[row]]
    )
    x, y = (f"{value:.3f}".replace("-", "−") for value in atlas.z[row])
    expect(page.locator(".sample-facts.wide")).to_contain_text(f"{x}, {y}")
    expect(page.locator(".bar-row")).to_have_count(10)
    rows, _ = atlas.neighbours(atlas.samples.floats([row]), 11)
    wanted = [int(r) for r in np.ravel(rows) if r != row][:10]
    expect(page.get_by_text("Nearest in activation space")).to_be_visible()
    expect(page.get_by_text("Nearest on the map")).to_have_count(0, timeout=PATIENCE)
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(10)
    assert [int(t.get_attribute("data-row") or -1) for t in tiles.all()] == wanted
    until(page, f"location.search.includes('pin={number}')")

    tiles.first.click()
    neighbour = int(atlas.points.id[wanted[0]])
    expect(title).to_contain_text(f"#{neighbour:,}", timeout=PATIENCE)
    until(page, f"__map.pinned === {neighbour}")
    page.get_by_role("button", name="Unpin").click()
    until(page, "__map.pinned === null")
    expect(page.get_by_text("Click a dot to pin it here")).to_be_visible()


def test_link_restores_the_exact_view(visit: Callable, atlas: Atlas) -> None:
    number = int(atlas.points.id[5])
    query = (
        f"projection=pca&at=0.5,-0.25,3&colour=predicted&layers=points.60-density.40"
        f"&split=test&error=-6,0&pin={number}"
    )
    page = visit(query)
    assert fact(page, "projection") == "pca" and fact(page, "colour") == "predicted"
    assert fact(page, "zoom") == pytest.approx(3, abs=1e-3)
    assert fact(page, "centre") == pytest.approx([0.5, -0.25], abs=1e-3)
    points = atlas.points
    shown = (points.split == 2) & (points.log_error >= -6) & (points.log_error <= 0)
    assert fact(page, "shown") == pytest.approx(shown.sum(), abs=1)
    expect(page.locator(".sample-title")).to_contain_text(f"#{number:,}", timeout=PATIENCE)
    page.wait_for_timeout(400)
    for part in query.split("&"):
        assert part in page.url
    page.reload()
    until(page, "window.__map && __map.ready && __map.rev > 0")
    assert fact(page, "zoom") == pytest.approx(3, abs=1e-3) and fact(page, "pinned") == number


def test_link_that_makes_no_sense_opens_the_whole_map(visit: Callable) -> None:
    page = visit("projection=nowhere&at=x,y&colour=%3Cb%3E&pin=99999999&only=label:77&size=900")
    assert fact(page, "projection") == "infovae" and fact(page, "colour") == "label"
    assert fact(page, "pinned") is None
    until(page, "!location.search.includes('nowhere') && location.search.includes('atlas=')")


def test_a_view_adds_no_history(visit: Callable) -> None:
    page = visit()
    before = page.evaluate("() => history.length")
    for _ in range(3):
        page.get_by_label("Zoom in").click()
        page.wait_for_timeout(320)
    until(page, "location.search.includes('at=')")
    assert page.evaluate("() => history.length") == before


# ---------------------------------------------------------------- choosing
def test_lasso_gives_the_same_samples_to_browser_gallery_and_file(
    visit: Callable, atlas: Atlas, tmp_path: Path
) -> None:
    page = visit()
    lasso(page, AROUND)
    count = until(page, "__map.selected")
    assert 10 < count < len(atlas.points)
    expect(page.get_by_text(f"{count:,} selected,")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".tile")).to_have_count(min(120, count), timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV with ids").click()
    download.value.save_as(tmp_path / "chosen.csv")
    with open(tmp_path / "chosen.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == count
    chosen = [atlas.points.row_of(line["id"]) for line in lines]
    assert [int(line["label"]) for line in lines] == atlas.points.label[chosen].tolist()
    page.get_by_role("tab", name="Confusions").click()
    wrong = int((~atlas.points.correct[chosen]).sum())
    expect(page.get_by_text(f"{count - wrong:,} of {count:,} are right.")).to_be_visible()

    if len(atlas.points.views) > 1:
        page.get_by_role("radio", name="PCA").click()
        until(page, "__map.projection === 'pca'")
        assert fact(page, "selected") == count
        expect(page.locator(".status-text")).to_contain_text(f"{count:,} selected")
    page.get_by_label("Clear the selection").click()
    expect(page.get_by_text(f"{count:,} selected,")).to_be_hidden(timeout=PATIENCE)


def test_box_tool_chooses_a_rectangle(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    page.get_by_label("Box: drag").click()
    lasso(page, [AROUND[0], AROUND[2]], shift=False)
    assert until(page, "__map.selected") > 10
    page.keyboard.press("Escape")
    until(page, "__map.selected === 0")


def test_legend_isolates_a_class(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    three = page.locator(".legend-item").nth(3)
    three.click()
    amount = int((atlas.points.label == 3).sum())
    expect(page.locator(".status-text")).to_contain_text(f"{amount:,} of 1,797")
    until(page, "location.search.includes('only=label:3')")
    page.keyboard.down("Shift")
    page.locator(".legend-item").nth(5).click()
    page.keyboard.up("Shift")
    both = int(np.isin(atlas.points.label, [3, 5]).sum())
    assert fact(page, "shown") == both
    three.click()
    three.click()
    until(page, "__map.shown === 1797")


def test_filters_apply_at_once_and_stand_in_the_address(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("Mistakes only").check()
    wrong = int((~atlas.points.correct).sum())
    until(page, f"__map.shown === {wrong}")
    page.get_by_label("Prediction", exact=True).select_option(label="8")
    both = int((~atlas.points.correct & (atlas.points.predicted == 8)).sum())
    until(page, f"__map.shown === {both}")
    until(page, "location.search.includes('wrong=1') && location.search.includes('predicted=8')")
    page.get_by_role("button", name="Show all").click()
    until(page, "__map.shown === 1797")


def test_finding_an_id_pins_it_and_goes_there(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    number = int(atlas.points.id[123])
    find = page.get_by_label("Find a sample by its id")
    find.fill(str(number))
    find.press("Enter")
    until(page, f"__map.pinned === {number}")
    until(page, "__map.zoom > 5.9")
    find.fill("test:3")
    find.press("Enter")
    wanted = int(atlas.points.id[atlas.points.row_of("test:3")])
    until(page, f"__map.pinned === {wanted}")
    find.fill("unicorn")
    find.press("Enter")
    expect(find).to_have_class(re.compile("missing"))


def test_every_colouring_has_its_key(visit: Callable) -> None:
    page = visit()
    for name in ("correct", "split", "log_error", "log_error_map", "off_map", "top_output"):
        page.get_by_label("Colour by").select_option(name)
        until(page, f"__map.colour === '{name}'")
        if name in ("correct", "split"):
            assert page.locator(".legend-item").count() >= 2
        else:
            expect(page.locator(".legend .strip-ends span")).to_have_count(2)


# ---------------------------------------------------------------- new pictures
def draw(page: Page) -> None:
    pad = page.locator(".pad-canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    corners = [(0.35, 0.2), (0.65, 0.2), (0.65, 0.5), (0.4, 0.5), (0.65, 0.5), (0.62, 0.8)]
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=5)
    page.mouse.up()


def test_drawing_lands_on_the_map_live_and_can_be_undone(visit: Callable) -> None:
    page = visit()
    draw(page)
    until(page, "__map.probes === 1")
    expect(page.locator(".probe .flag")).to_be_visible()
    expect(page.locator(".probe img")).to_have_attribute("src", re.compile("^data:image/png"))
    expect(page.locator(".sample-title")).to_contain_text("Prediction:")
    expect(page.locator(".bar-row")).to_have_count(10)
    page.get_by_label("Undo the last stroke").click()
    until(page, "__map.probes === 0")
    draw(page)
    until(page, "__map.probes === 1")
    page.get_by_label("Clear the pad").click()
    until(page, "__map.probes === 0")
    expect(page.locator(".sample-title")).to_have_count(0)


def test_dropped_picture_lands_where_locate_puts_it(
    visit: Callable, atlas: Atlas, tmp_path: Path
) -> None:
    row = int(np.argmin(atlas.points.off_map))
    path = tmp_path / "a <b>digit<b>.png"
    Image.fromarray(atlas.picture(row)).save(path)
    strange = tmp_path / "strange.png"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(noise).save(strange)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    page = visit()
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(
        [path, strange, broken]
    )
    until(page, "__map.probes === 2")
    expect(page.locator(".probe .flag", has_text="a <b>digit<b>.png")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_contain_text("broken.png")
    x, y = (f"{value:.3f}".replace("-", "−") for value in atlas.z[row])
    stored = page.locator(".sample", has_text="a <b>digit<b>.png")
    expect(stored.locator(".sample-facts.wide")).to_contain_text(f"{x}, {y}")
    assert atlas.locate(noise).off_map[0] > 99
    expect(page.locator(".probe.warn")).to_have_count(1)
    expect(page.locator(".sample-warning", has_text="Off the map")).to_have_count(1)


# ---------------------------------------------------------------- promises
def test_same_input_same_place_is_checked_with_one_click(visit: Callable) -> None:
    page = visit()
    page.get_by_role("button", name="Same input, same place?").click()
    notice = page.locator(".notice.good")
    expect(notice).to_contain_text("landed on its own dot again", timeout=PATIENCE)
    expect(notice).to_contain_text("alone twice: 0;")
    assert fact(page, "pinned") is not None


def test_view_is_saved_as_png_and_svg(visit: Callable, tmp_path: Path) -> None:
    page = visit("only=label:1,2")
    with page.expect_download() as download:
        page.get_by_label("Save as PNG").click()
    download.value.save_as(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.width > 1000
        colours = {pixel for _, pixel in image.convert("RGB").getcolors(1 << 24) or []}
    assert (0xFF, 0xA9, 0x0E) in colours
    with page.expect_download() as download:
        page.get_by_label("Save as SVG").click()
    download.value.save_as(tmp_path / "map.svg")
    root = ElementTree.fromstring((tmp_path / "map.svg").read_text("utf-8"))
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"1", "2", "Label", "estimated error (log10)", "z₁", "z₂"} <= texts
    image = next(root.iter("{http://www.w3.org/2000/svg}image"))
    assert image.attrib["href"].startswith("data:image/png;base64,")


def test_map_follows_the_theme_while_it_is_open(visit: Callable) -> None:
    page = visit()
    pick = """() => {
      const roots = [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean);
      const base = roots.map(r => r.querySelector('canvas.base')).find(Boolean);
      return base.getContext('2d').getImageData(2, 2, 1, 1).data[0];
    }"""
    assert page.evaluate(pick) > 150
    page.emulate_media(color_scheme="dark")
    deadline = time.monotonic() + 20
    while page.evaluate(pick) > 110 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert page.evaluate(pick) <= 110
    assert fact(page, "mounts") == 1


def test_map_is_used_by_keyboard_alone(visit: Callable) -> None:
    page = visit()
    page.get_by_label("Find a sample by its id").focus()
    page.keyboard.press("Tab")
    assert "stage" in page.evaluate(
        """() => { let n = document.activeElement;
                   while (n.shadowRoot?.activeElement) n = n.shadowRoot.activeElement;
                   return n.className; }"""
    )
    home = fact(page, "centre")
    page.keyboard.press("ArrowRight")
    until(page, f"__map.centre[0] > {home[0]}")
    page.keyboard.press("+")
    until(page, "__map.zoom > 1.39")
    page.keyboard.press("Enter")
    pinned = until(page, "__map.pinned !== null && String(__map.pinned)")
    expect(page.locator(".sample-title")).to_contain_text(f"#{int(pinned):,}", timeout=PATIENCE)
    page.keyboard.press("Escape")
    until(page, "__map.pinned === null")
    page.keyboard.press("0")
    until(page, "__map.zoom < 1.0001")


def test_calm_visitors_see_no_movement(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    before = fact(page, "rev")
    page.get_by_role("radio", name="PCA").click()
    until(page, f"__map.projection === 'pca' && __map.rev > {before}")
    page.wait_for_timeout(300)
    assert fact(page, "rev") <= before + 6  # a flight would take dozens of frames
    context.close()


def test_sharp_screens_get_sharp_dots(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, device_scale_factor=2)
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    box = page.locator("canvas.base").bounding_box()
    assert box is not None
    assert page.locator("canvas.base").evaluate("node => node.width") == 2 * box["width"]
    page.set_viewport_size({"width": 1000, "height": 700})
    until(page, "__map.rev > 3")
    page.wait_for_timeout(200)
    box = page.locator("canvas.base").bounding_box()
    assert box is not None
    assert page.locator("canvas.base").evaluate("node => node.width") == 2 * box["width"]
    assert box["width"] < 700
    context.close()


def test_finger_pans_and_pinches(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, has_touch=True)
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    left, top = stage(page)
    session = context.new_cdp_session(page)

    def touch(kind: str, *spots: tuple[float, float]) -> None:
        points = [{"x": left + x, "y": top + y, "id": i} for i, (x, y) in enumerate(spots)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    centre = fact(page, "centre")
    touch("touchStart", (300, 250))
    for step in range(1, 6):
        touch("touchMove", (300 - 20 * step, 250))
    touch("touchEnd")
    until(page, f"__map.centre[0] > {centre[0]} + .1")
    touch("touchStart", (250, 250), (350, 250))
    for step in range(1, 6):
        touch("touchMove", (250 - 20 * step, 250), (350 + 20 * step, 250))
    touch("touchEnd")
    until(page, "__map.zoom > 2")
    context.close()
