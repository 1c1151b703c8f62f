"""A web server with a certificate of its own authority, for the fetcher's tests."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.ports import free_port

HOST = "files.example"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


def make_certificates(folder: Path) -> None:
    """Write `ca.crt`, and `tls.crt` with `tls.key` for HOST."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2"),
        *("-subj", "/CN=llmhub test"),
    )
    openssl("req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", f"/CN={HOST}")
    (folder / "san").write_text(f"subjectAltName=DNS:{HOST}\n")
    openssl(
        *("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-days", "2", "-extfile", "san", "-out", "tls.crt"),
    )


def answer(
    body: bytes = PNG, status: str = "200 OK", content_type: str = "image/png", **headers: str
) -> Handler:
    """An answer that is sent at once. `content_length` and others in `headers` replace the true ones."""
    fields = {"content_type": content_type, "content_length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value)

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return send


def endless(content_type: str = "image/png") -> Handler:
    """An answer whose body never ends and whose length is not said."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        while not writer.is_closing():
            writer.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")
            await writer.drain()

    return send


def trickling(gate: asyncio.Event) -> Handler:
    """An answer that stops in the middle until the gate opens."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        await gate.wait()

    return send


@dataclass
class Web:
    """What the server answers by path, and what it was asked."""

    folder: Path
    port: int = 0
    answers: dict[str, Handler] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    running: int = 0
    most: int = 0

    def url(self, path: str = "/x.png") -> str:
        """Where a path is."""
        return f"https://{HOST}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.connections += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            path = head.split(" ")[1].partition("?")[0]
            await self.answers.get(path, answer())(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.running -= 1
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Listen on a free port."""
        self.port = free_port()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, ssl=context)
        try:
            yield self
        finally:
            server.close()
