"""A download is whole and checked, or it is not there; a broken one goes on where it stopped."""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from introspect.download import fetch
from introspect.errors import BadInput, Cancelled

CONTENT = bytes(range(256)) * 4000


class Mirror(BaseHTTPRequestHandler):
    """Serves `server.content`; `server.fault` says how it misbehaves."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        content, fault = self.server.content, self.server.fault
        if fault == "missing":
            return self.send_error(404)
        start = 0
        asked = self.headers.get("Range")
        if asked and fault != "no ranges":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206)
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "breaks off":
            body = body[: len(body) // 2]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror():
    with contextlib.ExitStack() as stack:

        def start(content=CONTENT, fault=None):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Mirror))
            server.content, server.fault, server.asked = content, fault, []
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            server.url = f"http://127.0.0.1:{server.server_port}/file.gz"
            return server

        yield start


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def check(path):
    if hashlib.sha256(path.read_bytes()).digest() != hashlib.sha256(CONTENT).digest():
        raise BadInput("the checksum is wrong.")


def test_first_good_mirror_gives_the_file(mirror, tmp_path):
    servers = [mirror(fault="missing"), mirror(content=b"hello"), mirror(), mirror()]
    target = tmp_path / "new" / "file.gz"
    seen = []
    fetch([s.url for s in servers], target, check, on_bytes=lambda *at: seen.append(at))
    assert target.read_bytes() == CONTENT
    assert [len(s.asked) for s in servers] == [1, 1, 1, 0]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in target.parent.iterdir()] == ["file.gz"]


def test_broken_download_goes_on_where_it_stopped(mirror, tmp_path):
    server = mirror(fault="breaks off")
    target = tmp_path / "file.gz"
    with pytest.raises(BadInput, match="broke off|IncompleteRead"):
        fetch([server.url], target, check)
    half = (tmp_path / "file.gz.part").stat().st_size
    assert not target.exists() and 0 < half < len(CONTENT)
    server.fault = None
    fetch([server.url], target, check)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={half}-"]


def test_mirror_without_ranges_starts_again(mirror, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(CONTENT[:1000])
    fetch([mirror(fault="no ranges").url], tmp_path / "file.gz", check)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"x" * 1000, b"x" * len(CONTENT), CONTENT + b"more"])
def test_wrong_beginning_is_thrown_away(mirror, tmp_path, stale):
    (tmp_path / "file.gz.part").write_bytes(stale)
    fetch([mirror().url], tmp_path / "file.gz", check)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_whole_but_unmoved_file_is_taken(mirror, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(CONTENT)
    server = mirror()
    fetch([server.url], tmp_path / "file.gz", check)
    assert len(server.asked) == 1 and (tmp_path / "file.gz").read_bytes() == CONTENT


def test_cancelled_download_stops_and_keeps_its_part(mirror, tmp_path):
    with pytest.raises(Cancelled):
        fetch([mirror().url], tmp_path / "file.gz", check, on_bytes=lambda done, total: False)
    assert (tmp_path / "file.gz.part").stat().st_size < len(CONTENT)


def test_nothing_wrong_is_ever_kept(mirror, tmp_path):
    urls = [mirror(content=CONTENT[:-1]).url, mirror(fault="missing").url, "http://127.0.0.1:9/f"]
    with pytest.raises(BadInput, match="checksum is wrong; .*answered 404; .*") as error:
        fetch(urls, tmp_path / "file.gz", check)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_too_much_is_refused(mirror, tmp_path):
    with pytest.raises(BadInput, match="larger than it should be"):
        fetch([mirror().url], tmp_path / "file.gz", check, max_bytes=1000)
    assert list(tmp_path.iterdir()) == []
