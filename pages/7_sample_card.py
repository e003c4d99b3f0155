"""Sample card: one sample, or two side by side, with all that the network does with them."""

import streamlit as st

from introspect.ui import sample_card, session

st.title("Sample card")
sample_card.draw(session.atlas())
