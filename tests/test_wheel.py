"""The package as others get it: the wheel alone, in an environment that knows no checkout."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from contextlib import closing
from pathlib import Path
from urllib.error import URLError

import pytest

ROOT = Path(__file__).resolve().parents[1]
SITE = "introspect/_site"
VISIT = """
from streamlit.testing.v1 import AppTest
from introspect.bundled import site
visit = AppTest.from_file(str(site() / "pages/1_activation_map.py"), default_timeout=60).run()
print([error.value for error in visit.exception], [choice.value for choice in visit.selectbox][:1])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of a new environment: the wheel, and the packages it needs.

    Those packages are lent by the environment the tests run in, as folders: its own link to the
    checkout is a .pth file, and those do not act from a lent folder.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    command = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install"]
    quiet = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*command, *quiet, str(wheel)], check=True, cwd=folder)
    packages = next(folder.glob("[Ll]ib/**/site-packages"))
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "lent.pth").write_text("\n".join(lent))
    return scripts


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """An environment that starts in an empty home."""
    kept = {name: value for name, value in os.environ.items() if name != "INTROSPECT_DATA"}
    own = {name: str(tmp_path / name.lower()) for name in ("INTROSPECT_HOME", "INTROSPECT_CACHE")}
    return kept | own | {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}


def run(command: list[str | Path], cwd: Path, environment: dict[str, str]) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_carries_the_site_and_nothing_that_is_not_needed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    pages = sorted(path.name for path in (ROOT / "pages").glob("*.py"))
    assert sorted(n.split("/")[-1] for n in names if n.startswith(f"{SITE}/pages/")) == pages
    for needed in ("app.py", ".streamlit/config.toml", "assets/icon.png"):
        assert f"{SITE}/{needed}" in names
    assert f"{SITE}/sample_models/mnist-net1/mnist-net1.atlas/CURRENT" in names
    assert f"{SITE}/sample_models/mnist-net1/DATA_LICENSE" in names
    scripts = {path.name for path in (ROOT / "introspect/ui/frontend").rglob("*.js")}
    assert scripts and scripts <= {name.split("/")[-1] for name in names}
    unwanted = (
        "tests/",
        "benchmarks/",
        "assets/screenshots/",
        "__pycache__",
        "sample_models/cifar",
        "net1-noise.atlas",
    )
    assert [name for name in names if any(part in name for part in unwanted)] == []
    assert wheel.stat().st_size < 32e6


def test_installed_command_examines_the_bundled_model(
    scripts: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    where = run(
        [scripts / "python", "-c", "import introspect as i; print(i.__file__)"], tmp_path, outside
    )
    assert str(scripts.parent) in where
    printed = run([scripts / "introspect", "doctor", "mnist-net1", "--json"], tmp_path, outside)
    found = json.loads(printed.splitlines()[-1])
    assert found["ok"] and found["input_shape"] == [1, 28, 28] and len(found["classes"]) == 10


def test_installed_map_page_opens_with_the_bundled_atlas(
    scripts: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    printed = run([scripts / "python", "-W", "ignore", "-c", VISIT], tmp_path, outside)
    assert printed.splitlines()[-1] == "[] ['mnist-net1']"


def test_installed_app_serves_its_pages(
    scripts: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    headless = outside | {"STREAMLIT_SERVER_HEADLESS": "true"}
    command = [str(scripts / "introspect"), "app", "--port", str(port)]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=headless, stdout=log, stderr=log)
    try:
        answers = [fetch(f"http://127.0.0.1:{port}/{path}", server) for path in ("", "brainbow")]
        assert [status for status, _ in answers] == [200, 200]
        assert all("<title>" in body for _, body in answers)
    finally:
        server.terminate()
        server.wait(20)
    assert "Traceback" not in (tmp_path / "log").read_text()


def fetch(url: str, server: subprocess.Popen, patience: float = 60.0) -> tuple[int, str]:
    """Status and body, as soon as the server answers."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except (URLError, ConnectionError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
