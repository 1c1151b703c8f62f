"""AuthService and KeyService behind a real gRPC server on a unix socket, with fakes behind the ports."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from llmhub.auth.v1 import auth_service_pb2 as auth_pb
from llmhub.auth.v1 import key_service_pb2 as key_pb
from llmhub.auth.v1.auth_service_pb2_grpc import AuthServiceStub, add_AuthServiceServicer_to_server
from llmhub.auth.v1.key_service_pb2_grpc import KeyServiceStub, add_KeyServiceServicer_to_server
from services.auth.domain.policy import Scope
from services.auth.keyring import Keyring
from services.auth.ports import KeyStore
from services.auth.servicers.auth import AuthServicer
from services.auth.servicers.key import KeyServicer
from services.auth.watch import KeyFeed
from services.runtime import context
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError
from services.runtime.status import from_rpc_error, to_rpc_status
from tests.support.fakes_auth import PEPPERS, FakeClock, FakeKeyStore, FakeRandomness

Handler = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]

ADMIN = Principal("admin0000000", "admin", frozenset({int(Scope.ADMIN)}), environment="live")
MANAGER = Principal(
    "manager00000", "manager", frozenset({int(Scope.INFERENCE), int(Scope.KEYS_MANAGE)}), environment="live"
)


class Identity(grpc.aio.ServerInterceptor):
    """Lets the test say who calls, and maps errors as the runtime does."""

    def __init__(self) -> None:
        self.caller: Principal | None = ADMIN

    async def intercept_service(self, continuation: Handler, details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(details)
        if handler.response_streaming:

            async def stream(request: Any, call: Any) -> AsyncIterator[Any]:
                try:
                    async for message in handler.unary_stream(request, call):
                        yield message
                except LlmhubError as error:
                    await call.abort_with_status(to_rpc_status(error))

            return grpc.unary_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )

        async def unary(request: Any, call: Any) -> Any:
            context.principal.set(self.caller)
            try:
                return await handler.unary_unary(request, call)
            except LlmhubError as error:
                await call.abort_with_status(to_rpc_status(error))

        return grpc.unary_unary_rpc_method_handler(
            unary, handler.request_deserializer, handler.response_serializer
        )


@dataclass
class Auth:
    keys: KeyServiceStub
    auth: AuthServiceStub
    keyring: Keyring
    store: KeyStore
    feed: KeyFeed
    clock: FakeClock
    identity: Identity
    channel: grpc.aio.Channel

    def acting_as(self, principal: Principal | None) -> None:
        self.identity.caller = principal

    async def create(self, name: str = "key", **fields: Any) -> key_pb.CreateKeyResponse:
        return await self.keys.CreateKey(key_pb.CreateKeyRequest(name=name, **fields))

    async def verify(self, text: str) -> auth_pb.VerifyKeyResponse:
        return await self.auth.VerifyKey(auth_pb.VerifyKeyRequest(key=text))

    async def principal(self, text: str) -> Principal:
        """Who the key's holder is, as the runtime's cache would say."""
        found = (await self.verify(text)).principal
        return Principal(
            found.key_id,
            found.name,
            frozenset(found.scopes),
            tuple(found.models),
            found.version,
            found.expires_at.ToNanoseconds() / 1e9 if found.HasField("expires_at") else None,
            found.environment,
        )


@asynccontextmanager
async def served(
    store: KeyStore | None = None, *, poll: float = 0.01, beat: float = 0.02, bootstrap_key: str = ""
) -> AsyncIterator[Auth]:
    store = store or FakeKeyStore()
    clock, identity = FakeClock(), Identity()
    feed = KeyFeed(store, poll=poll, beat=beat)
    keyring = Keyring(
        store, PEPPERS, clock, FakeRandomness(), bootstrap_key=bootstrap_key, changed=feed.nudge
    )
    await keyring.install_bootstrap()
    with tempfile.TemporaryDirectory(prefix="llmhub-") as folder:
        server = grpc.aio.server(interceptors=[identity])
        add_AuthServiceServicer_to_server(AuthServicer(keyring, feed), server)
        add_KeyServiceServicer_to_server(KeyServicer(keyring, store, clock), server)
        server.add_insecure_port(f"unix:{folder}/s")
        await server.start()
        async with feed.running(), grpc.aio.insecure_channel(f"unix:{folder}/s") as channel:
            keys, verifier = KeyServiceStub(channel), AuthServiceStub(channel)
            yield Auth(keys, verifier, keyring, store, feed, clock, identity, channel)
        await server.stop(None)


@asynccontextmanager
async def refused(code: grpc.StatusCode, reason: str) -> AsyncIterator[dict[str, str]]:
    """The call inside must fail so; gives the error's metadata."""
    metadata: dict[str, str] = {}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield metadata
    error = from_rpc_error(caught.value)
    assert (caught.value.code(), error.reason) == (code, reason)
    metadata.update(error.metadata)
