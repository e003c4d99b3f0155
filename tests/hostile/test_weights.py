"""Weights made to do harm: none runs code, each gets one clear sentence, and the server lives on.

A marker file that appears is a failed test.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile.safetensors_files import entry, safetensors
from hostile.weight_files import (
    FILES,
    pickle_that_builds_source,
    plain_pickle_in_a_checkpoint,
    state,
)

from introspect import modelfile, quarantine
from introspect.doctor import examine
from introspect.errors import BadInput
from introspect.formats.checkpoint import read_checkpoint
from introspect.quarantine import Limits

GROWTH = 120 << 20
"""Bytes by which this process may grow over all of the files together."""


def memory() -> int:
    """Bytes this process has in memory now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.fixture(scope="module")
def grown() -> Callable[[], int]:
    import gc

    gc.collect()
    before = memory()
    return lambda: memory() - before


def test_there_are_enough_kinds_of_them() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("kind", FILES)
def test_hostile_weights_run_nothing_and_get_one_sentence(
    kind: str, tmp_path: Path, grown: Callable[[], int]
) -> None:
    name, maker, words = FILES[kind]
    work, marker = tmp_path / "work", tmp_path / "marker"
    work.mkdir()
    (tmp_path / name).write_bytes(maker(work, marker))
    found = examine(tmp_path / name)
    assert not found["ok"] and not marker.exists()
    assert re.search(words, found["reason"], re.DOTALL), found["reason"]
    said = found["reason"]
    assert "\n" not in said and "Traceback" not in said and len(said) < 600
    assert str(tmp_path) not in said and "weights_only=False will" not in said
    assert grown() < GROWTH


def test_fixtures_would_have_run_in_a_careless_reader(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    raw = plain_pickle_in_a_checkpoint(tmp_path, tmp_path / "marker")
    torch.load(io.BytesIO(raw), weights_only=False)
    assert (tmp_path / "marker").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs a right to make links")
def test_links_and_devices_are_no_model_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    for name in ("pipe.pt", "zero.pt"):
        found = examine(tmp_path / name)
        assert not found["ok"] and "no model file" in found["reason"]
    with pytest.raises(BadInput, match="There is no model"):
        examine(tmp_path / "loop.pt")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_limits_of_the_child_become_sentences(tmp_path: Path) -> None:
    many = {f"{i}": entry([1], i + 1, "U8", i) for i in range(90_000)}
    header = json.dumps(many, separators=(",", ":")).encode()
    slow = tmp_path / "slow.safetensors"
    slow.write_bytes(safetensors(header, bytes(90_000)))
    with pytest.raises(BadInput, match="took more than 1 seconds of work"):
        modelfile.open_model(slow, "safetensors", Limits(cpu=1))
    torch.save({"w": torch.zeros(12 << 20, 1)}, tmp_path / "large.pt")
    with pytest.raises(BadInput, match="needs more than 32 MB of memory"):
        modelfile.open_model(tmp_path / "large.pt", "checkpoint", Limits(memory=32 << 20))
    with pytest.raises(BadInput, match="took longer than 0.01 seconds"):
        modelfile.open_model(tmp_path / "large.pt", "checkpoint", Limits(seconds=0.01))
    (tmp_path / "large.pt").unlink()


def test_quarantine_serves_on_after_all_of_that(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "good.pt")
    found = examine(tmp_path / "good.pt")
    assert found["ok"] and found["architectures"][0]["name"] == "mlp"
    if quarantine.warm_parent.pid is not None:
        status = Path(f"/proc/{quarantine.warm_parent.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None and int(peak[1]) < 1 << 20


def test_quarantine_itself_needs_no_torch_in_the_server() -> None:
    code = (
        "import sys; from introspect.formats.reader import READERS; "
        "from introspect.quarantine import Limits; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_reader_itself_never_runs_what_it_reads(tmp_path: Path) -> None:
    """Even without a child around it."""
    for maker in (plain_pickle_in_a_checkpoint, pickle_that_builds_source):
        (tmp_path / "net.pt").write_bytes(maker(tmp_path, tmp_path / "marker"))
        with pytest.raises(BadInput):
            read_checkpoint(tmp_path / "net.pt")
    assert not (tmp_path / "marker").exists()
