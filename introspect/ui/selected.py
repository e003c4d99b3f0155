"""What was drawn round: as pictures, as a table, as confusions, as a file to keep."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from introspect.errors import BadInput
from introspect.space import whose
from introspect.store import write_file
from introspect.ui import confusion_matrix
from introspect.ui.pinned import show
from introspect.ui.selection import chosen_rows, to_columns, to_csv
from introspect.ui.wording import plain
from introspect.window import VARIABLE

if TYPE_CHECKING:
    from introspect.atlas import Atlas

SHOWN = 600
"""Most samples sent as pictures or rows of a table; the file has all of them."""

ORDERS = {
    "most doubtful first": lambda points, rows: np.argsort(-points.log_error[rows], kind="stable"),
    "surest first": lambda points, rows: np.argsort(points.log_error[rows], kind="stable"),
    "mistakes first": lambda points, rows: np.argsort(
        (points.label[rows] < 0) | points.correct[rows], kind="stable"
    ),
    "by id": lambda points, rows: np.argsort(points.id[rows], kind="stable"),
}


def draw(
    atlas: Atlas, manifest: str, raw: Any, name: str, pin: Callable[[int | None], None]
) -> None:
    """Draws the selection below the map; nothing when there is none."""
    if raw is None:
        _tell_program([])
        return
    points, classes = atlas.points, atlas.classifier.classes
    try:
        rows = chosen_rows(points, len(classes), raw)
    except BadInput as problem:
        st.error(plain(problem))
        return
    _tell_program(points.id[rows].tolist())
    labelled = points.label[rows] >= 0
    wrong = int((labelled & (points.label[rows] != points.predicted[rows])).sum())
    with st.container(border=True, key=f"chosen-{name}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"##### {len(rows):,} selected{_share(wrong, int(labelled.sum()))}")
            order = st.selectbox(
                "Order", list(ORDERS), key=f"order-{name}", label_visibility="collapsed", width=210
            )
            st.download_button(
                "CSV with ids",
                data=lambda: to_csv(points, rows, classes),
                file_name="selection.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
                key=f"csv-{name}",
            )
        rows = rows[ORDERS[order](points, rows)]
        pictures, table, pairs = st.tabs(["Samples", "Table", "Confusions"])
        with pictures:
            show(atlas, manifest, rows[:SHOWN], f"chosen-pictures-{name}", pin)
            _tell_rest(len(rows))
        with table:
            _draw_table(points, rows[:SHOWN], classes)
            _tell_rest(len(rows))
        with pairs:
            confusion_matrix.draw(points, rows, classes, name)


def _tell_program(ids: list[int]) -> None:
    """Leaves the chosen ids for the program that has opened the app, where one has."""
    named = os.environ.get(VARIABLE)
    if named and whose() is None:
        write_file(named, json.dumps(ids).encode(), durable=False)


def _share(wrong: int, labelled: int) -> str:
    if not labelled:
        return ""
    return f", {wrong:,} of them wrong ({wrong / labelled:.1%})"


def _tell_rest(count: int) -> None:
    if count > SHOWN:
        st.caption(f"The first {SHOWN} of {count:,}; the CSV file has them all.")


def _draw_table(points: Any, rows: np.ndarray, classes: tuple[str, ...]) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        to_columns(points, rows, classes),
        hide_index=True,
        height=320,
        column_config={
            "x": number(format="%.3f"),
            "y": number(format="%.3f"),
            "log_error": number(format="%.2f", help="log10 of the estimated error, ê(h)"),
            "log_error_map": number(format="%.2f", help="log10 of the estimated error, ê(z)"),
            "off_map": number(format="%.1f", help="strangeness in percent"),
        },
    )
