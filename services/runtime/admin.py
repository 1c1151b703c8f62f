"""The operator's port: metrics and health, over as much HTTP/1.1 as probes and Prometheus speak."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from services.runtime.metrics import CONTENT_TYPE, exposition

_HEAD_BYTES: Final = 8_192
_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 64
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[str, str, bytes]


@asynccontextmanager
async def serving(
    host: str, port: int, ready: Callable[[], bool], metrics: Callable[[], bytes] = exposition
) -> AsyncIterator[int]:
    """Answer GET /metrics, /health/live and /health/ready (503 until `ready`) while the context lasts; give the port.

    Nothing here asks for a key: keep it on the loopback, or in a network of the operator's. Raises OSError.
    """

    def answer(line: bytes) -> Answer:
        method, _, rest = line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return "405 Method Not Allowed", _TEXT, b"only GET\n"
        match path:
            case b"/metrics":
                return "200 OK", CONTENT_TYPE, metrics()
            case b"/health/live":
                return "200 OK", _TEXT, b"live\n"
            case b"/health/ready":
                return (
                    ("200 OK", _TEXT, b"ready\n")
                    if ready()
                    else ("503 Service Unavailable", _TEXT, b"not ready\n")
                )
            case _:
                return "404 Not Found", _TEXT, b"/metrics /health/live /health/ready\n"

    open_connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_connections
        open_connections += 1
        try:
            if open_connections <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_response(head, answer(head.partition(b"\r\n")[0])))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a client of ours, or it has gone
        finally:
            open_connections -= 1
            writer.close()

    server = await asyncio.start_server(serve, host, port, limit=_HEAD_BYTES)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _response(head: bytes, answer: Answer) -> bytes:
    status, content_type, body = answer
    headers = (
        f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return headers.encode() + (b"" if head.startswith(b"HEAD ") else body)
