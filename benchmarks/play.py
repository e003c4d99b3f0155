"""How smoothly does the browser play? The attack scrubber and the slider of the constellation.

Frames are counted in real Chromium, on the bundled atlas: those in which the page has drawn a new
step or level. Each slider is played at its highest speed and dragged to and fro by the mouse.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, ViewportSize, sync_playwright

from introspect.bundled import site

sys.path.append(str(site() / "tests" / "e2e"))

from visit import CHROMIUM, Server, find_chromium, serve, settle  # noqa: E402

ATLAS, SAMPLE = "mnist-net1", 60_907
SIZE: ViewportSize = {"width": 1440, "height": 900}
SECONDS = 5.0
RUNS = 3
FEWEST = 20
GOAL = 30.0
PATIENCE = 180_000

WATCH = """({ state, moved }) => {
  const watch = { times: [], draws: [], on: true };
  window.__watch = watch;
  let [seen, last] = [window[state][moved], null];
  const look = (now) => {
    if (!watch.on) return;
    const next = window[state][moved];
    if (next !== seen) {
      if (last !== null) {
        watch.times.push(now - last);
        watch.draws.push(window[state].drawMs);
      }
      [seen, last] = [next, now];
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
"""Notes, frame by frame, how long ago the last frame was that showed something new."""


def run() -> dict[str, Any]:
    """Frames a second of both sliders, played and dragged."""
    path = find_chromium()
    if path is None:
        raise SystemExit("The measurement needs Chromium on the PATH.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
        server = serve(Path(folder))
        try:
            # Waiting for a condition evaluates text in the page, which our policy forbids.
            page = browser.new_context(viewport=SIZE, bypass_csp=True).new_page()
            page.set_default_timeout(PATIENCE)
            found = {**scrubber(page, server), **sigma(page, server)}
        finally:
            server.stop()
            browser.close()
    for what, (times, _) in found.items():
        if len(times) < FEWEST:
            raise SystemExit(
                f"{what}: only {len(times)} frames were drawn, too few to say anything."
            )
    return {
        "name": "play",
        "ratios": {f"{what}_fps": fps(times) for what, (times, _) in found.items()},
        "goals": {f"{what}_fps": {"value": GOAL, "op": ">="} for what in found},
        "values": {
            **{f"{what}_p5_fps": p5(times) for what, (times, _) in found.items()},
            **{f"{what}_draw_ms": float(np.median(draws)) for what, (_, draws) in found.items()},
            **{f"{what}_frames": len(times) for what, (times, _) in found.items()},
        },
    }


Frames = tuple[list[float], list[float]]
"""Milliseconds from frame to frame, and those that drawing took in each."""


def fps(times: list[float]) -> float:
    """Frames a second over the whole time."""
    return 1000 * len(times) / max(sum(times), 1e-9)


def p5(times: list[float]) -> float:
    """The rate that 95 of 100 frames keep: from the 95th percentile of the time between two."""
    return float(1000 / np.percentile(times, 95))


def scrubber(page: Page, server: Server) -> dict[str, Frames]:
    """The attack player with all ten targets of a hundred steps."""
    page.goto(f"{server.url}/trajectory?atlas={ATLAS}&sample={SAMPLE}")
    settle(page)
    page.get_by_role("button", name="Run the attack").click()
    page.wait_for_function("window.__player && __player.ready && __player.frames > 0")
    settle(page)
    slider = page.locator(".player-range")
    slider.scroll_into_view_if_needed()
    page.get_by_label("Speed").select_option("4")
    page.locator(".player").focus()
    played: Frames = ([], [])
    for _ in range(RUNS):
        page.keyboard.press("Home")
        watch(page, "__player", "frames")
        page.keyboard.press(" ")
        page.wait_for_function("!__player.playing && __player.step === 100")
        add(played, seen(page))
    watch(page, "__player", "frames")
    drag(page, slider, 100)
    return {"scrubber_play": played, "scrubber_drag": seen(page)}


def sigma(page: Page, server: Server) -> dict[str, Frames]:
    """The constellation of 200 copies at every level of the noise."""
    page.goto(f"{server.url}/constellation?atlas={ATLAS}&sample={SAMPLE}")
    page.wait_for_function("window.__constellation && __constellation.ready")
    settle(page)
    page.get_by_label("Levels a second").select_option("16")
    slider = page.locator(".cloud-slide input")
    levels = int(slider.get_attribute("max") or 1)
    page.get_by_role("button", name="Play").scroll_into_view_if_needed()
    played: Frames = ([], [])
    for _ in range(RUNS):
        slider.focus()
        page.keyboard.press("Home")
        # While it plays every frame is drawn, with a new level or not.
        watch(page, "__constellation", "frames")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(f"__constellation.level === {levels}")
        page.get_by_role("button", name="Play").wait_for()
        add(played, seen(page))
    watch(page, "__constellation", "rev")
    drag(page, slider, levels)
    return {"sigma_play": played, "sigma_drag": seen(page)}


def watch(page: Page, state: str, moved: str) -> None:
    """Begins to note the frames in which `window[state][moved]` is another than before."""
    page.evaluate(WATCH, {"state": state, "moved": moved})


def seen(page: Page) -> Frames:
    """Ends it and answers what was noted, from the second drawn frame on."""
    noted = page.evaluate("() => { __watch.on = false; return __watch; }")
    return noted["times"], noted["draws"]


def add(all_of: Frames, more: Frames) -> None:
    """Puts the frames of one run behind those of the runs before."""
    for kept, new in zip(all_of, more, strict=True):
        kept.extend(new)


def drag(page: Page, slider: Any, last: int) -> None:
    """Moves the slider to and fro with the mouse, a step at a time, for some seconds."""
    box = slider.bounding_box()
    assert box is not None
    middle, edge = box["y"] + box["height"] / 2, 8
    places = [box["x"] + edge + (box["width"] - 2 * edge) * step / last for step in range(last + 1)]
    page.mouse.move(places[0], middle)
    page.mouse.down()
    began = page.evaluate("performance.now()")
    while page.evaluate("performance.now()") - began < 1000 * SECONDS:
        for place in [*places, *reversed(places)]:
            page.mouse.move(place, middle)
    page.mouse.up()


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
