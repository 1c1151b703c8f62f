"""Nobody gets past the rule of the contract, and handlers know who calls under which id."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from llmhub_test.v1 import echo_service_pb2 as messages
from llmhub_test.v1 import echo_service_pb2_grpc
from services.runtime import context as ambient
from services.runtime.access import AccessTable
from services.runtime.errors import KeyInvalid, KeyMissing, LlmhubError, OperationUnsupported, ScopeDenied
from services.runtime.status import from_rpc_error
from tests.runtime.interceptors.servers import (
    INTERNALS,
    KINDS,
    OPENED,
    SCOPED,
    call,
    echo,
    serving,
)

SERVERS = pytest.mark.parametrize("server", ["unix", "in-process"])
METHODS = pytest.mark.parametrize("method", KINDS)


class WhoAmI(echo_service_pb2_grpc.EchoServiceServicer):
    """Answers with the key id, and the request id as payload where there is one."""

    @property
    def who(self) -> str:
        principal = ambient.principal.get()
        return f"{principal.key_id if principal else '-'} {ambient.request_id.get()}"

    async def Echo(self, request: Any, context: Any) -> messages.EchoResponse:
        return messages.EchoResponse(text=self.who)

    async def Collect(self, request: Any, context: Any) -> messages.CollectResponse:
        return messages.CollectResponse(text=self.who)

    async def Expand(self, request: Any, context: Any) -> AsyncIterator[messages.ExpandResponse]:
        yield messages.ExpandResponse(text=self.who)

    async def Converse(self, request: Any, context: Any) -> AsyncIterator[messages.ConverseResponse]:
        yield messages.ConverseResponse(text=self.who)


@SERVERS
@METHODS
@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer good"),),
        (("authorization", "bearer  good"),),
        (("x-api-key", "good"),),
        (("authorization", "Basic Zm9v"), ("x-api-key", "good")),
    ],
)
async def test_the_principal_is_known(server: str, method: str, metadata: Any) -> None:
    async with serving(server, echo(WhoAmI()), SCOPED) as channel:
        (answer,) = await call(channel, method, metadata=metadata)
    assert answer.text.startswith("k-inference ")


@SERVERS
@METHODS
@pytest.mark.parametrize(
    ("metadata", "error", "code"),
    [
        ((), KeyMissing, grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer "),), KeyMissing, grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer bad"),), KeyInvalid, grpc.StatusCode.UNAUTHENTICATED),
        (
            (("authorization", "Bearer bad"), ("x-api-key", "good")),
            KeyInvalid,
            grpc.StatusCode.UNAUTHENTICATED,
        ),
        ((("x-api-key", "reader"),), ScopeDenied, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_the_others_are_refused_typed(
    server: str, method: str, metadata: Any, error: type[LlmhubError], code: grpc.StatusCode
) -> None:
    async with serving(server, echo(WhoAmI()), SCOPED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, metadata=metadata)
    assert type(from_rpc_error(caught.value)) is error
    assert caught.value.code() is code


@SERVERS
async def test_a_key_is_needed_on_inner_servers_too(server: str) -> None:
    async with serving(server, echo(WhoAmI()), SCOPED, public=False) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Echo")
    assert type(from_rpc_error(caught.value)) is KeyMissing


@SERVERS
@METHODS
async def test_internal_methods_do_not_exist_on_a_public_server(server: str, method: str) -> None:
    async with serving(server, echo(WhoAmI()), INTERNALS, public=True) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, metadata=(("authorization", "Bearer good"),))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    async with serving(server, echo(WhoAmI()), INTERNALS, public=False) as channel:
        (answer,) = await call(channel, method)
    assert answer.text.startswith("- ")


@SERVERS
async def test_a_method_without_a_rule_is_not_served(server: str) -> None:
    async with serving(server, echo(WhoAmI()), AccessTable(), public=False) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Echo", metadata=(("x-api-key", "good"),))
    assert type(from_rpc_error(caught.value)) is OperationUnsupported


@SERVERS
async def test_the_request_id_is_the_caller_s_uuid_or_a_new_one(server: str) -> None:
    mine = str(uuid.uuid4())
    async with serving(server, echo(WhoAmI()), OPENED) as channel:
        for sent, kept in ((mine, True), (mine.upper(), True), ("42", False), (None, False)):
            metadata = (("x-request-id", sent),) if sent else ()
            (answer,) = await call(channel, "Echo", metadata=metadata)
            seen = answer.text.split()[1]
            if kept:
                assert seen == mine
            else:
                assert seen != mine
                assert uuid.UUID(seen).version == 7


@SERVERS
async def test_calls_do_not_see_each_other_s_identity(server: str) -> None:
    async with serving(server, echo(WhoAmI()), OPENED) as channel:
        (first,) = await call(channel, "Echo")
        (second,) = await call(channel, "Echo")
    assert first.text != second.text
    assert ambient.request_id.get() == ""
