"""The fans of an atlas: those under way with their progress, those that ended, to open again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from introspect import jobs
from introspect.errors import BadInput
from introspect.jobs import Job, JobState
from introspect.ui.progress import FAN, share, told
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas

EVERY = 0.7
LIVE = "live_fans"
SHOWN = 12
OPEN = "flow"
"""Name of the opened run in the page's address."""


def runs_of(atlas: Atlas) -> list[Job]:
    """The fans of an atlas, the newest first."""
    return [
        job
        for job in jobs.all()
        if job.function == FAN and job.arguments.get("fingerprint") == atlas.fingerprint
    ]


def start(atlas: Atlas, title: str, **arguments: Any) -> Job:
    """Starts a fan in the background.

    Raises:
        BadInput: the atlas is not saved, so that no other process can open it.
    """
    if atlas.folder is None:
        raise BadInput("This atlas is not saved yet: save it before attacking many samples.")
    given = {"atlas": str(atlas.folder.parent.resolve()), "fingerprint": atlas.fingerprint}
    return jobs.start(FAN, {**given, **arguments}, title)


def choose(atlas: Atlas) -> Job | None:
    """Draws the runs and answers the opened one: that of the address, else the newest ended."""
    known = runs_of(atlas)
    states = {job.id: job.state() for job in known}
    live = [job for job in known if states[job.id].live]
    st.session_state[LIVE] = [job.id for job in live]
    if live:
        st.fragment(_watch, run_every=EVERY)([job.id for job in live])
    ended = [job for job in known if not states[job.id].live]
    asked = st.query_params.get(OPEN, "")
    opened = next((job for job in ended if job.id == asked), ended[0] if ended else None)
    if asked and asked not in states:
        st.warning("The attack flow named in the link is not kept here any more.")
        del st.query_params[OPEN]
    if opened is not None:
        _draw_ended(opened, states[opened.id], ended, states)
    return opened


def _watch(identities: list[str]) -> None:
    found = [job for job in map(_find, identities) if job is not None]
    states = [(job, job.state()) for job in found]
    if {job.id for job, state in states if state.live} != set(st.session_state[LIVE]):
        st.rerun()
    for job, state in states:
        stopping = (job.folder / "cancel").exists()
        with st.container(
            border=True, key=f"fan-{job.id}", horizontal=True, vertical_alignment="center"
        ):
            st.progress(share(state), text=f"**{plain(state.title)}**  \n{told(state, stopping)}")
            st.button(
                "Cancel",
                icon=":material/close:",
                key=f"fan-cancel-{job.id}",
                disabled=stopping,
                help="Stops it; the samples finished until then are kept and shown.",
                on_click=job.cancel,
            )


def _find(identity: str) -> Job | None:
    try:
        return jobs.get(identity)
    except BadInput:
        return None


def _draw_ended(
    opened: Job, state: JobState, ended: list[Job], states: dict[str, JobState]
) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = [job.id for job in ended[:SHOWN]]
        if opened.id not in known:
            known.append(opened.id)
        st.session_state["fan-opened"] = opened.id
        st.selectbox(
            "Shown",
            known,
            format_func=lambda identity: _title(states[identity]),
            key="fan-opened",
            on_change=_open,
            help="Every flow computed on this atlas; they are kept for 30 days.",
        )
        if state.state != "done":
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                key=f"fan-resume-{opened.id}",
                help="Goes on behind the samples that are finished.",
                on_click=opened.resume,
            )
        st.button(
            "Remove",
            icon=":material/delete:",
            key=f"fan-remove-{opened.id}",
            help="Forgets this flow and deletes its file.",
            on_click=_remove,
            args=(opened,),
        )


def _title(state: JobState) -> str:
    ending = {"done": "", "cancelled": " (stopped)", "failed": " (failed)", "dead": " (broken off)"}
    # A select box shows text as it is.
    return re.sub(r"\s+", " ", state.title) + ending.get(state.state, "")


def _open() -> None:
    st.query_params[OPEN] = st.session_state["fan-opened"]


def _remove(job: Job) -> None:
    job.remove()
    if st.query_params.get(OPEN) == job.id:
        del st.query_params[OPEN]
