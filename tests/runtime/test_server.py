"""A server says what it is, serves only whom it should, and ends without cutting anybody off."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llmhub.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, key_service_pb2, key_service_pb2_grpc
from llmhub.types.v1 import access_pb2
from llmhub_test.v1 import echo_service_pb2_grpc
from services.runtime.access import AccessMissing
from services.runtime.addresses import AddressInvalid, Tls
from services.runtime.channels import open_channel
from services.runtime.context import Principal
from services.runtime.key_cache import KeyCache
from services.runtime.server import Listener, RpcServer
from tests.runtime.fakes import FakeAuth, until
from tests.runtime.interceptors.servers import Keys
from tests.runtime.interceptors.test_identity import WhoAmI
from tests.support.ports import free_port

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class KeyService(key_service_pb2_grpc.KeyServiceServicer):
    """GetKey waits for `gate`."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.running = asyncio.Event()

    async def GetKey(self, request: Any, context: Any) -> key_service_pb2.GetKeyResponse:
        self.running.set()
        await self.gate.wait()
        return key_service_pb2.GetKeyResponse()


class Admin(Keys):
    async def authenticate(self, token: str) -> Principal:
        return Principal(token, scopes=frozenset({access_pb2.SCOPE_ADMIN}))


@pytest.fixture
def folder() -> Any:
    folder = Path(mkdtemp(prefix="lh"))
    yield folder
    shutil.rmtree(folder)


def build(folder: Path, **options: Any) -> tuple[RpcServer, KeyService]:
    listeners = [
        Listener(f"unix:{folder}/public", public=True),
        Listener(f"unix:{folder}/inner", public=False),
    ]
    server = RpcServer(listeners, Admin(), **options)
    keys = KeyService()  # type: ignore[abstract]
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(keys, server.registry)
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(FakeAuth(), server.registry)
    return server, keys


async def health(channel: grpc.aio.Channel, service: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_internal_methods_are_served_inside_only(folder: Path) -> None:
    server, _ = build(folder)
    request = auth_service_pb2.VerifyKeyRequest(key="k" * 32)
    async with (
        server,
        open_channel(f"unix:{folder}/public") as public,
        open_channel(f"unix:{folder}/inner") as inner,
    ):
        assert (folder / "public").stat().st_mode & 0o777 == 0o600
        codes = {
            name: await code(auth_service_pb2_grpc.AuthServiceStub(channel).VerifyKey(request))
            for name, channel in (("public", public), ("inner", inner), ("in-process", server.channel()))
        }
    assert codes == {
        "public": grpc.StatusCode.UNIMPLEMENTED,
        "inner": grpc.StatusCode.UNAUTHENTICATED,
        "in-process": grpc.StatusCode.UNAUTHENTICATED,
    }
    assert "/llmhub.auth.v1.KeyService/GetKey" in server.access.public_methods()


async def test_health_is_told_per_service(folder: Path) -> None:
    server, _ = build(folder)
    async with server, open_channel(f"unix:{folder}/public") as channel:
        for service in ("", "llmhub.auth.v1.KeyService", "llmhub.auth.v1.AuthService"):
            assert await health(channel, service) == SERVING
        assert await code(health(channel, "llmhub.nothing")) is grpc.StatusCode.NOT_FOUND


async def test_running_calls_end_while_no_new_one_begins(folder: Path) -> None:
    server, keys = build(folder)
    async with (
        server,
        open_channel(f"unix:{folder}/public") as public,
        open_channel(f"unix:{folder}/inner") as inner,
    ):
        request, metadata = key_service_pb2.GetKeyRequest(key_id="a" * 12), (("x-api-key", "k"),)
        stub: Any = key_service_pb2_grpc.KeyServiceStub(public)
        running = stub.GetKey(request, metadata=metadata)
        await keys.running.wait()
        draining = asyncio.create_task(server.drain(20))
        await until(lambda: not (folder / "public").exists())
        assert await health(inner, "") == NOT_SERVING
        assert await code(stub.GetKey(request, metadata=metadata)) is grpc.StatusCode.UNAVAILABLE
        assert not draining.done()
        keys.gate.set()
        await running
        await draining


async def test_the_grace_has_an_end(folder: Path) -> None:
    server, keys = build(folder)
    async with server, open_channel(f"unix:{folder}/public") as public:
        stub: Any = key_service_pb2_grpc.KeyServiceStub(public)
        running = stub.GetKey(key_service_pb2.GetKeyRequest(key_id="a" * 12), metadata=(("x-api-key", "k"),))
        await keys.running.wait()
        await server.drain(0.05)
        assert await code(running) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("development", [True, False])
async def test_reflection_is_served_in_development_only(folder: Path, development: bool) -> None:
    server, _ = build(folder, development=development)

    async def requests() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with server, open_channel(f"unix:{folder}/public") as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        answers = stub.ServerReflectionInfo(requests())
        if not development:
            assert await code(anext(aiter(answers))) is grpc.StatusCode.UNIMPLEMENTED
            return
        found = [each.name async for answer in answers for each in answer.list_services_response.service]
    assert "llmhub.auth.v1.KeyService" in found


async def test_a_method_without_a_rule_stops_the_start(folder: Path) -> None:
    server, _ = build(folder)
    with pytest.raises(AccessMissing, match="EchoService"):
        echo_service_pb2_grpc.add_EchoServiceServicer_to_server(WhoAmI(), server.registry)


async def test_the_key_cache_may_live_on_the_server_s_own_channel() -> None:
    auth = FakeAuth()
    token = auth.add("abcDEF012345", access_pb2.SCOPE_KEYS_MANAGE)
    server = RpcServer([])
    keys = KeyService()  # type: ignore[abstract]
    keys.gate.set()
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(keys, server.registry)
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(auth, server.registry)
    stub: Any = key_service_pb2_grpc.KeyServiceStub(server.channel())
    request = key_service_pb2.GetKeyRequest(key_id="a" * 12)
    async with server:
        assert (
            await code(stub.GetKey(request, metadata=(("x-api-key", token),))) is grpc.StatusCode.UNAVAILABLE
        )
        async with KeyCache(server.channel()) as cache:
            server.authenticator = cache
            await stub.GetKey(request, metadata=(("x-api-key", token),))
    assert auth.asked == [token]


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "192.0.2.1:80", "example.test:80", "[::]:0", "nonsense", "unix:/" + "x" * 120]
)
async def test_an_address_that_is_not_protected_is_refused(address: str) -> None:
    with pytest.raises(AddressInvalid):
        async with RpcServer([Listener(address, public=True)], Admin()):
            pass


