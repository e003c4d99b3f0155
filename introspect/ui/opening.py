"""Opens an atlas that is not on the shelf yet: an uploaded zip, or a folder on this machine."""

from __future__ import annotations

import streamlit as st

from introspect import library
from introspect.errors import BadInput
from introspect.space import whose
from introspect.ui import nav, session, shelf, upload
from introspect.ui.wording import plain

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def draw() -> None:
    """Draws both ways in; a problem is said in place and the field keeps its content."""
    left, right = st.columns(2, gap="large")
    with left:
        _upload()
    with right:
        _folder()


def _upload() -> None:
    st.subheader("From a file", anchor=False)
    file = st.file_uploader(
        "Atlas file",
        key="open_file",
        max_upload_size=upload.ATLAS_MB,
        help="A .zip that was downloaded from this page or made with introspect export.",
    )
    if file is None:
        return
    key = f"added-{file.file_id}"
    if key not in st.session_state:
        try:
            with st.spinner("Checking the file …"):
                st.session_state[key] = library.add(upload.reader(file), file.name).name
        except BadInput as problem:
            st.error(plain(problem))
            return
        shelf.changed()
    name = st.session_state[key]
    st.success(f"**{plain(name)}** is on your shelf.", icon=":material/check_circle:")
    _open_button(name, "open-added")


def _folder() -> None:
    st.subheader("From a folder", anchor=False)
    if whose() is not None or st.get_option("server.address") not in LOOPBACK:
        st.caption("This server is shared, so folders of its machine are not opened from here.")
        return
    path = st.text_input(
        "Atlas folder",
        key="open_folder",
        placeholder="results/digits.atlas",
        help="The path of an .atlas folder on this machine; it stays where it is.",
    )
    if not path.strip():
        return
    try:
        name = shelf.open_path(path)
    except BadInput as problem:
        st.error(plain(problem))
        return
    st.success(f"**{plain(name)}** is on your shelf.", icon=":material/check_circle:")
    _open_button(name, "open-folder-map")


def _open_button(name: str, key: str) -> None:
    if st.button("Open the map", icon=":material/scatter_plot:", type="primary", key=key):
        session.choose(name)
        nav.open_page("activation_map")
