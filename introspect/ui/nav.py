"""Which pages there are, found in a checkout or inside a wheel."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit.navigation.page import StreamlitPage

from introspect.bundled import site
from introspect.ui.routes import base

ICONS = {
    "load": ":material/folder_open:",
    "activation_map": ":material/scatter_plot:",
    "brainbow": ":material/looks:",
    "constellation": ":material/grain:",
    "trajectory": ":material/route:",
    "evolution": ":material/timeline:",
    "reliability": ":material/verified:",
    "sample_card": ":material/badge:",
    "attack_flow": ":material/air:",
}
TITLES = {"evolution": "Training evolution"}
FIRST = "activation_map"
"""The page a visitor lands on."""


def page_files() -> dict[str, Path]:
    """Page name to its script, in the order of the numbers in the file names."""
    files = sorted(
        (site() / "pages").glob("[0-9]*_*.py"), key=lambda path: int(path.name.split("_")[0])
    )
    return {path.stem.split("_", 1)[1]: path for path in files}


def pages() -> list[StreamlitPage]:
    """One entry of the menu per file in pages/, the activation map first to open."""
    return [
        st.Page(
            path,
            title=TITLES.get(name, name.replace("_", " ").capitalize()),
            url_path=name,
            icon=ICONS.get(name, ":material/insights:"),
            default=name == FIRST,
        )
        for name, path in page_files().items()
    ]


def _to_root(request: Request) -> RedirectResponse:
    query = request.url.query
    return RedirectResponse(f"{base()}/" + (f"?{query}" if query else ""), status_code=307)


FIRST_ROUTE = Route(f"{base()}/{FIRST}", _to_root)
"""Streamlit serves its default page at `/` only; a link by the page's own name must work too."""


def open_page(name: str) -> None:
    """Leaves this page for another one of the menu, keeping the chosen atlas in the URL."""
    atlas = st.query_params.get("atlas")
    st.switch_page(page_files()[name], query_params={"atlas": atlas} if atlas else None)