async def test_a_port_in_use_is_told() -> None:
    async with RpcServer([Listener(f"127.0.0.1:{free_port()}", public=True)], Admin()) as first:
        with pytest.raises(AddressInvalid, match="another process"):
            async with RpcServer([Listener(first.addresses[0], public=True)], Admin()):
                pass


@pytest.mark.parametrize(
    "addresses", [(), ("a.test:1", "b.test:2"), ("127.0.0.1:1", "[::1]:2"), ("unix:/a", "unix:/b")]
)
def test_addresses_that_cannot_be_one_channel_are_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(AddressInvalid):
        open_channel(*addresses)


async def test_calls_go_round_several_servers() -> None:
    auths = [FakeAuth(), FakeAuth()]
    token = {auth.add("abcDEF012345") for auth in auths}.pop()
    servers = [RpcServer([Listener(f"127.0.0.1:{free_port()}", public=False)], Admin()) for _ in auths]
    for server, auth in zip(servers, auths, strict=True):
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(auth, server.registry)
    async with servers[0], servers[1], open_channel(*(server.addresses[0] for server in servers)) as channel:
        stub = auth_service_pb2_grpc.AuthServiceStub(channel)
        async with asyncio.timeout(10):
            while not all(auth.asked for auth in auths):
                await stub.VerifyKey(auth_service_pb2.VerifyKeyRequest(key=token))


async def test_calls_without_a_deadline_get_one(folder: Path) -> None:
    server, keys = build(folder)
    async with server, open_channel(f"unix:{folder}/inner", unary_seconds=0.05) as channel:
        stub: Any = key_service_pb2_grpc.KeyServiceStub(channel)
        request, metadata = key_service_pb2.GetKeyRequest(key_id="a" * 12), (("x-api-key", "k"),)
        assert await code(stub.GetKey(request, metadata=metadata)) is grpc.StatusCode.DEADLINE_EXCEEDED
        running = stub.GetKey(request, metadata=metadata, timeout=30)
        keys.gate.set()
        await running


@pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl to test mutual TLS")
async def test_mutual_tls_lets_only_the_mesh_in(folder: Path) -> None:
    ours, theirs = certificates(folder / "ours"), certificates(folder / "theirs")
    server = RpcServer([Listener(f"127.0.0.1:{free_port()}", public=False, tls=ours)], Admin())
    async with server:
        address = server.addresses[0]
        async with open_channel(address, tls=ours) as channel:
            assert await health(channel, "") == SERVING
        stranger = Tls(theirs.certificate, theirs.key, ours.authority, ours.server_name)
        for tls in (stranger, theirs, None):
            async with open_channel(address, tls=tls) as channel:
                assert await code(health(channel, "")) is grpc.StatusCode.UNAVAILABLE


def certificates(folder: Path) -> Tls:
    """An authority, and one certificate of it for `mesh.test`."""
    folder.mkdir()
    ca, key = ["-keyout", "ca.key", "-out", "ca.pem"], ["-keyout", "key.pem", "-out", "cert.pem"]
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    for command in (
        [*new, *ca, "-subj", "/CN=authority"],
        [
            *new,
            *key,
            "-subj",
            "/CN=mesh.test",
            "-addext",
            "subjectAltName=DNS:mesh.test",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
        ],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Tls(folder / "cert.pem", folder / "key.pem", folder / "ca.pem", "mesh.test")
