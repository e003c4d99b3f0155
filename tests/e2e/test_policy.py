"""The content policy in a real browser: nothing of ours breaks under it, and it holds."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Browser, Page
from visit import Server, settle

from introspect.bundled import sample_atlases


@pytest.fixture
def strict(browser: Browser, server: Server):
    """A visitor whose browser obeys the policy, and what the console says."""
    context = browser.new_context(base_url=server.url)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    yield page, said
    context.close()


def refused(said: list[str]) -> list[str]:
    return [text for text in said if "Content Security Policy" in text or "violates" in text]


def test_load_page_breaks_no_rule(strict: tuple[Page, list[str]]) -> None:
    page, said = strict
    page.goto("/load")
    settle(page)
    assert refused(said) == []


@pytest.mark.skipif(not sample_atlases(), reason="no sample model is bundled in this checkout")
def test_map_is_drawn_under_the_policy(strict: tuple[Page, list[str]]) -> None:
    page, said = strict
    page.goto("/activation_map")
    settle(page)
    end = time.monotonic() + 60
    while not page.evaluate("Boolean(window.__map && window.__map.ready)"):
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    assert refused(said) == []


def test_page_cannot_reach_another_machine(strict: tuple[Page, list[str]]) -> None:
    page, said = strict
    page.goto("/load")
    settle(page)
    outcome = page.evaluate(
        "fetch('http://192.0.2.1/', {mode: 'no-cors'}).then(() => 'sent', () => 'refused')"
    )
    assert outcome == "refused"
    assert refused(said)


def test_link_by_the_name_of_the_first_page_keeps_its_query(page: Page) -> None:
    page.goto("/activation_map?atlas=nowhere&colour=split")
    settle(page)
    assert "colour=split" in page.url
    assert page.get_by_role("heading", name="Activation map").is_visible()
    assert not page.get_by_text("Page not found").is_visible()
