"""Requests from outside are checked against the contract, and every fault is named."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from llmhub.auth.v1 import key_service_pb2, key_service_pb2_grpc
from llmhub.types.v1 import access_pb2
from services.runtime.access import AccessTable
from services.runtime.errors import RequestInvalid, Violation
from services.runtime.interceptors import validation
from services.runtime.status import from_rpc_error
from tests.runtime.interceptors.servers import INTERNALS, KINDS, OPENED, Keys, call, echo, serving
from tests.runtime.interceptors.test_identity import WhoAmI

SERVERS = pytest.mark.parametrize("server", ["unix", "in-process"])
KEYS = key_service_pb2.DESCRIPTOR.services_by_name["KeyService"]


class KeyService(key_service_pb2_grpc.KeyServiceServicer):
    async def CreateKey(self, request: Any, context: Any) -> key_service_pb2.CreateKeyResponse:
        return key_service_pb2.CreateKeyResponse(secret=request.name)


def manager(keys: Any) -> None:
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyService(), keys)  # type: ignore[abstract]


@SERVERS
async def test_every_fault_is_named_with_its_path(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def authenticate(_: Keys, token: str) -> Any:
        from services.runtime.context import Principal

        return Principal(token, scopes=frozenset({5}))

    monkeypatch.setattr(Keys, "authenticate", authenticate)
    bad = key_service_pb2.CreateKeyRequest(
        models=["a", ""], environment="prod", scopes=[access_pb2.SCOPE_UNSPECIFIED]
    )
    async with serving(server, manager, AccessTable(KEYS)) as channel:
        stub: Any = key_service_pb2_grpc.KeyServiceStub(channel)
        metadata = (("x-api-key", "k"),)
        good = await stub.CreateKey(key_service_pb2.CreateKeyRequest(name="n"), metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CreateKey(bad, metadata=metadata)
    assert good.secret == "n"
    error = from_rpc_error(caught.value)
    assert type(error) is RequestInvalid
    assert [fault.field for fault in error.violations] == ["name", "scopes[0]", "models[1]", "environment"]
    assert error.message == "name: must be at least 1 characters (and 3 more)"


def test_a_rule_on_a_message_has_no_path() -> None:
    class Field:
        elements = ()

    assert validation._path(Field()) == ""
    assert validation._path(None) == ""


@SERVERS
@pytest.mark.parametrize("method", KINDS)
async def test_all_kinds_are_checked_and_only_from_outside(
    server: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: Any) -> None:
        raise RequestInvalid(message.text, violations=(Violation("text", "is bad"),))

    class Reading(WhoAmI):
        async def Collect(self, request: Any, context: Any) -> Any:
            return await super().Collect([each async for each in request], context)

        async def Converse(self, request: Any, context: Any) -> AsyncIterator[Any]:
            async for _ in request:
                async for answer in super().Converse(request, context):
                    yield answer

    monkeypatch.setattr(validation, "check", refuse)
    async with serving(server, echo(Reading()), OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method)
    assert from_rpc_error(caught.value).violations == (Violation("text", "is bad"),)
    async with serving(server, echo(Reading()), INTERNALS, public=False) as channel:
        assert len(await call(channel, method)) == 1
