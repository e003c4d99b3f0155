"""Visitors without a browser: plain HTTP requests and Streamlit's websocket, byte for byte."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from introspect.bundled import site

START = 90.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


@dataclass(frozen=True)
class Reply:
    """What came back from the server: status, body, and the cookies it set."""

    status: int
    body: bytes
    set_cookies: tuple[str, ...]


@dataclass
class RawVisitor:
    """One visitor: the cookies they keep, and what their page has said last."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    session: str = ""
    said: str = ""
    upload_path: str = ""

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Any:
        """One request with this visitor's cookies; new ones are kept."""
        request = urllib.request.Request(self.url + path, body, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if self.cookies:
            request.add_header("Cookie", self.cookie)
        try:
            with _OPENER.open(request, timeout=60) as answer:
                found = Reply(
                    answer.status, answer.read(), tuple(answer.headers.get_all("Set-Cookie") or ())
                )
        except urllib.error.HTTPError as refusal:
            with refusal:
                found = Reply(
                    refusal.code, refusal.read(), tuple(refusal.headers.get_all("Set-Cookie") or ())
                )
        for line in found.set_cookies:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return found

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def run(
        self,
        page: str = "",
        query: str = "",
        session: str = "",
        while_open: Callable[[], None] | None = None,
    ) -> str:
        """Opens the websocket, runs a page to its end, and answers all that the server sent.

        Args:
            page: name of the page, empty for the first one.
            query: the query string of its address.
            session: an earlier session to go on with.
            while_open: called before leaving, with `upload_path` known: Streamlit takes uploads
                only for a session that is there.
        """
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
        from websockets.sync.client import connect
        from websockets.typing import Origin

        told = []
        named = ["streamlit", self.cookies.get("_streamlit_xsrf", "-"), session]
        protocols: Any = list(filter(None, named))
        with connect(
            self.url.replace("http", "ws") + "/_stcore/stream",
            origin=Origin(self.url),
            subprotocols=protocols,
            additional_headers={"Cookie": self.cookie} if self.cookies else {},
            max_size=None,
        ) as stream:
            ask = BackMsg()
            ask.rerun_script.query_string = query
            ask.rerun_script.page_name = page
            stream.send(ask.SerializeToString())
            while True:
                message = ForwardMsg.FromString(stream.recv(timeout=90, decode=False))
                kind = message.WhichOneof("type")
                told.append(str(message))
                if kind == "new_session":
                    self.session = message.new_session.initialize.session_id
                if kind == "file_urls_response":
                    self.upload_path = message.file_urls_response.file_urls[0].upload_url
                    break
                if kind == "script_finished":
                    if while_open is None:
                        break
                    want = BackMsg()
                    want.file_urls_request.request_id = "1"
                    want.file_urls_request.file_names.append("a.npz")
                    want.file_urls_request.session_id = self.session
                    stream.send(want.SerializeToString())
            if while_open is not None:
                while_open()
        self.said = "\n".join(told)
        return self.said

    def upload(self, path: str, content: bytes) -> int:
        """Sends a file to an upload address of Streamlit; the status that came back."""
        self.ask("/_stcore/health")
        body = (
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.npz"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--edge--\r\n"
        )
        reply = self.ask(
            path,
            "PUT",
            body,
            Content_Type="multipart/form-data; boundary=edge",
            X_Xsrftoken=self.cookies.get("_streamlit_xsrf", ""),
            Origin=self.url,
        )
        return reply.status

    def blobs(self) -> list[str]:
        """Keys of the blobs named in what the page said last."""
        return re.findall(r"manifest[^0-9a-f]{1,12}([0-9a-f]{32,64})", self.said)


@dataclass(frozen=True)
class RawServer:
    """The app running, and the folders it keeps things in."""

    url: str
    home: Path
    cache: Path
    process: subprocess.Popen

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(folder: Path, **environment: str) -> RawServer:
    """Starts `streamlit run app.py` on a free port, with its library and cache in `folder`."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home, cache = folder / "library", folder / "cache"
    home.mkdir()
    command = [sys.executable, "-m", "streamlit", "run", str(site() / "app.py")]
    own = {"INTROSPECT_HOME": str(home), "INTROSPECT_CACHE": str(cache)}
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--server.port", str(port), "--server.headless", "true"],
            cwd=site(),
            stdout=log,
            stderr=log,
            env=os.environ | own | environment,
        )
    server = RawServer(f"http://127.0.0.1:{port}", home, cache, process)
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if RawVisitor(server.url).ask("/_stcore/health").status in (200, 401):
                return server
        except OSError:
            time.sleep(0.1)
    server.stop()
    raise RuntimeError((folder / "server.log").read_text()[-2000:])
