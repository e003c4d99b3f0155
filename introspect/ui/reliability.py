"""The reliability page: can errors be told from the activations before anybody checks?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.components.v2 import component

from introspect.answers import SCORES, UNITS, Answers, answers, confidences
from introspect.calibration import Calibration, calibrate, compare_errors, learn_probability
from introspect.plots import calibration as calibration_plot
from introspect.plots import risk_coverage as risk_coverage_plot
from introspect.plots import roc as roc_plot
from introspect.plots import violin as violin_plot
from introspect.plots.palette import marks
from introspect.reliability import (
    RIVALS,
    Curve,
    Trade,
    Violins,
    Weighing,
    alarm_level,
    risk_coverage,
    roc,
    trade,
    violins,
    weigh,
)
from introspect.samples import SPLITS
from introspect.ui import components, reliability_table, session

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from introspect.atlas import Atlas

_threshold = component("introspect_threshold", js=components.LOADER)

ROOM = 62
"""Width of a class in pixels, below which the violins scroll instead of shrinking."""
MANY = 14
"""More classes than these are not all drawn at first."""

INTRO = """
A network answers with the same face when it is wrong. Its activations often tell the two apart:
**ê(h)** estimates the error of an answer from all activations, **ê(z)** from the place on the map
alone, and **MSP**, the usual baseline, is the largest softmax probability. This page shows how far
each of them knows a wrong answer before anybody checks it. Errors are ½‖y − ŷ‖²; figures show their
log10: −1 is a tenth, 0 a confident mistake.
"""
LEARNT = {
    "validation": "ê(h) was learnt on the validation samples: here it looks better than it is.",
    "train": "The network and ê(z) were learnt on the training samples: here both look better than "
    "they are.",
}
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title; choices rerun this part only."""
    st.caption(INTRO)
    _draw(atlas)


@st.fragment
def _draw(atlas: Atlas) -> None:
    name = atlas.fingerprint[:12]
    split, score = _choose(atlas, name)
    given: Answers = session.cached(answers_of, atlas, split)
    if not len(given):
        st.info(
            f"No sample of the {split} split has a label, so nobody knows which answers are "
            "wrong: build the atlas from labelled data to see how reliable the network is."
        )
        return
    if note := LEARNT.get(split):
        st.caption(f":material/info: {note}")
    if given.unlabelled:
        st.caption(f"{given.unlabelled:,} samples without a label were left out.")
    failed = int(given.wrong.sum())
    step = _step(name, split, score)
    found: Trade = session.cached(trade_of, atlas, split, score)
    start = _start(atlas, score, found)
    here = start if step is None else step
    _draw_violins(atlas, split, score, name, float(found.threshold[here]) if failed else None)
    _draw_rivals(atlas, split, name)
    if 0 < failed < len(given):
        st.subheader("A threshold: what it would catch, and what it would cost", anchor=False)
        _draw_threshold(given, found, score, start, name, split)
        _draw_curves(atlas, given, found, split, score, here)
    _draw_calibration(atlas, split, score, name)


def _choose(atlas: Atlas, name: str) -> tuple[str, str]:
    labelled = [
        split
        for code, split in enumerate(SPLITS)
        if ((atlas.points.split == code) & (atlas.points.label >= 0)).any()
    ]
    first = next((split for split in ("test", "validation", "train") if split in labelled), "test")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        split = st.segmented_control(
            "Samples",
            ["test", "validation", "train"],
            default=first,
            key=f"reliability-split-{name}",
            required=True,
            help="The test samples took part in no learning and no choice: they are the fair ones.",
        )
        score = st.segmented_control(
            "Told by",
            list(RIVALS),
            format_func=SCORES.__getitem__,
            default="error_map",
            key=f"reliability-score-{name}",
            required=True,
            help="What the violins, the threshold and the error diagram are about.",
        )
    return split or first, score or "error_map"


# ---------------------------------------------------------------- what is computed, once for all
def answers_of(atlas: Atlas, split: str) -> Answers:
    """The labelled answers of a split."""
    return answers(atlas.points, atlas.classifier.link, split)


def violins_of(atlas: Atlas, split: str, score: str) -> Violins:
    """The violins of a split in one score."""
    return violins(session.cached(answers_of, atlas, split), score)


def weigh_split(atlas: Atlas, split: str) -> Weighing:
    """The scores side by side on a split."""
    return weigh(session.cached(answers_of, atlas, split))


