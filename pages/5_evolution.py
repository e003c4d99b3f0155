"""Training evolution: where learning took the samples, step by step."""

import streamlit as st

from introspect.ui import evolution, session

st.title("Training evolution")
evolution.draw(session.atlas())
