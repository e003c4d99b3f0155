"""The way in: `streamlit run app.py`, or any ASGI server pointed at `app:app`."""

import os

import streamlit as st

from introspect.ui import MAIN
from introspect.ui.guard import GUARD
from introspect.ui.nav import FIRST_ROUTE
from introspect.ui.routes import ROUTES
from introspect.ui.warm import lifespan

# Before torch is loaded: threads that wait by spinning hold up everybody else's clicks.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = st.App(MAIN, routes=[FIRST_ROUTE, *ROUTES], middleware=[GUARD], lifespan=lifespan)