def trade_of(atlas: Atlas, split: str, score: str) -> Trade:
    """What thresholds on a score do on a split."""
    return trade(session.cached(answers_of, atlas, split), score)


def curves_of(atlas: Atlas, split: str) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """ROC and risk-coverage curves of the three scores."""
    given = session.cached(answers_of, atlas, split)
    return (
        {name: roc(given.scores[name], given.wrong) for name in RIVALS},
        {name: risk_coverage(given.scores[name], given.wrong) for name in RIVALS},
    )


def readings_of(atlas: Atlas, split: str) -> dict[str, Calibration]:
    """Reliability diagrams of every reading of the outputs, and of probabilities learnt."""
    given = session.cached(answers_of, atlas, split)
    said = confidences(atlas.points.outputs[given.row], atlas.classifier.link)
    if split != "validation":
        validation = session.cached(answers_of, atlas, "validation")
        for name in ("error_map", "msp"):
            learnt = learn_probability(
                validation.scores[name], ~validation.wrong, given.scores[name]
            )
            if learnt is not None:
                said[f"{SCORES[name]}, calibrated on validation"] = learnt
    return {name: calibrate(value, ~given.wrong) for name, value in said.items()}


# ---------------------------------------------------------------- what is drawn
def _show(figure: Figure, key: str) -> None:
    # The ground and the ink are the browser's: only it knows which theme is on.
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    figure.update_layout(font={"color": None, "family": None}, hoverlabel={"font": None})
    figure.update_xaxes(gridcolor=None, linecolor=None)
    figure.update_yaxes(gridcolor=None, linecolor=None)
    st.plotly_chart(figure, key=key, width="stretch", theme="streamlit", config=CONFIG)


def _dark() -> bool:
    return st.context.theme.type == "dark"


def _draw_violins(atlas: Atlas, split: str, score: str, name: str, threshold: float | None) -> None:
    found: Violins = session.cached(violins_of, atlas, split, score)
    classes = atlas.classes
    codes = found.code.tolist()
    st.subheader("Right and wrong answers, class by class", anchor=False)
    if not found.counts[1].any():
        st.info(f"None of these answers is wrong: the {split} samples have no violins of errors.")
    shown = codes
    if len(codes) > MANY:
        shown = st.multiselect(
            f"Classes ({len(codes)}; the {MANY} with the most errors to begin with)",
            codes,
            default=found.most_errors(MANY),
            format_func=lambda code: classes[code],
            key=f"reliability-classes-{name}-{split}",
        ) or found.most_errors(MANY)
    width = ROOM * len(shown) + 70
    with st.container(key="reliability-violins"):
        st.html(
            "<style>.st-key-reliability-violins { overflow-x: auto; }"
            f".st-key-reliability-violins > * {{ min-width: {width}px; }}"
            "</style>"
        )
        figure = violin_plot.draw(found, classes, shown=shown, threshold=threshold, dark=_dark())
        _show(figure, f"reliability-violin-{name}")
    st.caption(
        f"**How to read this.** For every class, the left half shows how doubtful {SCORES[score]} "
        "finds the answers that are right, the right half those that are wrong; higher is more "
        "doubtful, the bar is the median. Halves are equally wide, however few answers they hold; "
        "up to 12 answers are drawn as dots as well. On top: the class's sensitivity, the share "
        "of its samples that were answered right. Where the halves stand apart, a threshold "
        "(dashed) can catch the errors; where a wrong half reaches down, the network errs without "
        "a sign of doubt."
    )


def _draw_rivals(atlas: Atlas, split: str, name: str) -> None:
    st.subheader("ê(z), ê(h) and MSP side by side", anchor=False)
    reliability_table.draw(session.cached(weigh_split, atlas, split), name)


def _about(name: str, split: str, score: str) -> str:
    return f"{name} {split} {score}"


def _step(name: str, split: str, score: str) -> int | None:
    """Where the visitor left the threshold of this score and split, None where it was not moved."""
    held: Any = st.session_state.get(f"reliability-threshold-{name}")
    step = held.get("step") if held else None
    if isinstance(step, list) and len(step) == 2 and step[0] == _about(name, split, score):
        return step[1] if type(step[1]) is int and 0 <= step[1] < 401 else None
    return None


