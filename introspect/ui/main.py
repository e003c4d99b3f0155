"""The frame around every page: title, icon, menu."""

import streamlit as st

from introspect.bundled import site
from introspect.ui import visitors
from introspect.ui.nav import pages

# Before anything is uploaded: the door lets in uploads only for sessions it knows.
visitors.whose()

st.set_page_config(page_title="Introspect", page_icon=site() / "assets/icon.png", layout="wide")
st.logo(site() / "assets/logo.svg", size="large", icon_image=site() / "assets/icon.png")
st.navigation(pages()).run()
