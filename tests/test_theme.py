"""The settings the app is served with: known to Streamlit, private, quick, and readable."""

from __future__ import annotations

import tomllib

import pytest
from streamlit import config

from introspect.bundled import site

SETTINGS = tomllib.loads((site() / ".streamlit/config.toml").read_text("utf-8"))
WHITE = "#ffffff"


def flat(table: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of an sRGB colour."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio: 1 for equal colours, 21 for black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21)


def test_streamlit_knows_every_setting() -> None:
    config.get_config_options()
    assert set(flat(SETTINGS)) <= set(config._config_options_template)


def test_app_keeps_to_itself_and_does_not_collect_garbage_after_every_click() -> None:
    settings = flat(SETTINGS)
    assert settings["browser.gatherUsageStats"] is False
    assert settings["server.address"] == "127.0.0.1"
    assert settings["runner.postScriptGC"] is False
    assert settings["server.fileWatcherType"] == "none"
    assert settings["client.showErrorDetails"] == "type"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_buttons_are_readable(mode: str) -> None:
    theme = SETTINGS["theme"][mode]
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"]]
    grounds += theme["sidebar"].values()
    assert min(contrast(theme["textColor"], ground) for ground in grounds) >= 7
    # White words on the button, and the button against the page.
    assert contrast(WHITE, theme["primaryColor"]) >= 4.4
    assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= 3
