"""Attack flow: many samples attacked, where their walks lead and which classes give way."""

import streamlit as st

from introspect.ui import attack_flow, session

st.title("Attack flow")
attack_flow.draw(session.atlas())
