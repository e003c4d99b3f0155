"""The app opened from a program: it runs beside it, and the program reads what was chosen."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from shelves import put
from standin import pretend
from streamlit.testing.v1 import AppTest

from introspect.errors import BadInput
from introspect.window import VARIABLE, Window


def write(path: Path) -> None:
    put(path)


def test_app_runs_beside_the_program_until_it_is_closed() -> None:
    with Window(write, "mine", None, browser=False) as opened:
        assert opened.is_open
        assert opened.selection.tolist() == []
        with urllib.request.urlopen(opened.url, timeout=30) as answer:
            assert answer.status == 200
    assert not opened.is_open
    assert "closed" in repr(opened)


def test_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="choose another"):
            Window(write, "mine", taken.getsockname()[1], browser=False)


def page() -> None:
    import streamlit as st
    from standin import pretend

    from introspect.ui import selected

    square = [[-9, -9], [9, -9], [9, 9], [-9, 9]]
    raw = {"polygon": square, "view": "infovae", "filter": {"label": 1}}
    cleared = st.toggle("cleared")
    selected.draw(pretend(), "", None if cleared else raw, "n", lambda row: None)


def test_ids_drawn_round_reach_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "selection.json"
    monkeypatch.setenv(VARIABLE, str(told))
    app = AppTest.from_function(page, default_timeout=30).run()
    points = pretend().points
    assert not app.exception
    ids = json.loads(told.read_text())
    assert sorted(ids) == points.id[points.label == 1].tolist() and ids
    doubt = points.log_error[np.array(ids) - points.id[0]]
    assert (np.diff(doubt) <= 0).all()
    app.toggle[0].set_value(True).run()
    assert json.loads(told.read_text()) == []


def test_nothing_is_told_where_no_program_has_opened_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    AppTest.from_function(page, default_timeout=30).run()
    assert list(tmp_path.iterdir()) == []


def test_script_that_ends_with_open_stays_until_the_app_is_closed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from shelves import put\n"
        "from introspect.window import Window\n"
        "opened = Window(lambda path: put(path), 'mine', None, browser=False)\n"
        "threading.Timer(0.5, opened._process.terminate).start()\n"
        "print('end of script', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end of script\n"
