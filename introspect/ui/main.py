"""The frame around every page: title, icon, menu."""

import streamlit as st

from introspect.bundled import site
from introspect.ui.nav import pages

st.set_page_config(page_title="Introspect", page_icon=site() / "assets/icon.png", layout="wide")
st.logo(site() / "assets/logo.svg", size="large", icon_image=site() / "assets/icon.png")
st.navigation(pages()).run()
