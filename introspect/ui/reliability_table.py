"""The scores side by side: as tables to read, and as a file to keep."""

from __future__ import annotations

import csv
import io
import math

import streamlit as st

from introspect.answers import SCORES
from introspect.ranking import MEASURES, Estimate
from introspect.reliability import Weighing, verdict

SHOWN = {
    "auroc": ("AUROC", 1, ".4f", "chance that a wrong answer looks more doubtful than a right one"),
    "fpr95_err": (
        "FPR95, errors",
        100,
        ".1f",
        "percent of the right answers flagged where 95 % of the errors are caught "
        "(Hendrycks and Gimpel)",
    ),
    "fpr95_corr": (
        "FPR95, right",
        100,
        ".1f",
        "percent of the errors let through where 95 % of the right answers are accepted "
        "(as FD-Shifts counts it)",
    ),
    "aurc": (
        "AURC ×10³",
        1000,
        ".2f",
        "mean error rate over all shares of answers accepted, surest first",
    ),
    "e_aurc": ("E-AURC ×10³", 1000, ".2f", "AURC beyond that of a perfect order"),
    "augrc": (
        "AUGRC ×10³",
        1000,
        ".2f",
        "mean share of all answers that are accepted and wrong (Traub et al. 2024)",
    ),
}
"""Measure: heading, factor, digits, explanation. The first is better high, the others low."""


def draw(weighing: Weighing, name: str) -> None:
    """Draws the sentence, the table of scores, that of their differences, and the download."""
    st.markdown(f"**{verdict(weighing)}**")
    if weighing.wrong in (0, weighing.n):
        return
    columns = {
        heading: st.column_config.TextColumn(help=help[0].upper() + help[1:] + ".")
        for heading, _, _, help in SHOWN.values()
    }
    st.dataframe(to_rows(weighing), hide_index=True, column_config=columns)
    st.dataframe(to_differences(weighing), hide_index=True, column_config=columns)
    st.caption(
        f"In brackets 95 % intervals of {weighing.resamples:,} resamples of these "
        f"{weighing.n:,} answers, the same ones for every score, so that differences are paired. "
        "AUROC is better high, all others low. The intervals tell how far these samples can "
        "decide for *this* network; another training run may decide otherwise."
    )
    st.download_button(
        "CSV of this table",
        data=lambda: to_csv(weighing),
        file_name=f"reliability-{weighing.split}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"reliability-csv-{name}-{weighing.split}",
    )


def to_rows(weighing: Weighing) -> list[dict[str, str]]:
    """A row per score: its measures, the AUROC with its interval."""
    rows = []
    for score, found in weighing.values.items():
        row = {"score": SCORES[score]}
        for what, (heading, factor, form, _) in SHOWN.items():
            row[heading] = (
                _ranged(found[what], factor, form)
                if what == "auroc"
                else _number(found[what].value, factor, form)
            )
        rows.append(row)
    return rows


def to_differences(weighing: Weighing) -> list[dict[str, str]]:
    """A row per pair of scores: differences with intervals, and what the AUROC says."""
    rows = []
    for (a, b), found in weighing.differences.items():
        gap = found["auroc"]
        better = SCORES[a if gap.value > 0 else b]
        row = {
            "difference": f"{SCORES[a]} − {SCORES[b]}",
            "by AUROC": f"{better} better" if gap.apart else "equal here",
        }
        for what, (heading, factor, form, _) in SHOWN.items():
            # Of the same answers, E-AURC differs as AURC does.
            if what != "e_aurc":
                row[heading] = _ranged(found[what], factor, f"+{form}")
        rows.append(row)
    return rows


def to_csv(weighing: Weighing) -> str:
    """Every value and every paired difference with its interval, as plain numbers."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(("split", "samples", "wrong", "score", "minus", "measure", "value", "low", "high"))
    said = (weighing.split, weighing.n, weighing.wrong)
    pairs = [((score, ""), found) for score, found in weighing.values.items()]
    for (a, b), found in [*pairs, *weighing.differences.items()]:
        for what in MEASURES:
            one = found[what]
            numbers = ("" if math.isnan(v) else repr(v) for v in (one.value, one.low, one.high))
            write((*said, a, b, what, *numbers))
    return out.getvalue()


def _number(value: float, factor: float, form: str) -> str:
    return "" if math.isnan(value) else format(factor * value, form).replace("-", "−")


def _ranged(estimate: Estimate, factor: float, form: str) -> str:
    middle, low, high = (
        _number(v, factor, form) for v in (estimate.value, estimate.low, estimate.high)
    )
    return f"{middle} ({low} to {high})" if low else middle
