"""Arrays too big for memory, written in shards; a killed writer goes on where it was."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np

from introspect.errors import BadInput
from introspect.store import is_disk_full

SHARD_BYTES = 16 << 20
JOURNAL = "journal.txt"
Columns = dict[str, tuple[int, Any]]


def _checksum(rows: np.ndarray) -> int:
    """Sum of a 64-bit word of every 512-byte sector: shows what never reached the disk."""
    raw = rows.reshape(-1).view(np.uint8)
    whole = len(raw) // 8 * 8
    total = int(np.add.reduce(raw[:whole].view(np.uint64)[::64], dtype=np.uint64))
    return (total + int.from_bytes(raw[whole:].tobytes(), "little")) % 2**64


class Shards:
    """Named arrays `n width`, filled row after row: `take` rows, fill them, `put` them back.

    With a folder every array is a `<name>.npy`, and `journal.txt` says which shards are whole, in
    which settings, with a checksum. A thread writes while the caller computes the next shard. No
    flush to the platter is waited for: a killed process loses nothing, and after a power failure
    the checksums tell which shards must be made again.
    Without a folder the arrays are in memory.

    Args:
        n: rows in all.
        batch: a shard is a whole number of batches, so that a resumed run makes the same batches.
        columns: name to (width, dtype).
        settings: one line; a journal with another line belongs to something else and is dropped.

    Raises:
        BadInput: the disk cannot hold the arrays (says how many bytes are needed).
    """

    def __init__(
        self, folder: str | Path | None, n: int, batch: int, columns: Columns, settings: str
    ) -> None:
        row = sum(width * np.dtype(dtype).itemsize for width, dtype in columns.values())
        self.n = n
        self.rows = max(1, SHARD_BYTES // (row * batch)) * batch
        self.bytes = row * n
        self.columns = columns
        self.folder = None if folder is None else Path(folder)
        self.start = 0
        """The first row still to be made."""
        self._whole: dict[str, np.ndarray] = {}
        self._files: dict[str, tuple[IO[bytes], int]] = {}
        self._failure: OSError | None = None
        if self.folder is None:
            self._whole = {name: np.empty((n, w), dtype) for name, (w, dtype) in columns.items()}
            return
        self._journal = self.folder / JOURNAL
        self._settings = settings
        self._kept: list[str] = []
        self._resume()
        self._reserve(row)
        self._free: queue.Queue[dict[str, np.ndarray]] = queue.Queue()
        self._full: queue.Queue[tuple[int, dict[str, np.ndarray]] | None] = queue.Queue()
        for _ in range(2):
            self._free.put({k: np.empty((self.rows, w), t) for k, (w, t) in columns.items()})

    def __enter__(self) -> Shards:
        if self.folder is not None and self.start < self.n:
            try:
                self._open_files()
            except OSError as error:
                self._close()
                self._failure = error
                self._raise_failure()
            self._thread = threading.Thread(target=self._write, name="shards", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits until what was put is on the disk; what was not stays for the next run."""
        if self._files:
            self._full.put(None)
            self._thread.join()
            self._close()
        if kind is None:
            self._raise_failure()

    def _close(self) -> None:
        for stream, _ in self._files.values():
            stream.close()

    def take(self, start: int) -> dict[str, np.ndarray]:
        """Room for the shard that begins at this row, one array a name."""
        stop = min(start + self.rows, self.n)
        if self.folder is None:
            return {name: array[start:stop] for name, array in self._whole.items()}
        block = self._free.get()
        self._raise_failure()
        self._lent = block
        return {name: array[: stop - start] for name, array in block.items()}

    def put(self, start: int) -> None:
        """The shard taken last is complete."""
        if self.folder is not None:
            self._full.put((start, self._lent))

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays: the ones in memory, or the files, memory-mapped."""
        if self.folder is None:
            return self._whole
        return {name: map_array(self.folder / f"{name}.npy") for name in self.columns}

    def _resume(self) -> None:
        """Goes on after the shards that the journal names and whose bytes still add up."""
        assert self.folder is not None
        try:
            lines = self._journal.read_text(encoding="ascii").splitlines(keepends=True)
            maps = [np.load(self.folder / f"{name}.npy", "r") for name in self.columns]
        except (OSError, ValueError):
            return
        sizes = [((self.n, width), np.dtype(dtype)) for width, dtype in self.columns.values()]
        if (
            not lines
            or lines[0] != self._settings + "\n"
            or [(m.shape, m.dtype) for m in maps] != sizes
        ):
            return
        for line in lines[1:]:
            stop = line.partition(" ")[0]
            if not (stop.isdecimal() and self.start < int(stop) <= self.n):
                break
            sums = [_checksum(rows[self.start : int(stop)]) for rows in maps]
            if line != " ".join(map(str, [stop, *sums])) + "\n":
                break
            self.start = int(stop)
            self._kept.append(line)

    def _reserve(self, row: int) -> None:
        """Refuses to begin what the disk cannot hold; a file of the same name counts as free."""
        assert self.folder is not None
        needed = row * (self.n - self.start)
        free = shutil.disk_usage(self.folder).free
        if free < needed and os.name == "posix":
            files = [self.folder / f"{name}.npy" for name in self.columns]
            free += sum(file.stat().st_blocks * 512 for file in files if file.exists())
        if free < needed:
            raise BadInput(self._no_space(needed, free))

    def _no_space(self, needed: int, free: int) -> str:
        return (
            f"The disk is full: the recording needs {needed:,} more bytes in {self.folder} and "
            f"{free:,} are free; make room and start again, finished parts are kept."
        )

    def _open_files(self) -> None:
        assert self.folder is not None
        if self.start == 0:
            self._journal.unlink(missing_ok=True)
        for name, (width, dtype) in self.columns.items():
            path = self.folder / f"{name}.npy"
            size = self.n * width * np.dtype(dtype).itemsize
            if self.start == 0:
                path.unlink(missing_ok=True)
                head = {
                    "descr": np.dtype(dtype).str,
                    "fortran_order": False,
                    "shape": (self.n, width),
                }
                with path.open("wb") as stream:
                    np.lib.format.write_array_header_1_0(stream, head)
                    stream.truncate(stream.tell() + size)
            offset = path.stat().st_size - size
            stream = path.open("r+b", buffering=0)
            self._files[name] = stream, offset
            if sys.platform == "linux":
                # Room is set aside at once: twice as fast to write, and a full disk shows here.
                os.posix_fallocate(stream.fileno(), 0, offset + size)
        lines = [self._settings + "\n", *self._kept]
        self._journal.write_text("".join(lines), encoding="ascii")

    def _write(self) -> None:
        with self._journal.open("a", encoding="ascii") as journal:
            while (item := self._full.get()) is not None:
                start, block = item
                try:
                    if self._failure is None:
                        self._write_shard(journal, start, block)
                except OSError as error:
                    self._failure = error
                self._free.put(block)

    def _write_shard(self, journal: IO[str], start: int, block: dict[str, np.ndarray]) -> None:
        stop = min(start + self.rows, self.n)
        sums = []
        for name, (stream, offset) in self._files.items():
            rows = block[name][: stop - start]
            stream.seek(offset + start * rows.strides[0])
            left = memoryview(rows.reshape(-1).view(np.uint8))
            while left:
                left = left[stream.write(left) :]
            sums.append(_checksum(rows))
        journal.write(" ".join(map(str, [stop, *sums])) + "\n")
        journal.flush()

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        if is_disk_full(self._failure):
            free = shutil.disk_usage(self.folder or ".").free
            raise BadInput(self._no_space(self.bytes, free)) from self._failure
        raise BadInput(
            f"The recording cannot be written to {self.folder}: {self._failure.strerror}."
        ) from self._failure


def journal_of(folder: str | Path) -> str | None:
    """The settings of the unfinished shards in a folder, or None."""
    try:
        with (Path(folder) / JOURNAL).open(encoding="ascii") as journal:
            return journal.readline().rstrip("\n")
    except (OSError, ValueError):
        return None


def map_array(file: Path) -> np.ndarray:
    """A `.npy` file as a read-only memory map.

    Raises:
        BadInput: the file is missing, cut short, or not a plain array.
    """
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{file.name} is missing or damaged; record again.") from error
