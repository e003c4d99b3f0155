"""Work of some seconds that a page begins: told while it goes on, stopped on a word."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import streamlit as st

from introspect.ui.later import LATER
from introspect.ui.wording import plain

SOON = 0.6
"""Seconds for which a click may wait without a progress bar."""


@dataclass
class Work:
    """A function running in the background for one visitor; it is told `tell` as its last argument.

    `done` of `total` is how far it is; the function stops soon after `stop`, when it listens.
    """

    future: Future
    name: str
    done: int = 0
    total: int = 0
    stopped: bool = False

    @staticmethod
    def start(name: str, function: Callable[..., Any], *args: Any) -> Work:
        """Begins `function(*args, tell)`."""
        work = Work(Future(), name)
        work.future = LATER.ask(f"work/{uuid.uuid4().hex}", function, *args, work.tell)
        return work

    def tell(self, done: int, total: int) -> bool:
        """What the function reports; False asks it to stop."""
        self.done, self.total = done, total
        return not self.stopped

    def stop(self) -> None:
        """Asks the function to end."""
        self.stopped = True
        self.future.cancel()

    def soon(self) -> bool:
        """Whether it ends within the time that nobody minds."""
        return bool(wait([self.future], timeout=SOON).done)

    def draw(self) -> None:
        """A progress bar with a button to stop; reruns the page when the work has ended."""
        _draw(self)


@st.fragment(run_every=0.4)
def _draw(work: Work) -> None:
    if work.future.done():
        st.rerun()
    share = min(1.0, work.done / work.total) if work.total else 0.0
    far = f": {work.done:,} of {work.total:,}" if work.total else " …"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=plain(work.name) + far)
        st.button(
            "Cancel",
            icon=":material/close:",
            key=f"stop-{id(work)}",
            disabled=work.stopped,
            on_click=work.stop,
        )
