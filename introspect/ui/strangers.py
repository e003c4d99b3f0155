"""The panel of strangers: a second data set on the map, and how much of it is noticed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect.errors import BadInput, Cancelled, IntrospectError
from introspect.plots import strangers as figures
from introspect.points import OFF_THE_MAP
from introspect.strangers import Company, Notice, compare, fit, place, residents, sets
from introspect.ui import session, upload
from introspect.ui.brainbow_work import Work
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from torch import Tensor

    from introspect.atlas import Atlas
    from introspect.plugin import Progress

OWN = "a file of mine …"
MOST = 1000
"""Inputs placed: more would only make a person wait."""
INTRO = f"""
A network answers whatever it is shown, also what it was never made for. Here a second data set is
placed on the map: whose activations the map rebuilds worse than for {OFF_THE_MAP:g} % of the
validation samples is flagged as **unlike anything recorded**. AUROC is the chance that a stranger
looks stranger than a test sample, beside MSP, which looks at the largest output alone.
"""
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


@dataclass
class Meeting:
    """What one visitor placed last on one atlas, or is placing."""

    work: Work | None = None
    met: Company | None = None
    notice: Notice | None = None
    problem: str = ""


@st.fragment
def draw(atlas: Atlas) -> None:
    """The choice of a data set, then what became of it."""
    st.subheader("Unlike anything recorded", anchor=False)
    st.caption(INTRO)
    if not atlas.complete:
        st.info(
            "This atlas came without its network, so nothing new can be placed on it.",
            icon=":material/info:",
        )
        return
    if not (atlas.points.split == 2).any():
        st.info("This atlas has no test samples to compare strangers with.")
        return
    name = f"strangers-{atlas.fingerprint[:12]}"
    meeting: Meeting = st.session_state.setdefault(name, Meeting())
    work = meeting.work
    if work is not None and (work.future.done() or work.soon()):
        take(meeting, work)
    _choose(atlas, meeting, name)
    if meeting.problem:
        st.error(plain(meeting.problem))
    if meeting.work is not None:
        meeting.work.draw()
    if meeting.met is not None and meeting.notice is not None:
        _draw_outcome(atlas, meeting.met, meeting.notice, name)


def meet(
    atlas: Atlas,
    fetch: Callable[[int], Tensor],
    title: str,
    on_batch: Progress | None = None,
) -> tuple[Company, Notice]:
    """Fetches a set, places it and compares it with the test samples."""
    met = place(atlas, fetch(MOST), title, on_batch)
    return met, compare(residents(atlas), met)


def read_upload(kept: Path, shape: tuple[int, ...]) -> Callable[[int], Tensor]:
    """Reads an uploaded data set in quarantine, when called."""

    def fetch(most: int) -> Tensor:
        from introspect.samples import load_samples

        folder, _ = upload.decode(kept)
        return fit(load_samples(folder), shape, most)

    return fetch


def _choose(atlas: Atlas, meeting: Meeting, name: str) -> None:
    ways = sets(atlas)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        title = st.selectbox(
            "Who comes",
            [*ways, OWN],
            key=f"set-{name}",
            persist_state="session",
            width=330,
            help="Noise and spoilt test samples, other data sets on this machine or in the "
            "bundle, scaled to the size that the network reads; or a file.",
        )
        fetch = ways.get(title)
        if title == OWN:
            fetch, title = _upload(atlas, name)
        st.button(
            "Place them on the map",
            icon=":material/person_search:",
            type="primary",
            key=f"meet-{name}",
            disabled=fetch is None or meeting.work is not None,
            on_click=_start,
            args=(atlas, meeting, fetch, title),
        )


def _upload(atlas: Atlas, name: str) -> tuple[Callable[[int], Tensor] | None, str]:
    found = st.file_uploader(
        "Data",
        key=f"file-{name}",
        max_upload_size=upload.DATA_MB,
        width=430,
        help="Arrays as .npz, .npy, idx.gz or .safetensors, or a zip of pictures; labels are not "
        "needed. Pictures are scaled to the size that the network reads.",
    )
    if found is None:
        return None, OWN
    key = f"kept-{found.file_id}"
    if key not in st.session_state:
        try:
            st.session_state[key] = upload.keep([found], upload.DATA_MB)
        except BadInput as problem:
            st.error(plain(problem))
            return None, OWN
    return read_upload(st.session_state[key], atlas.classifier.input_shape), found.name


def _start(atlas: Atlas, meeting: Meeting, fetch: Any, title: str) -> None:
    meeting.problem, meeting.met, meeting.notice = "", None, None
    meeting.work = Work.start(f"Placing {title}", meet, atlas, fetch, title)


def take(meeting: Meeting, work: Work) -> None:
    """Keeps what the work that has ended found, or says why it found nothing."""
    meeting.work = None
    try:
        meeting.met, meeting.notice = work.future.result()
    except (Cancelled, CancelledError):
        meeting.problem = "Placing was stopped: nothing is shown."
    except IntrospectError as problem:
        meeting.problem = str(problem)


def tell(met: Company, notice: Notice) -> str:
    """The finding as a sentence in Markdown."""
    area, gain = notice.auroc["off_map"], notice.gain
    if not gain.apart:
        rival = "MSP does as well, as far as these samples tell"
    else:
        rival = "MSP does worse" if gain.value > 0 else "MSP does better"
    gap = f"{gain.value:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
    return (
        f"**{notice.flagged:.1%} of {len(met):,} inputs ({plain(met.name)}) are flagged**, and "
        f"{notice.false:.1%} of the test samples. AUROC {area.value:.3f} "
        f"({area.low:.3f} to {area.high:.3f}); {rival}: {notice.auroc['msp'].value:.3f} "
        f"(difference {gap.replace('-', '−')})."
    )


def _draw_outcome(atlas: Atlas, met: Company, notice: Notice, name: str) -> None:
    st.markdown(tell(met, notice))
    known: Company = session.cached(residents, atlas)
    dark = st.context.theme.type == "dark"
    left, right = st.columns(2)
    with left:
        _show(figures.draw(atlas, known, [met], dark=dark), f"distance-{name}")
        st.caption(
            "How badly the map rebuilds the activations of every input, every unit in its own "
            f"standard deviations. Right of the dashed line ({OFF_THE_MAP:g} % of the validation "
            "samples lie left of it) an input is flagged. Where the strangers' line lies over the "
            "grey one, the network treats them as if it knew them."
        )
    with right:
        _show(figures.draw_map(atlas, known, met, dark=dark), f"places-{name}")
        st.caption(
            "Where they land. The map is drawn to be round and full, so strangers land among "
            "known samples: their place alone does not give them away, the error of rebuilding "
            "from it does."
        )


def _show(figure: Any, key: str) -> None:
    # The ground and the ink are the browser's: only it knows which theme is on.
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    figure.update_layout(font={"color": None, "family": None}, hoverlabel={"font": None})
    figure.update_xaxes(gridcolor=None, linecolor=None)
    figure.update_yaxes(gridcolor=None, linecolor=None)
    st.plotly_chart(figure, key=key, width="stretch", theme="streamlit", config=CONFIG)