def _start(atlas: Atlas, score: str, found: Trade) -> int:
    """The step of 1 % false alarms on the validation samples."""
    # ê(h) was learnt on them: its level was set with estimates of rows held out.
    level = atlas.thresholds.get("log_error") if score == "error" else None
    if level is None:
        level = alarm_level(session.cached(answers_of, atlas, "validation"), score)
    return found.nearest(level) if level is not None else len(found.threshold) // 2


def _draw_threshold(
    given: Answers, found: Trade, score: str, start: int, name: str, split: str
) -> None:
    failed = int(given.wrong.sum())
    colours = marks(_dark())
    _threshold(
        key=f"reliability-threshold-{name}",
        data=components.data_for(
            "threshold",
            about=_about(name, split, score),
            kind="msp" if score == "msp" else "error",
            unit=UNITS[score],
            threshold=[round(float(value), 4) for value in found.threshold],
            caught=found.caught.tolist(),
            alarms=found.alarms.tolist(),
            right=found.right.tolist(),
            wrong=found.wrong.tolist(),
            wrongs=failed,
            rights=len(given) - failed,
            start=start,
            colours=[colours["right"], colours["wrong"]],
        ),
        on_step_change=lambda: None,
    )
    st.caption(
        "Move the slider (or drag in the figure, or use the arrow keys): answers to the right of "
        "the line are flagged. It starts where 1 % of the right *validation* answers would be "
        "flagged. Both halves of the figure have their own scale."
    )


def _draw_curves(
    atlas: Atlas, given: Answers, found: Trade, split: str, score: str, here: int
) -> None:
    rocs, risks = session.cached(curves_of, atlas, split)
    weighing: Weighing = session.cached(weigh_split, atlas, split)
    failed = int(given.wrong.sum())
    caught, alarms = int(found.caught[here]), int(found.alarms[here])
    accepted = len(given) - caught - alarms
    left, right = st.columns(2)
    with left:
        st.subheader("Errors caught for false alarms", anchor=False)
        at = (score, alarms / (len(given) - failed), caught / failed)
        area = {name: one["auroc"].value for name, one in weighing.values.items()}
        _show(roc_plot.draw(rocs, area, at=at, dark=_dark()), "reliability-roc")
        st.caption(
            "ROC: every threshold is a point. Up is better, left is cheaper; on the dotted line a "
            "score knows nothing. The dot is the threshold above."
        )
    with right:
        st.subheader("Fewer answers, fewer errors", anchor=False)
        share = (failed - caught) / accepted if accepted else 0.0
        at = (score, accepted / len(given), share)
        figure = risk_coverage_plot.draw(risks, failed / len(given), at=at, dark=_dark())
        _show(figure, "reliability-risk")
        st.caption(
            "Risk and coverage: if the network may keep silent where it is least sure, how often "
            "is it wrong in the answers it gives? Lower is better; the thin line is a perfect "
            "order."
        )


def _draw_calibration(atlas: Atlas, split: str, score: str, name: str) -> None:
    diagrams: dict[str, Calibration] = session.cached(readings_of, atlas, split)
    left, right = st.columns(2)
    with left:
        st.subheader("Is “90 % sure” right nine times in ten?", anchor=False)
        reading = st.selectbox(
            "Probability read as",
            list(diagrams),
            key=f"reliability-reading-{name}-{split}",
            help="A sigmoid network has no single probability of its answer: the readings differ.",
        )
        diagram = diagrams[reading]
        _show(calibration_plot.draw(diagram, dark=_dark()), "reliability-calibration")
        st.caption(
            f"Expected calibration error (15 equal bins): **{diagram.gap:.2%}**. On the dotted "
            "line the network is right as often as it says; above it, it is too modest, below it "
            "too sure. Bars of 95 %; below, the number of samples in every bin."
        )
    with right:
        if score == "msp":
            return
        st.subheader("Is the estimated error the true one?", anchor=False)
        errors: Calibration = session.cached(errors_of, atlas, split, score)
        figure = calibration_plot.draw(errors, errors=True, dark=_dark())
        _show(figure, "reliability-errors")
        st.caption(
            f"{SCORES[score]} against the error that was measured, both log10, in bins of equally "
            f"many samples; on average they are {errors.gap:.2f} decades apart. True errors below "
            "10⁻⁸ count as 10⁻⁸."
        )


def errors_of(atlas: Atlas, split: str, score: str) -> Calibration:
    """An estimate of the error against the true one."""
    given = session.cached(answers_of, atlas, split)
    return compare_errors(given.scores[score], given.log_error)
