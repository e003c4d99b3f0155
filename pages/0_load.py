"""Load: choose an atlas, open one from a file, or build one from a model and its data."""

import streamlit as st

from introspect.ui import card, opening, progress, session, workbench

session.choice()
st.title("Load")
st.caption(
    "An atlas is a model's activation map with all that belongs to it. Choose one to explore, "
    "open one from a file, or build one from your own model and data."
)
progress.draw()
shelf, file, build = st.tabs(
    ["Choose", "Open from a file", "Build from a model"], key="tab", bind="query-params"
)
with shelf:
    card.draw_all()
with file:
    opening.draw()
with build:
    workbench.draw()
