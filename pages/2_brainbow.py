"""Brainbow: all units of the network, sorted and coloured by the class they answer most."""

import streamlit as st

from introspect.ui import brainbow, session

st.title("Brainbow")
brainbow.draw(session.atlas())
