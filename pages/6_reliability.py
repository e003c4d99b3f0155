"""Reliability: can the network's errors be told before they happen?"""

import streamlit as st

from introspect.ui import reliability, session, strangers

st.title("Reliability")
atlas = session.atlas()
reliability.draw(atlas)
strangers.draw(atlas)
