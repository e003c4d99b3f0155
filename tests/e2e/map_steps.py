"""What a person does with the map, and what the tests ask of it, without sleeping."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from playwright.sync_api import Page, ViewportSize

from introspect.atlas import Atlas

PATIENCE = 60_000
SIZE = ViewportSize(width=1360, height=900)
AROUND = [(0.12, 0.05), (0.7, 0.05), (0.7, 0.75), (0.12, 0.75)]


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


def draw(page: Page) -> None:
    """Draws a nine on the pad."""
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
