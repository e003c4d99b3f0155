"""Work in parts that fit the memory: a part that does not is halved, and the work goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


class Thrift:
    """Remembers how much has fitted, so that what failed once is not tried again."""

    def __init__(self) -> None:
        self.most: int | None = None
        """Most samples at a time; None as long as everything has fitted."""

    def run(self, work: Callable[[int, int], Result], n: int) -> list[Result]:
        """`work(start, stop)` over `n` samples, all at once or in as many parts as it takes.

        Raises:
            MemoryError: not even one sample fits.
        """
        if n == 0:
            return [work(0, 0)]
        results: list[Result] = []
        start = 0
        while start < n:
            stop = min(n, start + (self.most or n))
            try:
                results.append(work(start, stop))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if stop - start == 1:
                    raise MemoryError("The memory does not hold one sample's pass.") from error
                self.most = (stop - start) // 2
            else:
                start = stop
                continue
            # Here the failed call and what it held are gone: the cache can be given back.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that no memory was left, on the GPU or on the processor."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
