"""Load: choose an atlas, open one from a file, or build one from a model and its data."""

import streamlit as st

from introspect.ui import shelf

st.title("Load")
for book in shelf.books().values():
    st.page_link("pages/1_activation_map.py", label=book.title, query_params={"atlas": book.name})
