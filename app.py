"""The way in: `streamlit run app.py`, or any ASGI server pointed at `app:app`."""

import streamlit as st

from introspect.ui import MAIN
from introspect.ui.guard import GUARD
from introspect.ui.nav import FIRST_ROUTE
from introspect.ui.routes import ROUTES

app = st.App(MAIN, routes=[FIRST_ROUTE, *ROUTES], middleware=[GUARD])
