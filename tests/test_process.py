"""Locks and identities end with their process, however it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from introspect.process import Owner, lock, started


def test_lock_is_freed_by_kill(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom introspect.process import lock\n"
        "with lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    path = tmp_path / ".lock"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with lock(path, wait=False) as held:
        assert not held
    child.kill()
    with lock(path):
        assert child.wait() != 0
    child.stdout.close()


def test_identity_ends_with_the_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner(child.pid, started(child.pid) or "", Owner.me().host)
    assert owner.alive
    assert Owner.parse(str(owner)) == owner
    assert not Owner(child.pid, "1", owner.host).alive
    child.kill()
    deadline = time.monotonic() + 5
    # Not waited for yet: a zombie counts as ended.
    while owner.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not owner.alive
    child.communicate()
