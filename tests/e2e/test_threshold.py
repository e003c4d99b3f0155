"""The reliability page in real Chromium: the threshold moves without the server."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from map_steps import PATIENCE, until
from playwright.sync_api import BrowserContext, Page, expect
from visit import settle

from introspect.answers import answers
from introspect.atlas import Atlas
from introspect.reliability import trade, weigh


@pytest.fixture
def page(context: BrowserContext, shelf: str) -> Iterator[Page]:
    """The page, drawn; no script error is allowed."""
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"/reliability?atlas={shelf}")
    expect(opened.locator(".trade-said")).to_be_visible(timeout=PATIENCE)
    settle(opened)
    yield opened
    opened.close()
    assert errors == []


def cells(page: Page) -> list[int]:
    """Caught, false alarms, missed and passed, as the page says."""
    texts = page.locator(".trade-table tbody td").all_text_contents()
    return [int(text.replace(",", "")) for text in texts]


def test_threshold_tells_what_python_counts_without_asking_the_server(
    page: Page, atlas: Atlas
) -> None:
    given = answers(atlas.points, atlas.classifier.link)
    found = trade(given, "error_map")
    failed = int(given.wrong.sum())
    slider = page.get_by_label("Threshold", exact=True)
    # Cut off from the server the numbers still follow.
    page.context.set_offline(True)
    for step in (0, 130, 260, 400):
        slider.fill(str(step))
        caught, alarms = int(found.caught[step]), int(found.alarms[step])
        assert cells(page) == [caught, alarms, failed - caught, len(given) - failed - alarms]
    slider.press("ArrowLeft")
    assert page.evaluate("() => window.__threshold.step") == 399
    slider.press("Home")
    expect(page.locator(".trade-said")).to_contain_text(f"{failed} wrong answers it catches")
    assert cells(page)[2:] == [0, 0]
    page.context.set_offline(False)


def test_moving_the_threshold_keeps_the_screen_fluent(page: Page) -> None:
    box = page.locator(".trade-chart").bounding_box()
    assert box is not None
    page.locator(".trade-chart").scroll_into_view_if_needed()
    times = page.evaluate(
        """async () => {
          const all = [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean);
          const slider = all.map(r => r.querySelector('.trade input')).find(Boolean)
            ?? document.querySelector('.trade input');
          const times = [];
          for (let i = 0; i < 60; i++) {
            slider.value = 100 + 3 * i;
            slider.dispatchEvent(new Event('input'));
            times.push(window.__threshold.ms);
            await new Promise(requestAnimationFrame);
          }
          return times.sort((a, b) => a - b);
        }"""
    )
    assert times[30] < 8  # 0.3 ms on a quiet machine; a frame has 33


def test_dragging_in_the_figure_moves_the_line_and_later_the_dot_on_the_curves(
    page: Page, atlas: Atlas
) -> None:
    chart = page.locator(".trade-chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 60, steps=8)
    page.mouse.up()
    step = page.evaluate("() => window.__threshold.step")
    assert step == pytest.approx(120, abs=8)
    given = answers(atlas.points, atlas.classifier.link)
    found = trade(given, "error_map")
    wanted = found.caught[step] / given.wrong.sum()
    dot = """(() => {
      const plots = [...document.querySelectorAll('.js-plotly-plot')];
      const traces = plots.flatMap(plot => plot.data.filter(trace => trace.name === 'threshold'));
      return traces.length === 2 && traces[0].y[0];
    })()"""
    until(page, f"Math.abs({dot} - {wanted}) < 1e-4")
    assert page.evaluate("() => window.__threshold.step") == step


def test_presets_catch_no_less_and_cost_no_more_than_they_say(page: Page, atlas: Atlas) -> None:
    page.get_by_role("button", name="95 % of the errors").click()
    caught, _, missed, _ = cells(page)
    assert caught / (caught + missed) >= 0.95
    page.get_by_role("button", name="5 % false alarms", exact=True).click()
    _, alarms, _, passed = cells(page)
    assert 0 < alarms / (alarms + passed) <= 0.05


def test_table_comes_down_as_csv(page: Page, atlas: Atlas, tmp_path: Path) -> None:
    with page.expect_download() as waiting:
        page.get_by_text("CSV of this table").click()
    waiting.value.save_as(tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text("utf-8").splitlines()))
    weighing = weigh(answers(atlas.points, atlas.classifier.link))
    [one] = [r for r in rows if (r["score"], r["minus"], r["measure"]) == ("error", "", "auroc")]
    assert float(one["value"]) == weighing.values["error"]["auroc"].value
    assert float(one["low"]) == weighing.values["error"]["auroc"].low


def test_narrow_screen_scrolls_the_violins_and_not_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, "document.querySelector('.st-key-reliability-violins').clientWidth < 400")
    wide, room = page.evaluate(
        """() => {
          const box = document.querySelector('.st-key-reliability-violins');
          return [box.scrollWidth, box.clientWidth];
        }"""
    )
    assert wide > 600 > room
    main = "document.querySelector('[data-testid=stMain]')"
    until(page, f"{main}.scrollWidth <= {main}.clientWidth + 1")
    names = page.locator(".st-key-reliability-violins .xtick text").all_text_contents()
    assert names == [str(code) for code in range(10)]
    shares = page.locator(".st-key-reliability-violins .textpoint text").all_text_contents()
    assert len(shares) == 10 and all(re.fullmatch(r"[\d.]+ %", share) for share in shares)
    assert not np.isnan([float(share[:-2]) for share in shares]).any()
