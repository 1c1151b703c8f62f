"""Envoy's admin interface over its unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

_ANSWER_SECONDS = 5.0
_LARGEST_ANSWER = 16 * 1024 * 1024
_ACTIVE = re.compile(rb"^http\.edge\.downstream_rq_active: (\d+)", re.MULTILINE)


class AdminUnreachable(Exception):
    """Envoy does not answer on its admin socket."""


async def call(socket: Path, method: str, path: str) -> bytes:
    """Return the body of the admin's answer, chunk marks included. Raises AdminUnreachable."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await _exchange(socket, method, path)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise AdminUnreachable(f"the edge's admin socket {socket} does not answer") from error


async def _exchange(socket: Path, method: str, path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        request = f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        writer.write(request.encode())
        answer = b""
        while piece := await reader.read(65536):
            answer += piece
            if len(answer) > _LARGEST_ANSWER:
                break
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode("latin-1")
    if not status.startswith("HTTP/1.1 200"):
        raise AdminUnreachable(f"{method} {path}: {status}")
    return body


async def active_requests(socket: Path) -> int:
    """Return how many calls are running at the edge."""
    found = _ACTIVE.search(await call(socket, "GET", "/stats?filter=%5Ehttp%5C.edge%5C.downstream_rq_active"))
    return int(found.group(1)) if found else 0


async def stop_accepting(socket: Path) -> None:
    """Close the port; ask callers on open connections to go elsewhere. Running calls go on."""
    await call(socket, "POST", "/drain_listeners?graceful&skip_exit")
    await call(socket, "POST", "/drain_listeners")
