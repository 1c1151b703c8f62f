"""The echo service behind the interceptors, on a real server and in process; each test says what it does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc.aio

from llmhub.types.v1 import access_pb2
from llmhub_test.v1 import echo_service_pb2_grpc
from services.runtime.access import INTERNAL, OPEN, AccessTable, Rule
from services.runtime.context import Principal
from services.runtime.errors import KeyInvalid
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors import server_interceptors

INFERENCE = Principal("k-inference", scopes=frozenset({access_pb2.SCOPE_INFERENCE}))
READER = Principal("k-reader", scopes=frozenset({access_pb2.SCOPE_USAGE_READ}))


class Keys:
    """Authenticates from a dict."""

    def __init__(self) -> None:
        self.principals = {"good": INFERENCE, "reader": READER}

    async def authenticate(self, token: str) -> Principal:
        if token not in self.principals:
            raise KeyInvalid("unknown key")
        return self.principals[token]


class Rules(AccessTable):
    """Rules for the echo service, which carries none of its own."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rules.update(
            {f"/llmhub_test.v1.EchoService/{n}": rule for n in ("Echo", "Expand", "Collect", "Converse")}
        )


SCOPED = Rules(Rule(scope=access_pb2.SCOPE_INFERENCE))
OPENED = Rules(OPEN)
INTERNALS = Rules(INTERNAL)

Register = Callable[[grpc.aio.Server], None]


@asynccontextmanager
async def serving(
    kind: str, register: Register, table: AccessTable, *, public: bool = True
) -> AsyncIterator[grpc.aio.Channel]:
    interceptors = server_interceptors(table, Keys(), public=public)
    if kind == "in-process":
        server = InProcessServer(interceptors)
        register(server)
        yield server.channel()
        await server.stop(None)
        return
    with TemporaryDirectory(prefix="lh") as folder:
        target = f"unix:{Path(folder) / 's'}"
        real = grpc.aio.server(interceptors=interceptors)
        register(real)
        real.add_insecure_port(target)
        await real.start()
        try:
            async with grpc.aio.insecure_channel(target) as channel:
                yield channel
        finally:
            await real.stop(None)


def echo(servicer: echo_service_pb2_grpc.EchoServiceServicer) -> Register:
    def register(server: Any) -> None:
        echo_service_pb2_grpc.add_EchoServiceServicer_to_server(servicer, server)

    return register


KINDS = ("Echo", "Expand", "Collect", "Converse")


async def call(channel: grpc.aio.Channel, kind: str, **arguments: Any) -> list[Any]:
    """One call of the given kind with one request; all its responses."""
    from llmhub_test.v1 import echo_service_pb2 as messages

    stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
    request: Any = getattr(messages, f"{kind}Request")(text="hello")

    async def requests() -> AsyncIterator[Any]:
        yield request

    method = getattr(stub, kind)
    started = method(requests() if kind in ("Collect", "Converse") else request, **arguments)
    if kind in ("Echo", "Collect"):
        return [await started]
    return [response async for response in started]
