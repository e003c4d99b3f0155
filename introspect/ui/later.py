"""Work that a page must not wait for: done once in a thread, asked for again on the next run."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

KEPT = 512


class Later:
    """Results by key; the first to ask starts the work, everybody shares the outcome.

    One thread only: what runs here shares the processor with everybody's clicks.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="introspect-later")
        self._futures: OrderedDict[str, Future] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, key: str, function: Callable[..., Any], *args: Any) -> Future:
        """The future of `function(*args)`; a failed one is tried again when asked anew."""
        with self._lock:
            future = self._futures.get(key)
            if future is None or (future.done() and future.exception() is not None):
                future = self._pool.submit(function, *args)
                self._futures[key] = future
                while len(self._futures) > KEPT:
                    self._futures.popitem(last=False)
            self._futures.move_to_end(key)
            return future


LATER = Later()
