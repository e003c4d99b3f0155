"""The app as it is shipped, driven in real Chromium; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="the browser tests need the package playwright")

from playwright.sync_api import Browser, Page, sync_playwright
from visit import CHROMIUM, Server, find_chromium, serve


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    path = find_chromium()
    if path is None:
        pytest.skip("The browser tests need Chromium on the PATH: install the package chromium.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """One server for all tests, with a library and a cache of its own."""
    running = serve(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A visitor with nothing in the cookie jar; nothing may be asked of another machine."""
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": 1360, "height": 900},
        # Waiting for a condition evaluates text in the page, which our policy forbids.
        bypass_csp=True,
    )
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    own = (server.url, "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
