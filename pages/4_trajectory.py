"""Trajectory: an attack on one sample, followed step by step."""

import streamlit as st

from introspect.ui import player, session

st.title("Trajectory")
player.draw(session.atlas())
