"""The app as it is shipped, driven in real Chromium; skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the browser tests need the package playwright")

from map_steps import SIZE, until
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from visit import CHROMIUM, Server, find_chromium, serve, settle

if TYPE_CHECKING:
    from introspect.atlas import Atlas


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
