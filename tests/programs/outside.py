"""The way out of this machine, which no program may take: a proxy that notes who asks for it, and refuses."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Final, Self

from tests.support.ports import free_port

_REFUSAL: Final = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Outside:
    """Put `proxy` into the environment of a program; `asked` then tells where it wanted to go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Refuse(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked.append(self.rfile.readline(4096).decode("latin-1").strip())
                self.wfile.write(_REFUSAL)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", free_port()), Refuse)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def proxy(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
