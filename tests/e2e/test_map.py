"""The activation map in real Chromium: seen, pointed at, drawn round, filtered, linked."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from map_steps import AROUND, PATIENCE, fact, lasso, lonely, place, until
from playwright.sync_api import expect

from introspect.atlas import Atlas


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
    deadline = time.monotonic() + 10  # for the last frame of the flight, and for the tip to go
    while page.locator("canvas.base").screenshot() != first and time.monotonic() < deadline:
        page.wait_for_timeout(50)
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
    matrix = page.get_by_role("region", name="Confusion matrix")
    expect(matrix.locator("td").last).to_have_text(f"{count:,}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Confusions as CSV").click()
    lines = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))
    assert sum(int(line["count"]) for line in lines) == count

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


def test_what_passes_the_filter_is_looked_at_without_a_lasso(visit: Callable, atlas: Atlas) -> None:
    page = visit("wrong=1")
    page.get_by_role("button", name="look at them").click()
    wrong = int((~atlas.points.correct).sum())
    expect(page.get_by_text(f"{wrong:,} selected, {wrong:,} of them wrong")).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.locator(".tile")).to_have_count(min(120, wrong), timeout=PATIENCE)


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
