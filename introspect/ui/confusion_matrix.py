"""The confusion matrix of what was drawn round on the map: labels against answers."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from introspect.ui.selection import Confusion, confusion_matrix, confusions_csv

if TYPE_CHECKING:
    from introspect.points import Points

RIGHT, WRONG = "#2a7f62", "#bd1f01"
STYLE = """<style>
.confusions { overflow-x: auto; margin: 0 0 0.4rem; }
.confusions table { border-collapse: separate; border-spacing: 2px; font-size: 0.82rem;
  font-variant-numeric: tabular-nums; margin: 0; width: auto; }
.confusions th, .confusions td { border: 0; padding: 4px 8px; text-align: center; min-width: 44px;
  border-radius: 4px; white-space: nowrap; }
.confusions th { font-weight: 600; max-width: 116px; overflow: hidden; text-overflow: ellipsis; }
.confusions tbody th { text-align: right; }
.confusions .quiet { opacity: 0.62; font-weight: 400; }
.confusions td.none { opacity: 0.35; }
</style>"""


def draw(points: Points, rows: np.ndarray, classes: tuple[str, ...], name: str) -> None:
    """Draws the matrix with its caption and its file, or says that nothing has a label.

    Args:
        name: tells the widgets of this atlas from those of another.
    """
    found = confusion_matrix(points, rows)
    total = int(found.counts.sum())
    if not total:
        st.caption("None of these samples has a label.")
        return
    label = points.label[rows]
    right = int(((label >= 0) & (label == points.predicted[rows])).sum())
    st.caption(f"{right:,} of {total:,} are right.")
    st.html(STYLE)
    st.html(to_html(found, classes))
    st.caption(caption(found))
    st.download_button(
        "Confusions as CSV",
        data=lambda: confusions_csv(points, rows, classes),
        file_name="confusions.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"confusions-{name}",
        help="Every pair of label and answer with its count.",
    )


def caption(found: Confusion) -> str:
    """The matrix explained to a newcomer."""
    rest = (
        f" **Other** sums the {found.others:,} rarer "
        f"{'class' if found.others == 1 else 'classes'} present here; where it meets itself, "
        "right and wrong answers are counted together."
        if found.others
        else ""
    )
    return (
        "**How to read this matrix.** A row holds the samples of one true class, a column those "
        "that the network takes for one class; a cell counts the samples that are both. Green "
        "cells on the diagonal are right answers, the stronger the larger their share of the row; "
        "red ones are mistakes, the stronger the more samples. Only classes that are present in "
        f"the selection are shown.{rest}"
    )


def to_html(found: Confusion, classes: tuple[str, ...]) -> str:
    """The matrix as a table: true classes down, answers across, sums at the rim."""
    names = [classes[code] for code in found.codes] + (["other"] if found.others else [])
    size = len(names)
    off = found.counts[~np.eye(size, dtype=bool)]
    worst = max(1, int(off.max(initial=0)))
    head = "".join(_head(name, "col") for name in names)
    lines = []
    for true in range(size):
        row = found.counts[true]
        cells = "".join(
            _cell(int(row[answer]), _tint(found, true, answer, worst), names[true], names[answer])
            for answer in range(size)
        )
        lines.append(f"<tr>{_head(names[true], 'row')}{cells}{_sum(int(row.sum()))}</tr>")
    sums = "".join(_sum(int(column)) for column in found.counts.sum(0))
    foot = f'<th scope="row" class="quiet">sum</th>{sums}{_sum(int(found.counts.sum()))}'
    return (
        '<div class="confusions" tabindex="0" role="region" aria-label="Confusion matrix"><table>'
        f'<thead><tr><th class="quiet">true \\ predicted</th>{head}'
        f'<th class="quiet">sum</th></tr></thead>'
        f"<tbody>{''.join(lines)}<tr>{foot}</tr></tbody></table></div>"
    )


def _tint(found: Confusion, true: int, answer: int, worst: int) -> str:
    count = int(found.counts[true, answer])
    if not count:
        return ""
    if true != answer:
        share = 14 + 44 * (count / worst) ** 0.5
        return f"color-mix(in srgb, {WRONG} {share:.0f}%, transparent)"
    if true == len(found.codes):  # "other" with itself holds right and wrong answers
        return "color-mix(in srgb, currentColor 10%, transparent)"
    share = 12 + 38 * count / int(found.counts[true].sum())
    return f"color-mix(in srgb, {RIGHT} {share:.0f}%, transparent)"


def _head(name: str, scope: str) -> str:
    safe = html.escape(name)
    return f'<th scope="{scope}" title="{safe}">{safe}</th>'


def _cell(count: int, tint: str, true: str, answer: str) -> str:
    said = html.escape(f"label {true}, answer {answer}: {count:,}")
    if not count:
        return f'<td class="none" title="{said}">·</td>'
    return f'<td style="background: {tint}" title="{said}">{count:,}</td>'


def _sum(count: int) -> str:
    return f'<td class="quiet">{count:,}</td>'
