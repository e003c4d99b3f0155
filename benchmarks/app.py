"""How quick is the app? First map, redraw, overlay and hover in Chromium; 30 visitors at once.

The visitors speak Streamlit's websocket protocol without a browser: each opens the map of the
bundled atlas and pins another sample every three seconds, as a click on the map does.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from introspect.bundled import site

sys.path.append(str(site() / "tests" / "e2e"))

from visit import CHROMIUM, Server, find_chromium, serve, settle  # noqa: E402

ATLAS, COMPONENT, POINTS = "mnist-net1", "introspect_map", 70_000
STARTS, GESTURES = 3, 40
VISITORS, PAUSE, SECONDS = 30, 3.0, 45.0
SIZE: ViewportSize = {"width": 1440, "height": 900}

GOALS = {
    "cold_start_s": 10.0,
    "redraw_p95_ms": 20.0,
    "overlay_p95_ms": 300.0,
    "hover_card_p95_ms": 150.0,
    "visitors_p95_ms": 300.0,
    "memory_per_visitor_mb": 1.0,
}

READY = f"window.__map && window.__map.ready && window.__map.rev > 0 && window.__map.n === {POINTS}"
CARD = """() => {
  const move = (event) => { window.__moved = performance.now(); window.__shown = null; look(); };
  const look = () => {
    const { hovered, pictured } = window.__map;
    if (hovered !== null && hovered === pictured && hovered !== window.__before) {
      window.__shown = performance.now() - window.__moved;
    } else if (performance.now() - window.__moved < 3000) requestAnimationFrame(look);
  };
  window.addEventListener("pointermove", move, true);
}"""


def run() -> dict[str, Any]:
    """Everything the issue asks of the app, measured on this machine."""
    path = find_chromium()
    if path is None:
        raise SystemExit("The measurement needs Chromium on the PATH.")
    with tempfile.TemporaryDirectory() as folder:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
            starts = [start(browser, _fresh(folder, f"start-{i}")) for i in range(STARTS)]
            home = _fresh(folder, "server")
            gestures = _during(serve(home), lambda server: explore(browser, server))
            browser.close()
        # The same folders, so that nobody's click has to record the activations again.
        crowd = _during(serve(home), lambda server: asyncio.run(visit(server)))
    ratios = {
        "cold_start_s": statistics.median(starts),
        "redraw_p95_ms": _p95(gestures["redraw"]),
        "overlay_p95_ms": _p95(gestures["overlay"]),
        "hover_card_p95_ms": _p95(gestures["hover"]),
        "visitors_p95_ms": _p95(crowd.clicks),
        "memory_per_visitor_mb": crowd.memory,
    }
    return {
        "name": "app",
        "ratios": ratios,
        "goals": {what: {"value": goal, "op": "<="} for what, goal in GOALS.items()},
        "values": {
            "points": POINTS,
            "cold_start_worst_s": max(starts),
            **{f"{what}_median_ms": statistics.median(took) for what, took in gestures.items()},
            "visitors": VISITORS,
            "clicks": len(crowd.clicks),
            "visitors_median_ms": statistics.median(crowd.clicks),
            "bytes_per_click": statistics.median(crowd.sizes),
            "server_mb": crowd.resident,
        },
    }


def _during(server: Server, use: Callable[[Server], Any]) -> Any:
    try:
        return use(server)
    finally:
        server.stop()


def _fresh(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


# ---------------------------------------------------------------- in Chromium
def start(browser: Browser, folder: Path) -> float:
    """Seconds from the command to the first map with all its points, in a fresh process."""
    began = time.perf_counter()

    def look(server: Server) -> float:
        page = _page(browser, server)
        page.wait_for_function(READY, polling=20)
        took = time.perf_counter() - began
        page.context.close()
        return took

    return _during(serve(folder), look)


def _page(browser: Browser, server: Server) -> Page:
    # Waiting for a condition evaluates text in the page, which our policy forbids.
    page = browser.new_context(viewport=SIZE, bypass_csp=True).new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{server.url}/?atlas={ATLAS}")
    return page


def explore(browser: Browser, server: Server) -> dict[str, list[float]]:
    """Milliseconds of each gesture: drag (redraw), click (overlay from Python), point (card)."""
    page = _page(browser, server)
    page.wait_for_function(READY)
    settle(page)
    page.wait_for_timeout(3000)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    found = {
        "redraw": redraws(page, box),
        "hover": hovers(page, box),
        "overlay": overlays(page, box),
    }
    page.context.close()
    return found


def _spots(box: Any, count: int) -> list[tuple[float, float]]:
    """Places around the middle of the map, where the points are."""
    rng = random.Random(0)
    return [
        (
            box["x"] + box["width"] * rng.uniform(0.3, 0.7),
            box["y"] + box["height"] * rng.uniform(0.3, 0.7),
        )
        for _ in range(count)
    ]


def redraws(page: Page, box: Any) -> list[float]:
    """How long the whole map takes to paint, for every frame of some drags."""
    times = []
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(GESTURES):
        before = page.evaluate("window.__map.rev")
        page.mouse.move(x + 40 + 3 * step, y + 20 + step)
        page.wait_for_function(f"window.__map.rev > {before}", polling="raf")
        times.append(page.evaluate("window.__map.drawMs"))
    page.mouse.up()
    return times


def hovers(page: Page, box: Any) -> list[float]:
    """From the pointer's move to the card with its picture, measured in the page."""
    page.evaluate(CARD)
    times = []
    for x, y in _spots(box, GESTURES):
        page.mouse.move(box["x"] + 4, box["y"] + box["height"] - 4)
        page.evaluate("window.__before = window.__map.hovered")
        page.mouse.move(x, y)
        page.wait_for_timeout(60)
        if page.evaluate("window.__map.hovered") is not None:
            page.wait_for_function("window.__shown !== null", polling="raf")
            times.append(page.evaluate("window.__shown"))
    return times


