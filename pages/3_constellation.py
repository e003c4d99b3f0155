"""Constellation: noisy copies of one sample scatter over the activation map."""

import streamlit as st

from introspect.ui import constellation, session

st.title("Constellation")
constellation.draw(session.atlas())
