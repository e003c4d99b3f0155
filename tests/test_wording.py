"""Figures and foreign text as a person would read them."""

from __future__ import annotations

import pytest

from introspect.ui import wording


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (26e6, "26 MB"),
        (999.6e6, "1.0 GB"),
        (1.44e9, "1.4 GB"),
        (3e12, "3000 GB"),
    ],
)
def test_sizes_have_two_or_three_figures_and_the_right_unit(count, told) -> None:
    assert wording.size(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "1 s"),
        (40.4, "40 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3569, "59 min"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_time_spans_are_what_a_person_would_say(seconds, told) -> None:
    assert wording.duration(seconds) == told


def test_markup_in_foreign_text_is_shown_as_it_is() -> None:
    assert wording.plain("*a* [b](c) :d: <e> $f$ `g`").count("\\") == 14
    assert wording.plain("a\nb") == "a b"
    assert wording.plain("Ünïcode 数字 stays") == "Ünïcode 数字 stays"
