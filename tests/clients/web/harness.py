"""Runs the web client's scenarios: in Node as a child process, in a browser as a page served from here."""

from __future__ import annotations

import functools
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
SECONDS: Final = 30.0
PAGE: Final = b"""<!doctype html><meta charset="utf-8"><title>gRPC-Web</title>
<h1>Answer</h1><p id="answer"></p><script type="module" src="/page.js"></script>"""
BROWSERS: Final = ("chromium", "google-chrome")
FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--mute-audio"),
)


def node_missing() -> str:
    """Return why the clients cannot be built here; empty when they can."""
    if shutil.which("node") is None:
        return "needs Node 20 or newer with npm"
    if not (HERE / "node_modules" / "esbuild").exists():
        return "needs the npm packages of tests/clients/web: run make test, or npm ci there"
    return ""


def browser() -> str | None:
    """Return the browser's path, if there is one."""
    return next((path for path in map(shutil.which, BROWSERS) if path is not None), None)


@functools.cache
def build() -> Path:
    """Bundle both clients once, and return their folder."""
    subprocess.run(["node", str(HERE / "build.mjs")], check=True, timeout=120)
    return HERE / "build"


class Lines:
    """Reports as they come."""

    def __init__(self) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()

    def put(self, line: dict[str, Any]) -> None:
        """Add a report."""
        self._queue.put(line)

    def next(self) -> dict[str, Any]:
        """Return the next report, waiting for it. Raises AssertionError when none comes."""
        try:
            return self._queue.get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError(f"the client reported nothing for {SECONDS} s") from None

    def rest(self) -> list[dict[str, Any]]:
        """Return the reports up to the last one."""
        out = [self.next()]
        while out[-1]["kind"] not in {"done", "error"}:
            out.append(self.next())
        return out


@contextmanager
def node(task: dict[str, Any]) -> Iterator[Lines]:
    """Run a scenario in Node."""
    command = ["node", str(build() / "node.mjs"), json.dumps(task)]
    lines = Lines()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        try:
            yield lines
        finally:
            child.terminate()
            reader.join(SECONDS)


def _read(stream: Any, lines: Lines) -> None:
    for line in stream:
        lines.put(json.loads(line))


@contextmanager
def page(task: dict[str, Any], port: int, profile: Path) -> Iterator[Lines]:
    """Run a scenario in a page of a headless browser, of another origin than the mesh."""
    bundle = (build() / "page.js").read_bytes()
    lines = Lines()
    content = {
        "/": ("text/html", PAGE),
        "/page.js": ("text/javascript", bundle),
        "/task": ("application/json", json.dumps(task).encode()),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = content.get(self.path, ("text/plain", b""))
            self._send(kind, body)

        def do_POST(self) -> None:
            lines.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._send("text/plain", b"")

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    found = browser()
    assert found is not None
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        command = [found, *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                yield lines
            finally:
                child.terminate()
                child.wait(SECONDS)
        server.shutdown()
        thread.join(SECONDS)
