"""What a visitor has chosen, and what all visitors share: pages get their atlas from here."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from introspect.errors import BadInput
from introspect.library import Entry
from introspect.ui import nav, shelf
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas

CHOICE = "chosen_atlas"
WIDGET = "atlas_chooser"


def choice() -> Entry | None:
    """Draws the atlas chooser in the sidebar and answers the chosen one, None on an empty shelf.

    The choice lives in the URL (`?atlas=name`), so a link opens what its sender saw.
    """
    books = shelf.books()
    if not books:
        return None
    name = _choice(books)
    st.session_state[WIDGET] = name
    with st.sidebar:
        st.selectbox(
            "Atlas",
            list(books),
            key=WIDGET,
            on_change=_remember,
            help="Which model's activation map to look at. The Load page adds your own.",
        )
    return books[name]


def atlas() -> Atlas:
    """The chosen atlas, after drawing the chooser; every page that shows one calls it first.

    Where there is nothing to open, or it cannot be read, the page says so and stops here.
    """
    entry = choice()
    if entry is None:
        st.info("There is no atlas yet: open one or build your own on the Load page.")
        if st.button("Go to the Load page", type="primary"):
            nav.open_page("load")
        st.stop()
    problem: object = entry.problem
    if not problem:
        try:
            return load(entry.path, entry.modified)
        except BadInput as refusal:
            problem = refusal
    st.error(plain(problem))
    st.stop()


def choose(name: str) -> None:
    """Makes `name` the chosen atlas on every page of this visitor, and puts it into the URL."""
    st.session_state[CHOICE] = name
    st.query_params["atlas"] = name


def _choice(books: dict[str, Entry]) -> str:
    asked = st.query_params.get("atlas")
    if asked is not None and asked not in books:
        st.warning("The atlas named in the link is not on this machine; here is another one.")
    wanted = (asked, st.session_state.get(CHOICE), next(iter(books)))
    name = next(name for name in wanted if name in books)
    if asked != name:
        st.query_params["atlas"] = name
    st.session_state[CHOICE] = name
    return name


def _remember() -> None:
    choose(st.session_state[WIDGET])


def load(path: Path, modified: float) -> Atlas:
    """The atlas in a folder, shared read-only by all visitors; a newer version is read anew."""
    found = _load(str(path), modified)
    _settle()
    return found


@st.cache_resource(max_entries=4, show_spinner="Opening the atlas …")
def _load(path: str, modified: float) -> Atlas:
    from introspect.atlas import Atlas

    return Atlas.load(Path(path))


@st.cache_resource(show_spinner=False)
def _settle() -> None:
    # What is loaded by now stays for good: later collections need not walk through it again.
    gc.collect()
    gc.freeze()


def sample(atlas: Atlas) -> int:
    """Draws the sample chooser in the sidebar and answers the chosen row of `atlas.points`.

    The choice lives in the URL as the sample's id (`?sample=60907`).
    """
    ids = atlas.points.id
    asked = st.query_params.get("sample", "")
    known = {int(asked)} & set(ids.tolist()) if asked.isdecimal() else set()
    if asked and not known:
        st.warning("No sample of this atlas has that id; here is its first one.")
    st.session_state["sample_chooser"] = known.pop() if known else int(ids[0])
    with st.sidebar:
        chosen = st.number_input(
            "Sample",
            min_value=int(ids.min()),
            max_value=int(ids.max()),
            step=1,
            key="sample_chooser",
            on_change=lambda: st.query_params.update(sample=str(st.session_state.sample_chooser)),
            help="The id of one input, as shown on the map.",
        )
    return int((ids == chosen).nonzero()[0][0])


def cached(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, computed once for all visitors.

    Atlases, classifiers and samples are told apart by their fingerprint, so making the key never
    reads their arrays; plain values and frozen settings by what they are.
    """
    return _cached(f"{function.__module__}.{function.__qualname__}", key(args), function, args)


@st.cache_resource(max_entries=64, show_spinner="Computing …")
def _cached(name: str, key: str, _function: Callable[..., Any], _args: tuple) -> Any:
    return _function(*_args)


def key(value: Any) -> str:
    """A text that is equal for equal arguments; nouns with a fingerprint answer with that.

    Raises:
        TypeError: nothing is known about telling two such values apart.
    """
    kind = type(value).__qualname__
    fingerprint = getattr(value, "fingerprint", None)
    if isinstance(fingerprint, str):
        return f"{kind}:{fingerprint}"
    if value is None or isinstance(value, str | bytes | bool | int | float | slice | PurePath):
        return f"{kind}:{value!r}"
    if isinstance(value, tuple | list):
        return f"{kind}({','.join(map(key, value))})"
    if isinstance(value, Mapping):
        return f"{kind}({','.join(sorted(f'{key(k)}={key(v)}' for k, v in value.items()))})"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
        return f"{value.dtype.str}{value.shape}{digest}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return f"{kind}{key(fields)}"
    raise TypeError(f"A {kind} cannot be part of the key of a shared result.")
