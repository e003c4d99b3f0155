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
FAN = "introspect.fanning:run_fan"
"""Many samples attacked: once ended, they are listed on the page that shows them."""


def draw() -> None:
    """Draws all work, the one named in the URL first; looks again every second while any runs."""
    asked = st.query_params.get("job", "")
    every = [(job, job.state()) for job in jobs.all()]
    known = [(job, state) for job, state in every if state.live or job.function != FAN]
    if asked and asked not in {job.id for job, _ in known}:
        st.warning("The work named in the link is not known here any more.")
        del st.query_params["job"]
    # The sort keeps the newest first among equals.
    known.sort(key=lambda pair: (pair[0].id != asked, not pair[1].live, pair[1].position))
    live = [job.id for job, state in known if state.live]
    st.session_state[LIVE] = live
    shown = [job.id for job, _ in known[: max(SHOWN, len(live))]]
    st.fragment(_panel, run_every=EVERY if live else None)(shown)


def _panel(identities: list[str]) -> None:
    states = [(job, job.state()) for job in map(_found, identities) if job is not None]
    if {job.id for job, state in states if state.live} != set(st.session_state[LIVE]):
        # One has ended or goes on again: the shelf may have changed, and whether to look again.
        shelf.changed()
        st.rerun()
    for job, state in states:
        with st.container(
            border=True, key=f"job-{job.id}", horizontal=True, vertical_alignment="center"
        ):
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
    st.progress(share(state), text=f"**{plain(state.title)}**  \n{told(state, stopping)}")
    st.button(
        "Pause",
        icon=":material/pause:",
        key=f"pause-{job.id}",
        disabled=stopping,
        help="Stops for a while and lets other work run; Resume goes on from where it was.",
        on_click=job.pause,
    )
    st.button(
        "Cancel",
        icon=":material/close:",
        key=f"cancel-{job.id}",
        disabled=stopping,
        help="Stops the work; what is done so far is kept, so that it can go on later.",
        on_click=job.cancel,
    )
    _draw_log(job)


def _draw_log(job: Job) -> None:
    with st.popover("Log", key=f"log-{job.id}", help="What this work did, and when"):
        st.code(job.told() or "Nothing has been written yet.", language=None, wrap_lines=True)


def _draw_ended(job: Job, state: JobState) -> None:
    title = f"**{plain(state.title)}**"
    if state.state == "done":
        st.markdown(f":green[:material/check_circle:] {title} is done.", width="stretch")
        _open_button(job, state)
    else:
        if state.state == "paused":
            told = f":gray[:material/pause_circle:] {title} is paused{_where(state)}."
        elif state.state == "cancelled":
            told = f":gray[:material/stop_circle:] {title} was stopped{_where(state)}."
        else:
            told = f":red[:material/error:] {title}{_where(state)}: {plain(state.message)}"
        st.markdown(told, width="stretch")
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key=f"resume-{job.id}",
            help="Goes on from where it was, with the same files and settings.",
            on_click=_resume,
            args=(job,),
        )
        _draw_log(job)
    if problem := st.session_state.pop(f"problem-{job.id}", ""):
        st.error(plain(problem))
    st.button(
        "Dismiss",
        key=f"remove-{job.id}",
        type="tertiary",
        help="Takes this line away; the atlas, if there is one, stays.",
        on_click=_remove,
        args=(job,),
    )


def _open_button(job: Job, state: JobState) -> None:
    made = Path(str((state.result or {}).get("atlas", "")))
    if st.button(
        "Open the map",
        icon=":material/scatter_plot:",
        key=f"open-{job.id}",
        type="primary",
        disabled=not (made / "CURRENT").is_file(),
    ):
        job.remove()
        session.choose(made.name.removesuffix(library.SUFFIX))
        nav.open_page("activation_map")


def _resume(job: Job) -> None:
    try:
        job.resume()
    except BadInput as problem:
        st.session_state[f"problem-{job.id}"] = str(problem)
        return
    st.query_params["job"] = job.id


def _remove(job: Job) -> None:
    job.remove()
    if st.query_params.get("job") == job.id:
        del st.query_params["job"]


def share(state: JobState) -> float:
    """How far its stage is, 0 to 1."""
    return min(1.0, state.done / state.total) if state.total > 0 else 0.0


def told(state: JobState, stopping: bool) -> str:
    """How far it is, as Markdown."""
    if stopping:
        return "Stopping …"
    if state.state == "queued":
        before = state.position
        return (
            f"Waiting: {before} other{'s' if before > 1 else ''} before it"
            if before
            else "Starting …"
        )
    stage = plain(state.stage)
    parts = [stage[:1].upper() + stage[1:] or "Starting …"]
    if state.total > 1:
        parts.append(f"{share(state):.0%}")
    if state.rate is not None and state.total > 1:
        parts.append(f"{_pace(state.rate)} a second")
    if state.eta is not None:
        parts.append(f"about {duration(state.eta)} left in this step")
    if state.message:
        parts.append(plain(state.message))
    return " · ".join(parts)


def _pace(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _where(state: JobState) -> str:
    if not state.stage:
        return ""
    reached = f" ({share(state):.0%})" if state.total > 1 else ""
    return f" while {plain(state.stage[:1].lower() + state.stage[1:])}{reached}"