def overlays(page: Page, box: Any) -> list[float]:
    """From a click on a dot until what Python answered is drawn on the map.

    The first click has the activations recorded again, once for all visitors; it is waited for.
    """
    times: list[float] = []
    page.mouse.click(*_spots(box, 1)[0])
    settle(page)
    expect(page.get_by_text("Computing: the network")).to_have_count(0, timeout=120_000)
    settle(page)
    for x, y in _spots(box, GESTURES + 1)[1:]:
        page.mouse.move(x, y)
        page.wait_for_timeout(60)
        hovered = page.evaluate("window.__map.hovered")
        if hovered is None or hovered == page.evaluate("window.__map.pinned"):
            continue
        said = page.evaluate("window.__map.said")
        page.evaluate(
            """said => { window.__took = null; window.addEventListener("pointerup", () => {
              const began = performance.now();
              const look = () => window.__map.said > said
                ? requestAnimationFrame(() => { window.__took = performance.now() - began; })
                : requestAnimationFrame(look);
              look();
            }, { capture: true, once: true }); }""",
            said,
        )
        page.mouse.click(x, y)
        page.wait_for_function("window.__took !== null", polling="raf")
        times.append(page.evaluate("window.__took"))
        settle(page)
    return times


# ---------------------------------------------------------------- without a browser
@dataclass
class Crowd:
    """What thirty visitors met: milliseconds and bytes of each click, server memory in MB."""

    clicks: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    memory: float = 0.0
    resident: float = 0.0


class Visitor:
    """One open page: keeps what a browser keeps and says what it says."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.page = self.component = self.fragment = ""
        self.known: list[str] = []

    async def run(self, state: dict[str, Any] | None = None) -> int:
        """Runs the page, or the part of it that a new state of the map concerns; bytes received."""
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string, rerun.page_script_hash = f"atlas={ATLAS}", self.page
        rerun.cached_message_hashes.extend(self.known)
        if state is not None:
            rerun.fragment_id = self.fragment
            widget = rerun.widget_states.widgets.add()
            widget.id, widget.json_value = self.component, json.dumps(state)
        await self.socket.send(message.SerializeToString())
        received = 0
        while True:
            frame = await self.socket.recv(decode=False)
            received += len(frame)
            if self._hear(ForwardMsg.FromString(frame)):
                return received

    def _hear(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if message.metadata.cacheable and message.hash:
            self.known.append(message.hash)
        if kind == "new_session":
            self.page = message.new_session.page_script_hash or self.page
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "bidi_component":
            component = message.delta.new_element.bidi_component
            if component.component_name == COMPONENT:
                self.component, self.fragment = component.id, message.delta.fragment_id
        return kind == "script_finished"


async def visit(server: Server) -> Crowd:
    """Warms the server up with a few visitors, then lets all come and click."""
    await _open(server, 3, 2 * PAUSE, Crowd())
    crowd = Crowd()
    before = _resident(server)
    crowd.resident = await _open(server, VISITORS, SECONDS, crowd)
    crowd.memory = max(0.0, crowd.resident - before) / VISITORS
    return crowd


async def _open(server: Server, count: int, seconds: float, crowd: Crowd) -> float:
    """Server memory in MB at the end, while everyone is still there."""
    everyone = asyncio.Barrier(count + 1)

    async def stay(seed: int) -> None:
        rng = random.Random(seed)
        address = server.url.replace("http://", "ws://") + "/_stcore/stream"
        async with connect(
            address,
            subprotocols=[Subprotocol("streamlit")],
            origin=Origin(server.url),
            max_size=None,
        ) as socket:
            visitor = Visitor(socket)
            await visitor.run()
            assert visitor.component, "the page shows no map"
            await everyone.wait()
            end = time.monotonic() + seconds
            await asyncio.sleep(rng.uniform(0, PAUSE))
            while time.monotonic() < end:
                began = time.perf_counter()
                size = await visitor.run({"pinned": rng.randrange(POINTS)})
                took = time.perf_counter() - began
                crowd.clicks.append(1000 * took)
                crowd.sizes.append(size)
                await asyncio.sleep(max(0.0, PAUSE - took))
            await everyone.wait()
            await everyone.wait()

    async with asyncio.TaskGroup() as visits:
        for seed in range(count):
            visits.create_task(stay(seed))
        await everyone.wait()
        await everyone.wait()
        resident = _resident(server)
        await everyone.wait()
    return resident


def _resident(server: Server) -> float:
    """Memory of the server's own in MB, mapped files left out; Linux only, zero elsewhere."""
    try:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    except OSError:
        return 0.0
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
