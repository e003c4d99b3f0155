"""The attack flow page: choose an attack and samples, run it in the background, look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.components.v2 import component

from introspect.errors import BadInput
from introspect.fanning import read_job
from introspect.flow import Flow, check_size, choose_rows
from introspect.jobs import Job
from introspect.samples import SPLITS
from introspect.ui import attack_flow_runs as runs
from introspect.ui import components, session
from introspect.ui.attack_flow_payload import pack_flow, to_csv, to_npz
from introspect.ui.player_export import settings_text
from introspect.ui.player_knobs import configure, threshold_of
from introspect.ui.player_payload import pack_ground
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.ui.player_payload import Ground, Played

_flow = component("introspect_attack_flow", js=components.LOADER)

MOST = 10_000
COUNT = 300
WIDE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: 2.2rem; padding-right: 2.2rem; }
</style>"""


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title."""
    st.html(WIDE)
    if not atlas.complete or atlas.kept is None:
        st.info(
            "This atlas came without its network or without its samples, so nothing can be "
            "attacked. Open it from Python with the network: `introspect.load(path, model=…)`.",
            icon=":material/info:",
        )
        return
    _order(atlas)
    opened = runs.choose(atlas)
    if opened is None:
        if not st.session_state[runs.LIVE]:
            _draw_empty(atlas)
        return
    _show(atlas, opened)


# ---------------------------------------------------------------- computing
def _order(atlas: Atlas) -> None:
    """Draws the choice of samples and attack, and starts what is ordered."""
    name = atlas.fingerprint[:12]
    classes = atlas.classes
    first, second, third, fourth, fifth = st.columns(
        [1, 1.9, 1.2, 1, 0.8], vertical_alignment="bottom"
    )
    count = first.number_input(
        "Samples",
        min_value=1,
        max_value=MOST,
        value=COUNT,
        step=100,
        key=f"flow-count-{name}",
        persist_state="session",
        help="How many are attacked: equally many of every class, drawn at random.",
    )
    begin = second.multiselect(
        "Begin from",
        range(len(classes)),
        format_func=lambda code: classes[code],
        placeholder=f"all {len(classes)} classes",
        key=f"flow-classes-{name}",
        persist_state="session",
        help="The classes the network takes the samples for before the attack.",
    )
    splits = [split for code, split in enumerate(SPLITS) if (atlas.points.split == code).any()]
    split = third.selectbox(
        "Out of",
        ["all", *splits],
        index=splits.index("test") + 1 if "test" in splits else 0,
        format_func=lambda split: "all samples" if split == "all" else f"the {split} split",
        key=f"flow-split-{name}",
        persist_state="session",
    )
    right = fourth.selectbox(
        "Which",
        [True, False],
        format_func=lambda right: "right answers" if right else "any answer",
        key=f"flow-right-{name}",
        persist_state="session",
        help="Whether samples that the network gets wrong, or whose class nobody knows, take part.",
    )
    seed = fifth.number_input(
        "Seed",
        min_value=0,
        max_value=2**31 - 1,
        key=f"flow-seed-{name}",
        persist_state="session",
        help="Where the random numbers start: the same seed draws the same samples.",
    )
    attack, targets, alarm, place = configure(atlas, f"flow-{name}")
    with place:
        pressed = st.button(
            "Run in the background",
            icon=":material/play_arrow:",
            type="primary",
            key=f"flow-run-{name}",
            width="stretch",
        )
    if not pressed:
        return
    try:
        picked = [int(code) for code in begin]
        rows = choose_rows(atlas, int(count), int(seed), split, picked or None, bool(right))
        check_size(atlas, len(rows), len(targets) or len(classes), attack.steps)
        method = type(attack).__name__.lower()
        settings = {name: getattr(attack, name) for name in attack.__dataclass_fields__}  # type: ignore[attr-defined]
        of = f" of {', '.join(classes[code] for code in picked[:4])}" if picked else ""
        more = " …" if len(picked) > 4 else ""
        job = runs.start(
            atlas,
            f"{len(rows):,} samples{of}{more}: {settings_text(method, settings)}",
            count=int(count),
            seed=int(seed),
            split=split,
            classes=picked,
            right=bool(right),
            method=method,
            settings=settings,
            targets=targets,
            threshold=threshold_of(atlas, alarm),
        )
    except BadInput as problem:
        st.error(plain(problem))
        return
    st.query_params[runs.OPEN] = job.id


# ---------------------------------------------------------------- showing
def _draw_empty(atlas: Atlas) -> None:
    k = len(atlas.classes)
    st.info(
        "No flow is computed yet. Press **Run in the background**: the samples are attacked "
        f"towards {'the other class' if k == 2 else f'all {k} classes'}, which takes from seconds "
        "to minutes; you may leave this page or close the browser meanwhile. You then see which "
        "classes give way to which, after how many steps, and through which places of the map.",
        icon=":material/route:",
    )


def _show(atlas: Atlas, job: Job) -> None:
    state = job.state()
    try:
        flow = read_flow_of(job)
    except BadInput as problem:
        st.error(plain(problem))
        return
    if state.state == "failed":
        st.error(plain(state.message))
    elif state.state == "dead":
        st.warning(plain(state.message))
    if flow is None or not len(flow):
        if state.state == "cancelled":
            st.info("It was stopped before the first samples were finished: press **Resume**.")
        return
    if state.state == "cancelled":
        st.warning(
            f"It was stopped: the {len(flow):,} samples finished until then are shown. "
            "**Resume** goes on behind them."
        )
    ground = session.cached(pack_ground, atlas)
    packed = _pack(atlas, ground, flow, f"{job.id}-{len(flow)}")
    BLOBS.publish(packed.blobs, {packed.key: "application/json"})
    _flow(
        key=f"flow-figure-{atlas.fingerprint[:12]}",
        data=components.data_for("attack_flow", manifest=packed.key),
    )
    st.caption(f"**How to read this figure.** {plain(explain(atlas, flow))}")
    _draw_exports(atlas, flow, job.id)


def read_flow_of(job: Job) -> Flow | None:
    """What a job computed, kept in memory while it is looked at.

    Raises:
        BadInput: its file is damaged.
    """
    stamps = [path.stat().st_mtime_ns for path in job.folder.rglob("*.npz") if path.is_file()]
    return _read(str(job.folder), max(stamps, default=0), len(stamps), _folder=job)


@st.cache_resource(max_entries=4, show_spinner="Reading the flow …")
def _read(folder: str, stamp: int, count: int, _folder: Job) -> Flow | None:
    return read_job(_folder.folder)


@st.cache_resource(max_entries=4, show_spinner="Preparing the flow …")
def _packed(key: str, _atlas: Atlas, _ground: Ground, _flow: Flow) -> Played:
    return pack_flow(_atlas, _ground, _flow)


def _pack(atlas: Atlas, ground: Ground, flow: Flow, key: str) -> Played:
    return _packed(f"{atlas.fingerprint}-{key}", atlas, ground, flow)


def _draw_exports(atlas: Atlas, flow: Flow, name: str) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "All walks (npz)",
            data=lambda: to_npz(flow),
            file_name="attack-flow.npz",
            mime="application/octet-stream",
            icon=":material/download:",
            key=f"flow-npz-{name}",
            on_click="ignore",
            help="Every place of every walk, steps, rates and settings, for numpy.load.",
        )
        st.download_button(
            "Rates as a table (CSV)",
            data=lambda: to_csv(flow, atlas.classes),
            file_name="attack-flow.csv",
            mime="text/csv",
            icon=":material/download:",
            key=f"flow-csv-{name}",
            on_click="ignore",
            help="One line for each pair of classes.",
        )


def explain(atlas: Atlas, flow: Flow) -> str:
    """The figure explained to a newcomer, plain text."""
    points = flow.z.shape[2]
    return (
        f"Each of {len(flow):,} samples was changed, a little at every one of {points - 1} steps "
        f"({settings_text(flow.attack, flow.settings)}), towards every target class, and each "
        "step was placed on the map: one walk for each sample and target. The warm tint tells how "
        "many walks pass a place, on a logarithmic scale; an arrow points where they go on "
        "average, and is the longer the more they agree. The numbered rings are gateways: places "
        "where the answers of many walks change to their target, counted and listed below. The "
        "table has the class at the start in rows and the target in columns; a press on a number "
        "shows only those walks, each as a line in the colour of its target, a dot where it "
        "arrives; a press on a name shows all walks from or towards that class. The alarm is the "
        "estimated error from all activations, ê(h), rising above "
        f"{10**flow.threshold:.2g}; it counts as in time when it sounds no later than the step "
        "at which the network says the target. The ground's tint is the estimated error at each "
        "place, the pale dots are recorded samples. "
        + (
            f"{int((flow.stalled > 0).sum()):,} walks came to a stand because every gradient was "
            "exactly 0: the loss called logits goes on there. "
            if (flow.stalled > 0).any()
            else ""
        )
        + "After the gateways that Pardo et al. (2020, §3.5) suspect."
    )
