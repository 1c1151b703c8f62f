"""Deadlines, connecting, credentials, and what errors carry."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest as Asked
from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub_client import (
    Cancelled,
    Client,
    ConnectFailed,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    LlmhubError,
    ResourceExhausted,
    StreamBroken,
    Unavailable,
    user,
)
from llmhub_client.messages import GenerateRequest
from services.runtime import errors as product
from services.runtime.errors import UpstreamDetail, Violation
from services.runtime.status import DETAILS_KEY, RpcStatus, code_of
from tests.sdk.fake_server import FakeServer, Hang, sent, whole

ASKED = GenerateRequest(model="m", messages=[user("Hello")])
ANSWER = GenerateResponse(model="fake/m")


async def test_request_key_and_deadline_arrive(client: Client, fake: FakeServer) -> None:
    fake.script = [ANSWER]
    assert (await client.generate(ASKED, timeout=7)).model == "fake/m"
    await client.generate(ASKED)
    short, usual = fake.calls
    assert short.method == "/llmhub.completion.v1.CompletionService/Generate"
    assert Asked.FromString(short.request).messages[0].parts[0].text == "Hello"
    assert short.metadata["authorization"] == "Bearer the-key"
    assert str(short.metadata["user-agent"]).startswith("llmhub-client/")
    assert short.seconds is not None
    assert 5 < short.seconds < 8
    assert usual.seconds is not None
    assert 15 < usual.seconds < 21


async def test_without_a_key_none_is_sent(fake: FakeServer) -> None:
    fake.script = [ANSWER]
    async with Client(fake.url) as client:
        await client.generate(ASKED)
    assert "authorization" not in fake.calls[0].metadata


async def test_the_deadline_ends_a_whole_answer(client: Client, fake: FakeServer) -> None:
    fake.script = [ANSWER]
    await client.generate(ASKED)  # connecting is not what is timed here
    fake.script = [Hang()]
    with pytest.raises(DeadlineExceeded):
        await client.generate(ASKED, timeout=0.3)
    await asyncio.wait_for(fake.left.wait(), 10)


async def test_the_deadline_ends_a_stream(client: Client, fake: FakeServer) -> None:
    fake.script = [ANSWER]
    await client.generate(ASKED)
    fake.script = [Hang()]
    with pytest.raises(DeadlineExceeded):
        await client.stream(ASKED, timeout=0.3).collect()
    fake.script = [sent(*whole("a")[:3]), Hang()]
    with pytest.raises(StreamBroken) as caught:
        await client.stream(ASKED, timeout=1.0).collect()
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(fake.left.wait(), 10)


async def test_connecting_is_tried_again_until_llmhub_is_there() -> None:
    fake = FakeServer([ANSWER])
    refused = asyncio.Event()

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        refused.set()

    doorkeeper = await asyncio.start_server(refuse, "127.0.0.1", fake.port)
    async with Client(fake.url, timeout=20) as client:
        answering = asyncio.create_task(client.generate(ASKED))
        await asyncio.wait_for(refused.wait(), 10)
        doorkeeper.close()
        await doorkeeper.wait_closed()
        await fake.start()
        assert (await answering).model == "fake/m"
    assert len(fake.calls) == 1
    await fake.stop()


async def test_nobody_there(closed_port: int) -> None:
    async with Client(f"http://127.0.0.1:{closed_port}", connect_timeout=0.3) as client:
        with pytest.raises(ConnectFailed, match=r"no connection to .* within 0\.3 seconds"):
            await client.generate(ASKED)
        with pytest.raises(ConnectFailed):
            await client.stream(ASKED).collect()


@pytest.mark.parametrize(
    "refusal", [product.UpstreamUnreachable("gone"), product.ShuttingDown("bye")], ids=["upstream", "drain"]
)
async def test_a_call_that_was_sent_is_never_sent_again(
    refusal: product.LlmhubError, client: Client, fake: FakeServer
) -> None:
    fake.script = [refusal]
    with pytest.raises(Unavailable):
        await client.generate(ASKED)
    with pytest.raises(Unavailable):
        await client.stream(ASKED).collect()
    assert len(fake.calls) == 2


async def test_the_connection_comes_back_by_itself(client: Client, fake: FakeServer) -> None:
    fake.script = [ANSWER]
    await client.generate(ASKED)
    await fake.stop()
    await fake.start()
    await client.generate(ASKED)
    assert len(fake.calls) == 2


async def test_every_detail_of_an_error(client: Client, fake: FakeServer) -> None:
    upstream = UpstreamDetail(provider="openai", http_status=429, code="slow_down", body=b'{"error":1}')
    fake.script = [
        product.UpstreamRateLimited("too fast", retry_after=1.5, upstream=upstream, provider="openai")
    ]
    with pytest.raises(ResourceExhausted, match=r"^UPSTREAM_RATE_LIMITED: too fast$") as caught:
        await client.generate(ASKED)
    error = caught.value
    assert (error.code, error.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too fast")
    assert error.metadata == {"provider": "openai"}
    assert error.retry_delay == timedelta(seconds=1.5)
    assert error.provider_error is not None
    assert (error.provider_error.http_status, error.provider_error.code) == (429, "slow_down")
    assert error.provider_error.body == b'{"error":1}'
    fake.script = [product.RequestInvalid("bad", violations=(Violation("model", "is empty"),))]
    with pytest.raises(InvalidRequest) as invalid:
        await client.generate(ASKED)
    assert invalid.value.violations == {"model": "is empty"}
    assert invalid.value.retry_delay is None


@pytest.mark.parametrize("kind", product.BY_REASON.values(), ids=lambda kind: kind.reason)
async def test_every_reason_has_its_class(
    kind: type[product.LlmhubError], client: Client, fake: FakeServer
) -> None:
    fake.script = [kind("why")]
    with pytest.raises(LlmhubError) as caught:
        await client.generate(ASKED)
    assert caught.value.reason == kind.reason
    assert caught.value.code is code_of(kind("why"))
    internal = caught.value.code is grpc.StatusCode.INTERNAL
    assert isinstance(caught.value, InternalError) is internal
    assert type(caught.value) is not LlmhubError


@pytest.mark.parametrize("details", [None, b"\xff\xff", b"\x1a\x07\x0a\x05a/b.C", b"\x1a\x02\x12\x00"])
async def test_a_status_without_our_details(details: bytes | None, client: Client, fake: FakeServer) -> None:
    trailers = () if details is None else ((DETAILS_KEY, details),)
    fake.script = [RpcStatus(grpc.StatusCode.UNAVAILABLE, "no healthy upstream", trailers)]
    with pytest.raises(Unavailable, match=r"^no healthy upstream$") as caught:
        await client.generate(ASKED)
    assert (caught.value.reason, caught.value.metadata, caught.value.provider_error) == ("", {}, None)


async def test_closing_the_client_ends_its_calls(client: Client, fake: FakeServer) -> None:
    fake.script = [Hang()]
    answering = asyncio.create_task(client.generate(ASKED))
    await asyncio.wait_for(fake.arrived.wait(), 10)
    await client.close()
    with pytest.raises(Cancelled):
        await answering
    await asyncio.wait_for(fake.left.wait(), 10)


async def test_cancelling_a_task_is_no_error_of_ours(client: Client, fake: FakeServer) -> None:
    fake.script = [Hang()]
    answering = asyncio.create_task(client.generate(ASKED))
    await asyncio.wait_for(fake.arrived.wait(), 10)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await asyncio.wait_for(fake.left.wait(), 10)


async def test_a_request_that_cannot_be_encoded_is_not_sent(client: Client, fake: FakeServer) -> None:
    wrong = GenerateRequest(model=5)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        await client.generate(wrong)
    with pytest.raises(AttributeError):
        client.stream(wrong)
    assert fake.calls == []


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "grpc://host:1", "http://", "http://host/v1", ""])
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of llmhub"):
        Client(url)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl to test TLS")
async def test_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", *curve, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    pair = (key.read_bytes(), certificate.read_bytes())
    fake = await FakeServer([ANSWER]).start(grpc.ssl_server_credentials([pair]))
    url = f"https://localhost:{fake.port}"
    async with Client(url, "the-key", root_certificates=certificate.read_bytes()) as client:
        assert (await client.generate(ASKED)).model == "fake/m"
    assert fake.calls[0].metadata["authorization"] == "Bearer the-key"
    for stranger in (Client(url, connect_timeout=0.5), Client(fake.url, connect_timeout=0.5)):
        async with stranger:
            with pytest.raises(Unavailable):
                await stranger.generate(ASKED)
    assert len(fake.calls) == 1
    await fake.stop()
