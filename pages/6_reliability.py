"""Reliability: can the network's errors be told before they happen?"""

import streamlit as st

from introspect.ui import reliability, session

st.title("Reliability")
reliability.draw(session.atlas())
