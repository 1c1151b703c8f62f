"""The service behind the runtime's own server, interceptors and key cache, with nothing faked."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from llmhub.auth.v1 import key_service_pb2 as pb
from llmhub.auth.v1.auth_service_pb2 import VerifyKeyRequest
from llmhub.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from llmhub.auth.v1.key_service_pb2_grpc import KeyServiceStub
from llmhub.types.v1 import access_pb2 as access
from services.auth.app import build
from services.auth.settings import AuthSettings
from services.runtime.key_cache import KeyCache
from services.runtime.server import Listener, RpcServer
from tests.services.auth.harness import refused
from tests.services.auth.test_app import NoChannels

BOOTSTRAP = "b" * 40


@asynccontextmanager
async def front_door(data: Path) -> AsyncIterator[grpc.aio.Channel]:
    settings = AuthSettings.model_validate({"data_dir": data, "bootstrap_key": BOOTSTRAP})
    with tempfile.TemporaryDirectory(prefix="llmhub-") as folder:
        address = f"unix:{folder}/s"
        async with build(settings, NoChannels()) as hosted:
            server = RpcServer([Listener(address, public=True)])
            hosted.register(server.registry)
            async with server, KeyCache(server.channel()) as cache:
                server.authenticator = cache
                async with grpc.aio.insecure_channel(address) as channel:
                    yield channel
                await hosted.drain()


def bearing(text: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {text}"),)


async def test_a_key_lives_and_ends_through_the_front_door(tmp_path: Path) -> None:
    async with front_door(tmp_path) as channel:
        keys = KeyServiceStub(channel)
        scopes = [access.SCOPE_INFERENCE, access.SCOPE_KEYS_MANAGE]
        made = await keys.CreateKey(
            pb.CreateKeyRequest(name="manager", scopes=scopes), metadata=bearing(BOOTSTRAP)
        )
        mine = bearing(made.secret)
        async with refused(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_DENIED"):
            await keys.CreateKey(pb.CreateKeyRequest(name="x", scopes=[access.SCOPE_ADMIN]), metadata=mine)
        async with refused(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_DENIED"):
            await keys.RevokeKey(pb.RevokeKeyRequest(key_id="bootstrap000"), metadata=mine)
        request = pb.RevokeKeyRequest(key_id=made.key.key_id)
        await keys.RevokeKey(request, metadata=bearing(BOOTSTRAP))
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_REVOKED"), asyncio.timeout(1):
            while True:
                await keys.GetKey(pb.GetKeyRequest(key_id=made.key.key_id), metadata=mine)


async def test_the_contract_is_kept_before_the_service_is_asked(tmp_path: Path) -> None:
    async with front_door(tmp_path) as channel:
        keys = KeyServiceStub(channel)
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_MISSING"):
            await keys.ListKeys(pb.ListKeysRequest())
        for request in (
            pb.CreateKeyRequest(name=""),
            pb.CreateKeyRequest(name="x", request_id="no uuid"),
            pb.CreateKeyRequest(name="x", environment="prod"),
            pb.CreateKeyRequest(name="x", scopes=[99]),  # type: ignore[list-item]
        ):
            async with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
                await keys.CreateKey(request, metadata=bearing(BOOTSTRAP))


async def test_keys_cannot_be_verified_from_outside(tmp_path: Path) -> None:
    async with (
        front_door(tmp_path) as channel,
        refused(grpc.StatusCode.UNIMPLEMENTED, "OPERATION_UNSUPPORTED"),
    ):
        await AuthServiceStub(channel).VerifyKey(VerifyKeyRequest(key=BOOTSTRAP))
