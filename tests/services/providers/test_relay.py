"""Bodies that go to a provider as they are: paths, headers both ways, and answers that are no events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing

import pytest

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.providers.settings import Account, Limits, ProvidersSettings
from services.providers.wiring import adapter_for
from services.runtime.errors import OperationUnsupported, UpstreamFailed
from tests.support import faults
from tests.support.faults import Cut, End, Gate, Head, Send
from tests.support.platforms import attempt, hosted, relayed, secret
from tests.support.replay import Replay, anyone

SETTINGS = ProvidersSettings()
SPEECH = pb.Endpoint.ENDPOINT_OPENAI_SPEECH
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nlab/whisper\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\x00\xff\r\n--b--\r\n'
)


@pytest.fixture
def lab() -> Iterator[Replay]:
    with Replay() as server:
        server.expect("lab", anyone)
        yield server
    assert not server.faults


def account(lab: Replay, dialect: str = "openai", **settings: object) -> Account:
    suffix = "/v1" if dialect.startswith("openai") else ""
    limits = Limits(total=5)  # an answer that is held back must not hold up the tests
    made = hosted(lab, "lab", dialect, suffix, api_key=secret("lab-secret"), limits=limits)
    return made.model_copy(update=settings)


@pytest.mark.parametrize(
    ("endpoint", "dialect", "path"),
    [
        (pb.Endpoint.ENDPOINT_OPENAI_CHAT, "openai", "/v1/chat/completions"),
        (pb.Endpoint.ENDPOINT_OPENAI_EMBEDDINGS, "openai-responses", "/v1/embeddings"),
        (pb.Endpoint.ENDPOINT_OPENAI_RESPONSES, "openai-responses", "/v1/responses"),
        (pb.Endpoint.ENDPOINT_OPENAI_MODERATIONS, "openai", "/v1/moderations"),
        (pb.Endpoint.ENDPOINT_OPENAI_IMAGES, "openai", "/v1/images/generations"),
        (pb.Endpoint.ENDPOINT_RERANK, "openai", "/v1/rerank"),
        (pb.Endpoint.ENDPOINT_RERANK, "cohere", "/v2/rerank"),
        (pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES, "anthropic", "/v1/messages"),
        (pb.Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS, "anthropic", "/v1/messages/count_tokens"),
    ],
)
async def test_each_endpoint_has_its_path(
    lab: Replay, endpoint: pb.Endpoint.ValueType, dialect: str, path: str
) -> None:
    lab.answer("lab", "m", faults.answer(422, {"error": {"message": "no"}}, {"x-request-id": "up-1"}))
    async with adapter_for(account(lab, dialect), SETTINGS) as adapter:
        (piece,) = await relayed(adapter, "lab", "m", endpoint, b'{"model":"lab/m","kept":[1.0]}')
    (seen,) = lab.journal.since()
    assert seen.path == path
    assert b'"kept":[1.0]' in seen.body
    assert piece.head.status == 422
    assert piece.head.headers["x-upstream-request-id"] == "up-1"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (pb.Endpoint.ENDPOINT_GEMINI_GENERATE, "/v1beta/models/m:generateContent"),
        (pb.Endpoint.ENDPOINT_GEMINI_COUNT_TOKENS, "/v1beta/models/m:countTokens"),
        (pb.Endpoint.ENDPOINT_GEMINI_EMBED, "/v1beta/models/m:embedContent"),
        (pb.Endpoint.ENDPOINT_GEMINI_BATCH_EMBED, "/v1beta/models/m:batchEmbedContents"),
    ],
)
async def test_gemini_has_the_model_in_its_paths_and_the_key_in_its_header(
    lab: Replay, endpoint: pb.Endpoint.ValueType, path: str
) -> None:
    lab.answer("lab", "m", faults.answer(404, {"error": {"code": 404, "message": "no"}}))
    async with adapter_for(account(lab, "gemini"), SETTINGS) as adapter:
        await relayed(adapter, "lab", "m", endpoint, b"{}")
    (seen,) = lab.journal.since()
    assert (seen.path, seen.headers["x-goog-api-key"]) == (path, "lab-secret")
    assert "authorization" not in seen.headers


async def test_the_array_of_a_gemini_stream_goes_on_as_it_arrives(lab: Replay) -> None:
    gate = Gate()
    chunk = b'{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"}}]}'
    last = b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":3}}'
    head = Head(200, (("content-type", "application/json; charset=UTF-8"),))
    lab.answer("lab", "m", (head, Send(b"[" + chunk), gate, Send(b"," + last + b"]"), End()))
    request = pb.RelayRequest(
        attempt=attempt("lab", "m"),
        endpoint=pb.Endpoint.ENDPOINT_GEMINI_GENERATE,
        body=b"{}",
        stream=True,
    )
    async with (
        adapter_for(account(lab, "gemini"), SETTINGS) as adapter,
        aclosing(adapter.relay(request)) as pieces,
    ):
        first = await anext(pieces)
        assert first.data == b"[" + chunk
        gate.open()
        rest = [piece async for piece in pieces]
    assert b"".join(piece.data for piece in rest) == b"," + last + b"]"
    assert rest[-1].progress.complete
    assert lab.journal.since()[0].path == "/v1beta/models/m:streamGenerateContent"


async def test_sound_goes_on_as_it_arrives(lab: Replay) -> None:
    gate = Gate()
    head = Head(200, (("content-type", "audio/mpeg"),))
    lab.answer("lab", "tts", (head, Send(b"\xff\xfb\x00\n\n"), gate, Send(b"data: no event"), End()))
    request = pb.RelayRequest(
        attempt=attempt("lab", "tts"), endpoint=SPEECH, body=b'{"model":"lab/tts","input":"hi"}'
    )
    async with adapter_for(account(lab), SETTINGS) as adapter, aclosing(adapter.relay(request)) as pieces:
        first = await anext(pieces)
        assert first.data == b"\xff\xfb\x00\n\n"
        assert first.head.headers["content-type"] == "audio/mpeg"
        assert first.progress.content
        gate.open()
        rest = [piece async for piece in pieces]
    assert b"".join(piece.data for piece in rest) == b"data: no event"
    assert rest[-1].progress.complete


async def test_sound_that_breaks_off_is_a_failure(lab: Replay) -> None:
    head = Head(200, (("content-type", "audio/mpeg"),))
    lab.answer("lab", "tts", (head, Send(b"\xff\xfb"), Cut(reset=False)))
    async with adapter_for(account(lab), SETTINGS) as adapter:
        with pytest.raises(UpstreamFailed):
            await relayed(adapter, "lab", "tts", SPEECH, b'{"model":"lab/tts","input":"hi"}')


async def test_a_form_keeps_its_type_and_all_but_the_model(lab: Replay) -> None:
    lab.answer("lab", "whisper", faults.answer(200, {"text": "hello"}))
    endpoint = pb.Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS
    headers = {"content-type": "multipart/form-data; boundary=b", "authorization": "Bearer caller"}
    async with adapter_for(account(lab), SETTINGS) as adapter:
        (piece,) = await relayed(adapter, "lab", "whisper", endpoint, FORM, headers=headers)
    (seen,) = lab.journal.since()
    assert seen.body == FORM.replace(b"lab/whisper", b"whisper")
    assert seen.headers["content-type"] == "multipart/form-data; boundary=b"
    assert seen.headers["authorization"] == "Bearer lab-secret"
    assert piece.progress.complete
    assert piece.data == b'{"text": "hello"}'


async def test_headers_of_vendors_come_back_and_no_others(lab: Replay) -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "7",
        "x-gemini-service-tier": "standard",
        "apim-request-id": "azure-1",
        "set-cookie": "no",
        "x-ratelimit-note": "caf\u00e9",
        "x-llmhub-not-started": "1",
        "x-internal": "no",
    }
    lab.answer("lab", "m", faults.answer(429, {"error": {"message": "slow"}}, headers))
    async with adapter_for(account(lab), SETTINGS) as adapter:
        (piece,) = await relayed(
            adapter, "lab", "m", pb.Endpoint.ENDPOINT_OPENAI_CHAT, b'{"model":"m","messages":[]}'
        )
    assert {name for name in piece.head.headers if not name.startswith("x-llmhub-")} == {
        "content-type", "x-ratelimit-remaining-tokens", "x-gemini-service-tier", "x-upstream-request-id"
    }  # fmt: skip


async def test_what_an_account_does_not_take_is_refused_before_anything_is_sent(lab: Replay) -> None:
    async with adapter_for(account(lab, responses=False), SETTINGS) as adapter:
        for endpoint in (
            pb.Endpoint.ENDPOINT_OPENAI_RESPONSES,
            pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES,
            pb.Endpoint.ENDPOINT_GEMINI_GENERATE,
        ):
            with pytest.raises(OperationUnsupported):
                await relayed(adapter, "lab", "m", endpoint, b'{"model":"m"}')
    assert not lab.journal.since()
