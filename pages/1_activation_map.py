"""Activation map: every sample lies where the network's hidden units put it."""

import streamlit as st

from introspect.ui import explore, session

st.title("Activation map")
explore.draw(session.atlas())
