"""Keys of shared results: equal for equal arguments, different otherwise, cheap for big nouns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from introspect.ui import session

pytestmark = pytest.mark.filterwarnings("ignore:.*missing ScriptRunContext.*")


@dataclass(frozen=True, eq=False)
class Noun:
    """Stands for an atlas: says who it is, and cannot be read through."""

    fingerprint: str
    array: object = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    steps: int = 100
    values: tuple = (0.1, 0.2)


@dataclass(frozen=True, eq=False)
class Held:
    array: np.ndarray


def test_noun_is_known_by_its_fingerprint_alone():
    unreadable = object()
    assert session.key(Noun("abc", unreadable)) == session.key(Noun("abc"))
    assert session.key(Noun("abc")) != session.key(Noun("abd"))


def test_every_value_of_an_array_counts():
    array = np.zeros(100_000)
    other = array.copy()
    other[54_321] = 1
    assert session.key(array) == session.key(array.copy())
    assert session.key(array) != session.key(other)
    assert session.key(array) != session.key(array.astype(np.float32))
    assert session.key(array) != session.key(array.reshape(100, 1000))
    assert session.key(Held(array)) != session.key(Held(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        ((1, 2), [1, 2]),
        (("a,b",), ("a", "b")),
        ({"a": 1}, {"a": 2}),
        (Settings(100), Settings(101)),
        (Settings(values=(1,)), Settings(values=(2,))),
    ],
)
def test_different_arguments_have_different_keys(one, other):
    assert session.key(one) == session.key(one)
    assert session.key(one) != session.key(other)


def test_order_of_a_dict_does_not_count():
    assert session.key({"a": 1, "b": 2}) == session.key({"b": 2, "a": 1})


def test_unknown_kind_of_argument_is_an_error_rather_than_a_wrong_answer():
    with pytest.raises(TypeError, match="Thing"):
        session.key(type("Thing", (), {})())


def test_function_runs_once_for_equal_arguments():
    ran = []

    def count(noun, steps):
        ran.append(steps)
        return steps * 2

    assert session.cached(count, Noun("a"), 3) == 6
    assert session.cached(count, Noun("a"), 3) == 6
    assert session.cached(count, Noun("b"), 3) == 6
    assert session.cached(count, Noun("a"), 4) == 8
    assert ran == [3, 3, 4]


# ---------------------------------------------------------------- the sample chooser
def choose_sample() -> None:
    """A page that shows one sample of an atlas with the ids 3, 60000 and 60907."""
    from types import SimpleNamespace

    import numpy as np
    import streamlit as st

    from introspect.ui import session

    points = SimpleNamespace(id=np.array([3, 60_000, 60_907]))
    st.write(f"row {session.sample(SimpleNamespace(points=points))}")


@pytest.mark.parametrize(
    ("asked", "row"), [({}, 0), ({"sample": "60907"}, 2), ({"sample": "60000"}, 1)]
)
def test_sample_named_in_a_link_is_chosen(asked: dict[str, str], row: int) -> None:
    app = AppTest.from_function(choose_sample)
    app.query_params.update(asked)
    assert app.run().markdown[0].value == f"row {row}"


@pytest.mark.parametrize("asked", ["5", "-1", "1e3", "x", "²", "99999999999999999999"])
def test_sample_that_is_not_there_is_told_and_the_first_shown(asked: str) -> None:
    app = AppTest.from_function(choose_sample)
    app.query_params["sample"] = asked
    app.run()
    assert "has that id" in app.warning[0].value
    assert app.markdown[0].value == "row 0"


def test_other_sample_is_chosen_by_its_id_and_goes_into_the_link() -> None:
    app = AppTest.from_function(choose_sample).run()
    app.number_input(key="sample_chooser").set_value(60_000).run()
    assert app.markdown[0].value == "row 1"
    assert app.query_params["sample"] == "60000"
    app.number_input(key="sample_chooser").set_value(60_001).run()
    assert "No sample of this atlas has that id" in app.warning[0].value
    assert app.markdown[0].value == "row 0"
