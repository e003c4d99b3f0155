"""The work going on in the background: how far it is, stop it, go on with it, open what it made."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from introspect import jobs, library
from introspect.errors import BadInput
from introspect.jobs import Job, JobState
from introspect.ui import nav, session, shelf
from introspect.ui.wording import duration, plain

EVERY = 1.0
SHOWN = 6
LIVE = "live_jobs"


def draw() -> None:
    """Draws all work, the one named in the URL first; looks again every second while any runs."""
    asked = st.query_params.get("job", "")
    known = jobs.all()
    if asked and asked not in {job.id for job in known}:
        st.warning("The work named in the link is not known here any more.")
        del st.query_params["job"]
    ordered = sorted(known, key=lambda job: job.id != asked)[:SHOWN]
    live = [job.id for job in ordered if job.state().live]
    st.session_state[LIVE] = live
    st.fragment(_panel, run_every=EVERY if live else None)([job.id for job in ordered])


def _panel(identities: list[str]) -> None:
    states = [(job, job.state()) for job in map(_found, identities) if job is not None]
    if {job.id for job, state in states if state.live} != set(st.session_state[LIVE]):
        # One has ended or goes on again: the shelf may have changed, and whether to look again.
        shelf.changed()
        st.rerun()
    for job, state in states:
        with st.container(border=True, key=f"job-{job.id}"):
            if state.live:
                _draw_live(job, state)
            else:
                _draw_ended(job, state)


def _found(identity: str) -> Job | None:
    try:
        return jobs.get(identity)
    except BadInput:
        return None


def _draw_live(job: Job, state: JobState) -> None:
    stopping = (job.folder / "cancel").exists()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(_share(state), text=f"**{plain(state.title)}**  \n{_told(state, stopping)}")
        st.button(
            "Cancel",
            icon=":material/close:",
            key=f"cancel-{job.id}",
            disabled=stopping,
            help="Stops the work; what is done so far is kept, so that it can go on later.",
            on_click=job.cancel,
        )


def _draw_ended(job: Job, state: JobState) -> None:
    title = plain(state.title)
    if state.state == "done":
        _draw_done(job, title, state)
        return
    if state.state == "cancelled":
        st.info(f"**{title}** was stopped{_where(state)}.", icon=":material/pause_circle:")
    else:
        st.error(f"**{title}**{_where(state)}: {plain(state.message)}", icon=":material/error:")
    with st.container(horizontal=True):
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key=f"resume-{job.id}",
            type="primary",
            help="Goes on from where it was, with the same files and settings.",
            on_click=_resume,
            args=(job,),
        )
        _remove_button(job)


def _draw_done(job: Job, title: str, state: JobState) -> None:
    made = Path(str((state.result or {}).get("atlas", "")))
    name = made.name.removesuffix(library.SUFFIX)
    st.success(f"**{title}** is done.", icon=":material/check_circle:")
    with st.container(horizontal=True):
        if st.button(
            "Open the map",
            icon=":material/scatter_plot:",
            key=f"open-{job.id}",
            type="primary",
            disabled=not (made / "CURRENT").is_file(),
        ):
            job.remove()
            session.choose(name)
            nav.open_page("activation_map")
        _remove_button(job)


def _remove_button(job: Job) -> None:
    st.button(
        "Dismiss",
        key=f"remove-{job.id}",
        type="tertiary",
        help="Takes this line away; the atlas, if there is one, stays.",
        on_click=_remove,
        args=(job,),
    )


def _resume(job: Job) -> None:
    job.resume()
    st.query_params["job"] = job.id


def _remove(job: Job) -> None:
    job.remove()
    if st.query_params.get("job") == job.id:
        del st.query_params["job"]


def _share(state: JobState) -> float:
    return min(1.0, state.done / state.total) if state.total > 0 else 0.0


def _told(state: JobState, stopping: bool) -> str:
    if stopping:
        return "Stopping …"
    if state.state == "queued":
        before = state.position
        return (
            f"Waiting: {before} other{'s' if before > 1 else ''} before it"
            if before
            else "Starting …"
        )
    parts = [plain(state.stage).capitalize() or "Starting …"]
    if state.total > 0:
        parts.append(f"{_share(state):.0%}")
    if state.eta is not None:
        parts.append(f"about {duration(state.eta)} left in this step")
    if state.message:
        parts.append(plain(state.message))
    return " · ".join(parts)


def _where(state: JobState) -> str:
    if state.total <= 0 or not state.stage:
        return ""
    return f" while {plain(state.stage)} ({_share(state):.0%})"
