"""One attack at a time, computed beside the page: how far it is, stop it, what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from introspect.errors import Cancelled, IntrospectError

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.plugin import Progress
    from introspect.trajectory import Trajectory
    from introspect.ui.player_payload import Played


class Run:
    """An attack in a thread of its own; started when it is made.

    Args:
        work: computes the trajectory, telling its progress; it raises `Cancelled` with what was
            done until then when progress answers False.
        title: what the sample is called.
        settings: what the result answers to, to tell whether it still fits what is chosen.
        beside: a second model's atlas and the same attack on it, made after the first.
    """

    def __init__(
        self,
        work: Callable[[Progress], Trajectory],
        title: str,
        settings: str,
        beside: tuple[Atlas, Callable[[Progress], Trajectory]] | None = None,
    ) -> None:
        self.title = title
        self.settings = settings
        self.beside = None if beside is None else beside[0]
        self.second: Trajectory | None = None
        self.second_played: Played | None = None
        self.done = 0
        self.total = 0
        self.stopping = False
        self.stopped = False
        self.walk: Trajectory | None = None
        self.played: Played | None = None
        self.problem = ""
        self._over = threading.Event()
        self._works = [work] if beside is None else [work, beside[1]]
        self._before = 0
        threading.Thread(target=self._run, name="introspect-attack").start()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self._over.is_set()

    @property
    def share(self) -> float:
        """How far it is, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def wait(self, seconds: float) -> bool:
        """Waits so long at most; answers whether it is over."""
        return self._over.wait(seconds)

    def cancel(self) -> None:
        """Asks it to stop after the step it is at."""
        self.stopping = True

    def _tell(self, done: int, total: int) -> bool:
        self.done, self.total = self._before + done, total * len(self._works)
        # When the server ends, what nobody waits for any more ends with it.
        return not self.stopping and threading.main_thread().is_alive()

    def _run(self) -> None:
        made: list[Trajectory] = []
        try:
            for work in self._works:
                self._before = self.done
                made.append(work(self._tell))
        except Cancelled as stop:
            self.stopped = True
            if (done := getattr(stop, "done", None)) is not None:
                made.append(done)
        except IntrospectError as problem:
            self.problem = str(problem)
        except Exception as problem:  # a stranger's network may raise anything; the page says so
            kind = type(problem).__name__
            self.problem = f"The network could not be attacked: {kind}: {problem}"[:400]
        finally:
            self.walk, self.second = (*made, None, None)[:2]
            self._over.set()
