"""What a visitor has chosen, and what all visitors share: pages get their atlas from here."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect.errors import BadInput
from introspect.ui import shelf

if TYPE_CHECKING:
    from introspect.atlas import Atlas

CHOICE = "chosen_atlas"
WIDGET = "atlas_chooser"


def atlas() -> Atlas:
    """Draws the atlas chooser in the sidebar and answers the chosen one; every page calls it first.

    The choice lives in the URL (`?atlas=name`), so a link opens what its sender saw. Where there is
    nothing to open, or the chosen one cannot be read, the page says so and stops here.
    """
    books = shelf.books()
    if not books:
        st.info("There is no atlas yet. Build one from your own model on the Load page.")
        st.stop()
    name = _choice(books)
    st.session_state[WIDGET] = name
    with st.sidebar:
        st.selectbox(
            "Atlas",
            list(books),
            key=WIDGET,
            format_func=lambda key: books[key].title,
            on_change=_remember,
            help="Which model's activation map to look at. The Load page adds your own.",
        )
    try:
        return load(books[name].path, books[name].version)
    except BadInput as problem:
        st.error(str(problem))
        st.stop()


def choose(name: str) -> None:
    """Makes `name` the chosen atlas on every page of this visitor, and puts it into the URL."""
    st.session_state[CHOICE] = name
    st.query_params["atlas"] = name


def _choice(books: dict[str, shelf.Book]) -> str:
    asked = st.query_params.get("atlas")
    if asked is not None and asked not in books:
        st.warning("The atlas named in the link is not on this machine; here is another one.")
    name = next(
        (name for name in (asked, st.session_state.get(CHOICE)) if name in books), next(iter(books))
    )
    if asked != name:
        st.query_params["atlas"] = name
    st.session_state[CHOICE] = name
    return name


def _remember() -> None:
    choose(st.session_state[WIDGET])


def load(path: Path, version: str) -> Atlas:
    """The atlas in the folder, shared read-only by all visitors; `version` is part of the key."""
    found = _load(str(path), version)
    _settle()
    return found


@st.cache_resource(max_entries=4, show_spinner="Opening the atlas …")
def _load(path: str, version: str) -> Atlas:
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
        st.warning("The sample named in the link is not in this atlas; here is its first one.")
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
    rows = (ids == chosen).nonzero()[0]
    if len(rows) == 0:
        st.error(f"No sample of this atlas has the id {chosen}.")
        st.stop()
    return int(rows[0])


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
    """A text that is equal for equal arguments; nouns with a fingerprint answer with that."""
    fingerprint = getattr(value, "fingerprint", None)
    if isinstance(fingerprint, str):
        return f"{type(value).__qualname__}:{fingerprint}"
    if isinstance(value, tuple | list):
        return f"{type(value).__qualname__}({','.join(key(item) for item in value)})"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}={key(item)}" for name, item in sorted(value.items())) + "}"
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        import hashlib

        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value)
