"""One card per atlas: what it is, a glance at its map, and what can be done with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from introspect import archive, library, publishing
from introspect.errors import BadInput
from introspect.library import Entry
from introspect.space import whose
from introspect.store import open_folder
from introspect.ui import nav, preview, session, shelf
from introspect.ui.wording import date, plain, size

NOTICE = "deleted_atlas"
ORIGIN = {
    "bundled": "bundled",
    "mine": "yours",
    "opened": "from a folder",
    "published": "published",
}
PUBLISHED = "published_atlas"


def draw_all() -> None:
    """Draws every atlas on the shelf, and what was deleted lately."""
    _draw_notice()
    books = shelf.books()
    if not books:
        st.info(
            "There is no atlas yet. Open one from a file, or build one from your own model: "
            "the tabs above lead there.",
            icon=":material/info:",
        )
    with st.grid(min_column_width=260):
        for name, entry in books.items():
            with st.container(border=True, key=f"card-{entry.kind}-{name}"):
                _draw(name, entry)
    _draw_trash()


def _draw(name: str, entry: Entry) -> None:
    if entry.problem:
        st.subheader(plain(name), anchor=False)
        st.error(plain(entry.problem))
    else:
        st.image(_picture(entry.path, entry.modified), width="stretch", alt=f"The map of {name}")
        st.subheader(plain(name), anchor=False)
        st.caption(_facts(entry))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open the map",
            key=f"choose-{name}",
            type="primary",
            disabled=bool(entry.problem),
            width="stretch",
        ):
            session.choose(name)
            nav.open_page("activation_map")
        with st.popover("More", key=f"more-{name}", help=f"Download, rename or delete {name}"):
            _draw_more(name, entry)


def _draw_more(name: str, entry: Entry) -> None:
    if not entry.problem:
        st.download_button(
            "Download as a file",
            data=lambda: _packed(entry),
            file_name=f"{name}.atlas.zip",
            mime="application/zip",
            icon=":material/download:",
            key=f"download-{name}",
            on_click="ignore",
            help="One zip file that can be opened here or on another machine.",
            width="stretch",
        )
    if entry.kind == "mine":
        st.text_input(
            "Name",
            value=name,
            key=f"rename-{name}",
            max_chars=80,
            on_change=_rename,
            args=(entry, f"rename-{name}"),
            help="Type another name and press Enter.",
        )
        if problem := st.session_state.pop(f"problem-{name}", ""):
            st.error(plain(problem))
        st.button(
            "Delete",
            icon=":material/delete:",
            key=f"delete-{name}",
            on_click=_delete,
            args=(entry,),
            help="It can be brought back for 30 days.",
            width="stretch",
        )
        if whose() is not None:
            st.button(
                "Publish",
                icon=":material/public:",
                key=f"publish-{name}",
                on_click=_publish,
                args=(entry,),
                help="Every visitor of this server can then open and download it. You can take "
                "it back at any time.",
                width="stretch",
            )
    elif entry.kind == "published":
        if entry.own:
            st.button(
                "Take back",
                icon=":material/public_off:",
                key=f"unpublish-{name}",
                on_click=_take_back,
                args=(entry,),
                help="Only you see it again from then on.",
                width="stretch",
            )
        else:
            st.caption("It was published on this server and stays as it is.")
    elif entry.kind == "opened":
        st.button(
            "Take off this list",
            icon=":material/playlist_remove:",
            key=f"forget-{name}",
            on_click=shelf.forget,
            args=(entry,),
            help=f"The files stay where they are, in {plain(str(entry.path))}.",
            width="stretch",
        )
    else:
        st.caption("This one comes with Introspect and stays as it is.")


def _facts(entry: Entry) -> str:
    origin = f"{ORIGIN[entry.kind]} · {size(entry.size)} · {date(entry.modified)}"
    return "  \n".join([*facts(entry.summary), origin])


def facts(summary: dict) -> list[str]:
    """What an atlas's settings say about it, as far as they do, in one or two lines."""
    lines = (
        (("n", "{:,} points"), ("accuracy", "{:.2%} right")),
        (("p", "{:,} units"), ("k", "{} classes")),
    )
    told = (
        [
            words.format(summary[key])
            for key, words in line
            if type(summary.get(key)) in (int, float)
        ]
        for line in lines
    )
    return [" · ".join(words) for words in told if words]


@st.cache_data(max_entries=64, show_spinner=False)
def _picture(path: Path, modified: float) -> bytes:
    return preview.draw(open_folder(path) / "points.parquet")


def _packed(entry: Entry) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return archive.pack(entry.path, Path(folder) / "packed.zip").read_bytes()


def _rename(entry: Entry, key: str) -> None:
    try:
        renamed = library.rename(entry, st.session_state[key])
    except BadInput as problem:
        st.session_state[f"problem-{entry.name}"] = str(problem)
        return
    shelf.changed()
    if st.query_params.get("atlas") == entry.name:
        session.choose(renamed.name)


def _delete(entry: Entry) -> None:
    try:
        token = library.delete(entry)
    except BadInput as problem:
        st.session_state[f"problem-{entry.name}"] = str(problem)
        return
    st.session_state[NOTICE] = (token, entry.name)
    if st.query_params.get("atlas") == entry.name:
        del st.query_params["atlas"]
    shelf.changed()


def _publish(entry: Entry) -> None:
    try:
        shown = publishing.publish(entry)
    except BadInput as problem:
        st.session_state[NOTICE] = (None, str(problem))
        return
    st.session_state[PUBLISHED] = shown
    shelf.changed()


def _take_back(entry: Entry) -> None:
    st.session_state.pop(PUBLISHED, None)
    try:
        back = publishing.take_back(entry)
    except BadInput as problem:
        st.session_state[NOTICE] = (None, str(problem))
    else:
        st.session_state[NOTICE] = (None, f"{back.name} is seen by you only again.")
    shelf.changed()


def _restore(token: str) -> None:
    try:
        entry = library.restore(token)
    except BadInput as problem:
        st.session_state[NOTICE] = (None, str(problem))
    else:
        st.session_state[NOTICE] = (None, f"{entry.name} is back.")
    shelf.changed()


def _draw_notice() -> None:
    token, text = st.session_state.pop(NOTICE, (None, ""))
    if token is not None:
        # Stays until something else happens to it: an undo must not be missed.
        st.session_state[NOTICE] = (token, text)
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="undo"):
            st.markdown(f":material/delete: **{plain(text)}** was deleted.")
            st.button("Undo", icon=":material/undo:", on_click=_restore, args=(token,))
    elif text:
        st.info(plain(text), icon=":material/info:")
    if shown := st.session_state.get(PUBLISHED):
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="shown"):
            st.markdown(f":material/public: **{plain(shown.name)}** is open to every visitor.")
            st.button("Undo", icon=":material/undo:", on_click=_take_back, args=(shown,))


def _draw_trash() -> None:
    if deleted := library.trash():
        with st.expander(f"Deleted in the last 30 days ({len(deleted)})"):
            for gone in deleted:
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"{plain(gone.name)}, deleted on {date(gone.when)}")
                    st.button(
                        "Restore",
                        key=f"restore-{gone.token}",
                        on_click=_restore,
                        args=(gone.token,),
                    )
