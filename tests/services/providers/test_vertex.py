"""Gemini's and Claude's dialects on Vertex AI: paths, bodies, and tokens by a credentials file."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from services.providers.settings import Account, ProvidersSettings, Vertex
from services.runtime.errors import LlmhubError, OperationUnsupported, ProviderNotConfigured
from tests.support import faults
from tests.support.exchanges import recorded
from tests.support.journal import Arrival
from tests.support.platforms import (
    adapter_for,
    asked,
    attempt,
    embedded,
    hosted,
    question,
    relayed,
    secret,
    streamed,
)
from tests.support.replay import Replay, anyone

SETTINGS = ProvidersSettings()
HOME = "/projects/my-project/locations/europe-west4/publishers"
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
CLAUDE = {
    "id": "msg_vrtx_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4},
}


def by_token(seen: Arrival) -> Iterable[str]:
    if not seen.headers.get("authorization", "").startswith("Bearer ya29."):
        yield "the token is not the one that was given"


@pytest.fixture
def vertex() -> Iterator[Replay]:
    with Replay() as server:
        server.expect("vertex", by_token)
        server.expect("google", anyone)
        yield server
    assert not [fault for fault in server.faults if not fault.startswith("POST /google/")]


def account(vertex: Replay, **settings: Any) -> Account:
    given = {"access_token": secret("ya29.given"), **settings}
    return hosted(
        vertex, "vertex", "vertex", vertex=Vertex(project="my-project", location="europe-west4", **given)
    )


async def test_gemini_is_called_below_the_project(vertex: Replay) -> None:
    vertex.answer("vertex", "gemini-2.5-flash", faults.answer(200, GEMINI))
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        answer = await asked(adapter, "vertex", "gemini-2.5-flash")
        relay = await relayed(
            adapter, "vertex", "gemini-2.5-flash", pb.Endpoint.ENDPOINT_GEMINI_GENERATE, b'{"contents":[]}'
        )
    assert answer.candidates[0].parts[0].text == "hi"
    assert relay[0].progress.complete
    assert {seen.path for seen in vertex.journal.since()} == {
        f"/v1beta1{HOME}/google/models/gemini-2.5-flash:generateContent"
    }


async def test_a_recorded_stream_of_gemini_is_whole(vertex: Replay) -> None:
    recording = next(each for each in recorded("gemini.streamGenerateContent") if each.provider == "vertex")
    vertex.answer("vertex", "gemini-2.5-pro", recording.program())
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        events = await streamed(adapter, "vertex", "gemini-2.5-pro")
    assert events[-1].finished.complete
    (seen,) = vertex.journal.since()
    assert (seen.path.rpartition(":")[2], seen.query) == ("streamGenerateContent", "alt=sse")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("publishers/meta/models/llama", f"/v1beta1{HOME}/meta/models/llama:generateContent"),
        ("projects/1/locations/us-east5/endpoints/9",
         "/v1beta1/projects/1/locations/us-east5/endpoints/9:generateContent"),
        ("projects/../../secret", f"/v1beta1{HOME}/google/models/projects%2F..%2F..%2Fsecret:generateContent"),
    ],
)  # fmt: skip
async def test_full_names_are_addresses_of_their_own(vertex: Replay, model: str, path: str) -> None:
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        with pytest.raises(LlmhubError):
            await asked(adapter, "vertex", model)
    assert vertex.journal.since()[0].path == path


async def test_claude_is_called_by_raw_predict_with_the_clouds_version(vertex: Replay) -> None:
    model = "claude-haiku-4-5@20251001"
    stream = next(each for each in recorded("anthropic.streamRawPredict"))
    vertex.answer("vertex", model, faults.answer(200, CLAUDE), stream.program())
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        answer = await asked(adapter, "vertex", model)
        pieces = await relayed(
            adapter,
            "vertex",
            model,
            pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES,
            b'{"model":"x","max_tokens":5,"messages":[],"stream":true,"unknown":1}',
            stream=True,
            headers={"anthropic-beta": "some-beta"},
        )
    assert answer.candidates[0].parts[0].text == "hi"
    assert b"".join(piece.data for piece in pieces) == stream.answer
    whole, streamed_call = vertex.journal.since()
    assert whole.path == f"/v1{HOME}/anthropic/models/{model}:rawPredict"
    assert streamed_call.path == f"/v1{HOME}/anthropic/models/{model}:streamRawPredict"
    assert streamed_call.json == {
        "max_tokens": 5, "messages": [], "stream": True, "unknown": 1,
        "anthropic_version": "vertex-2023-10-16",
    }  # fmt: skip
    assert streamed_call.headers["anthropic-beta"] == "some-beta"


async def test_tokens_are_counted_by_each_kinds_own_way(vertex: Replay) -> None:
    vertex.answer("vertex", "count-tokens", faults.answer(200, {"input_tokens": 11}))
    vertex.answer("vertex", "gemini-2.5-flash", faults.answer(200, {"totalTokens": 12}))
    request = question()
    request.messages[0].parts[0].text = "count me"
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        counts = [
            (
                await adapter.count_tokens(
                    pb.CountTokensRequest(attempt=attempt("vertex", model), request=request)
                )
            ).response.input_tokens
            for model in ("claude-haiku-4-5", "gemini-2.5-flash")
        ]
    assert counts == [11, 12]
    claude, gemini = vertex.journal.since()
    assert claude.json["model"] == "claude-haiku-4-5"
    assert set(gemini.json) <= {"contents", "systemInstruction", "tools", "generationConfig"}


async def test_embeddings_are_predicted_or_made_one_by_one(vertex: Replay) -> None:
    predictions = {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 2}}}] * 2}
    vertex.answer("vertex", "text-embedding-005", faults.answer(200, predictions))
    vertex.answer("vertex", "gemini-embedding-2", faults.answer(200, {"embedding": {"values": [0.25]}}))
    async with adapter_for(account(vertex), SETTINGS) as adapter:
        assert await embedded(adapter, "vertex", "text-embedding-005", "a", "b") == [[0.5], [0.5]]
        assert await embedded(adapter, "vertex", "gemini-embedding-2", "a") == [[0.25]]
        with pytest.raises(OperationUnsupported):
            await embedded(adapter, "vertex", "gemini-embedding-2", "a", "b")
        with pytest.raises(OperationUnsupported):
            await adapter.models()
    first, second = vertex.journal.since()
    assert first.json == {"instances": [{"content": "a"}, {"content": "b"}]}
    assert second.path.endswith("gemini-embedding-2:embedContent")
    assert second.json == {"content": {"parts": [{"text": "a"}]}}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def test_a_service_account_signs_for_its_token_which_serves_both_kinds(
    vertex: Replay, tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    url = f"http://127.0.0.1:{vertex.port}/google/token"
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "key.json"
    told = {
        "type": "service_account",
        "client_email": "me@my-project.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "private_key_id": "k1",
        "token_uri": url,
    }
    file.write_text(json.dumps(told))
    vertex.answer("google", "", faults.answer(200, {"access_token": "ya29.signed", "expires_in": 3599}))
    vertex.answer("vertex", "gemini-2.5-flash", faults.answer(200, GEMINI))
    vertex.answer("vertex", "claude-haiku-4-5", faults.answer(200, CLAUDE))
    given = account(vertex, credentials_file=str(file), access_token=None)
    async with adapter_for(given, SETTINGS) as adapter:
        await asked(adapter, "vertex", "gemini-2.5-flash")
        await asked(adapter, "vertex", "claude-haiku-4-5")
    login, *calls = vertex.journal.since()
    form = dict(urllib.parse.parse_qsl(login.body.decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(form["assertion"], certs=public, audience=url)  # type: ignore[no-untyped-call]
    assert claims["iss"] == told["client_email"]
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert [call.headers["authorization"] for call in calls] == ["Bearer ya29.signed"] * 2


async def test_a_users_credentials_are_refreshed(vertex: Replay, tmp_path: Path) -> None:
    file = tmp_path / "adc.json"
    told = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "token_uri": f"http://127.0.0.1:{vertex.port}/google/token",
    }
    file.write_text(json.dumps(told))
    vertex.answer("google", "", faults.answer(200, {"access_token": "ya29.user"}))
    vertex.answer("vertex", "gemini-2.5-flash", faults.answer(200, GEMINI))
    given = account(vertex, credentials_file=str(file), access_token=None)
    async with adapter_for(given, SETTINGS) as adapter:
        await asked(adapter, "vertex", "gemini-2.5-flash")
    form = dict(urllib.parse.parse_qsl(vertex.journal.since()[0].body.decode()))
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "r")


@pytest.mark.parametrize(
    "content",
    [None, "no json", "[]", '{"type":"external_account"}', '{"type":"service_account"}',
     '{"type":"service_account","client_email":"a","private_key":"none"}', '{"type":"authorized_user"}'],
)  # fmt: skip
async def test_a_file_that_is_no_credential_leaves_the_provider_not_configured(
    vertex: Replay, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    given = account(vertex, credentials_file=str(file), access_token=None)
    async with adapter_for(given, SETTINGS) as adapter:
        with pytest.raises(ProviderNotConfigured, match=r"key\.json"):
            await adapter.generate(
                pb.GenerateRequest(attempt=attempt("vertex", "gemini-2.5-flash"), request=GenerateRequest())
            )
    assert not vertex.journal.since()
