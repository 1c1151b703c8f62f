"""Working stand-ins for what the runtime talks to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc.aio

from llmhub.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, principal_pb2
from services.runtime.errors import KeyInvalid, LlmhubError
from services.runtime.key_format import join
from services.runtime.status import to_rpc_status


class FakeClock:
    """Time that stands still until it is told to pass."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time + 1_700_000_000

    def monotonic(self) -> float:
        return self.time


class FakeAuth(auth_service_pb2_grpc.AuthServiceServicer):
    """AuthService over a dict; `gate` holds back answers, `announce` speaks to every watcher."""

    def __init__(self) -> None:
        self.answers: dict[str, auth_service_pb2.VerifyKeyResponse | LlmhubError] = {}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.watchers: set[asyncio.Queue[tuple[str, ...] | None]] = set()

    def add(self, key_id: str, *scopes: int, **fields: Any) -> str:
        """Make a key and return its token."""
        token = join("test", key_id, "s" * 43)
        valid_until = fields.pop("secret_valid_until_ms", 0)
        self.answers[token] = auth_service_pb2.VerifyKeyResponse(
            principal=principal_pb2.Principal(key_id=key_id, scopes=scopes, **fields),  # type: ignore[arg-type]
            secret_valid_until_ms=valid_until,
        )
        return token

    async def VerifyKey(
        self, request: auth_service_pb2.VerifyKeyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> auth_service_pb2.VerifyKeyResponse:
        self.asked.append(request.key)
        answer = self.answers.get(request.key, KeyInvalid("no such key"))
        await self.gate.wait()
        if isinstance(answer, LlmhubError):
            await context.abort_with_status(to_rpc_status(answer))
        return answer

    async def WatchKeys(
        self, request: auth_service_pb2.WatchKeysRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[auth_service_pb2.WatchKeysResponse]:
        queue: asyncio.Queue[tuple[str, ...] | None] = asyncio.Queue()
        self.watchers.add(queue)
        try:
            yield auth_service_pb2.WatchKeysResponse()
            while (key_ids := await queue.get()) is not None:
                yield auth_service_pb2.WatchKeysResponse(key_ids=key_ids)
        finally:
            self.watchers.discard(queue)

    def announce(self, *key_ids: str) -> None:
        """Send a change, or only a beat without ids."""
        for queue in self.watchers:
            queue.put_nowait(key_ids)

    def cut(self) -> None:
        """End every watch."""
        for queue in self.watchers:
            queue.put_nowait(None)


@asynccontextmanager
async def unix_server(*register: Callable[[grpc.aio.Server], None]) -> AsyncIterator[grpc.aio.Channel]:
    """A real grpc.aio server on a unix socket, and a channel to it."""
    with TemporaryDirectory(prefix="lh") as folder:
        target = f"unix:{Path(folder) / 's'}"
        server = grpc.aio.server()
        for add in register:
            add(server)
        server.add_insecure_port(target)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(target) as channel:
                yield channel
        finally:
            await server.stop(None)


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds, after at most five seconds of giving way."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
