"""Bedrock: Converse as recorded, Claude by InvokeModel, and signatures that AWS's own code accepts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.dialects.eventstream import encode_frame
from services.providers.settings import Account, Bedrock, ProvidersSettings
from services.runtime.errors import LlmhubError, ProviderNotConfigured, UpstreamRateLimited
from tests.support import faults
from tests.support.faults import End, Head, Program, Send
from tests.support.journal import Arrival
from tests.support.platforms import adapter_for, asked, attempt, hosted, question, relayed, secret, streamed
from tests.support.replay import Replay

SETTINGS = ProvidersSettings()
RECORDINGS = Path(__file__).parents[2] / "recordings" / "bedrock"
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
KEYS = Bedrock(
    region="eu-west-1",
    access_key_id=secret("AKIDEXAMPLE"),
    secret_access_key=secret("wJalrXUtnFEMI"),
    session_token=secret("session-token"),
)
MESSAGES = pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES
BODY = b'{"model":"x","max_tokens":5,"messages":[],"stream":true}'


def signature_complaints(seen: Arrival) -> Iterable[str]:
    """Sign what arrived once more, over the headers that say they are signed."""
    scheme, _, rest = seen.headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        yield "it is not signed"
        return
    told = dict(part.strip().split("=", 1) for part in rest.split(","))
    target = seen.raw_head.split(b" ")[1].decode()
    headers = {name: seen.headers[name] for name in told["SignedHeaders"].split(";")}
    request = AWSRequest("POST", f"http://{seen.headers['host']}{target}", headers=headers, data=seen.body)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "session-token"), "bedrock", "eu-west-1")
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if told["Signature"] != expected or "/eu-west-1/bedrock/aws4_request" not in told["Credential"]:
        yield "the signature is wrong"
    if seen.headers.get("x-amz-security-token") != "session-token":
        yield "the session token is missing"


@pytest.fixture
def aws() -> Iterator[Replay]:
    with Replay() as server:
        server.expect("aws", signature_complaints)
        yield server
    assert not server.faults


def account(aws: Replay, **settings: Any) -> Account:
    return hosted(aws, "aws", "bedrock", **{"bedrock": KEYS, **settings})


def recorded_answer(number: str) -> tuple[Program, bytes]:
    (file,) = RECORDINGS.glob(f"{number}-*.json")
    response = json.loads(file.read_bytes())["response"]
    binary = response["body_encoding"] == "base64"
    data = base64.b64decode(response["body"]) if binary else response["body"].encode()
    headers = (("content-type", response["headers"].get("content-type", "application/json")),)
    return (Head(response["status"], headers), Send(data[:100]), Send(data[100:]), End()), data


async def test_converse_is_signed_over_the_path_as_it_is_written(aws: Replay) -> None:
    aws.answer("aws", NOVA, recorded_answer("016")[0], recorded_answer("032")[0])
    async with adapter_for(account(aws), SETTINGS) as adapter:
        answer = await asked(adapter, "aws", NOVA)
        events = await streamed(adapter, "aws", NOVA)
    assert answer.candidates[0].parts[0].text
    assert events[-1].finished.complete
    whole, stream = aws.journal.since()
    assert whole.path == "/model/us.amazon.nova-lite-v1%3A0/converse"
    assert stream.path == "/model/us.amazon.nova-lite-v1%3A0/converse-stream"


async def test_claude_is_streamed_as_anthropic_would(aws: Replay) -> None:
    aws.answer("aws", CLAUDE, recorded_answer("049")[0])
    async with adapter_for(account(aws), SETTINGS) as adapter:
        events = await streamed(adapter, "aws", CLAUDE)
        pieces = await relayed(
            adapter, "aws", CLAUDE, MESSAGES, BODY, stream=True, headers={"anthropic-beta": "one, two"}
        )
    assert events[-1].finished.complete
    text = b"".join(piece.data for piece in pieces)
    assert text.startswith(b"event: message_start\ndata: {")
    assert b"event: message_stop" in text
    assert pieces[0].head.headers["content-type"].startswith("text/event-stream")
    assert pieces[-1].progress.complete
    assert pieces[-1].progress.usage.output_tokens > 0
    first, second = aws.journal.since()
    assert first.path == f"/model/{CLAUDE.replace(':', '%3A')}/invoke-with-response-stream"
    assert second.json == {
        "max_tokens": 5, "messages": [], "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["one", "two"],
    }  # fmt: skip


async def test_claude_answers_whole_and_counts(aws: Replay) -> None:
    aws.answer("aws", CLAUDE, recorded_answer("046")[0])
    aws.answer("aws", "anthropic.claude-haiku-4-5-20251001-v1:0", faults.answer(200, {"inputTokens": 7}))
    async with adapter_for(account(aws), SETTINGS) as adapter:
        answer = await asked(adapter, "aws", CLAUDE)
        count = await adapter.count_tokens(
            pb.CountTokensRequest(attempt=attempt("aws", CLAUDE), request=question())
        )
    assert answer.candidates[0].parts[0].text.startswith("The current weather")
    assert count.response.input_tokens == 7


async def test_a_failure_is_told_in_anthropics_shape_and_is_typed(aws: Replay) -> None:
    throttled = faults.answer(
        429, {"message": "Too many requests"}, {"x-amzn-errortype": "ThrottlingException:http://x"}
    )
    aws.answer("aws", CLAUDE, throttled)
    aws.answer("aws", NOVA, throttled)
    async with adapter_for(account(aws), SETTINGS) as adapter:
        (refused,) = await relayed(adapter, "aws", CLAUDE, MESSAGES, BODY, stream=True)
        for model in (CLAUDE, NOVA):
            with pytest.raises(UpstreamRateLimited):
                await streamed(adapter, "aws", model)
    assert json.loads(refused.data)["error"] == {"type": "rate_limit_error", "message": "Too many requests"}
    assert refused.head.status == 429


async def test_an_exception_inside_the_stream_never_looks_whole(aws: Replay) -> None:
    frame = encode_frame("throttlingException", b'{"message":"slow down"}', kind="exception")
    broken = (Head(200, (("content-type", "application/vnd.amazon.eventstream"),)), Send(frame), End())
    aws.answer("aws", CLAUDE, broken)
    async with adapter_for(account(aws), SETTINGS) as adapter:
        with pytest.raises(LlmhubError):
            await streamed(adapter, "aws", CLAUDE)


async def test_a_bearer_key_needs_no_signature(aws: Replay) -> None:
    aws.expect("aws", lambda seen: () if seen.headers["authorization"] == "Bearer bedrock-key" else ("no",))
    aws.answer("aws", NOVA, recorded_answer("016")[0])
    given = account(aws, bedrock=Bedrock(region="eu-west-1"), api_key=secret("bedrock-key"))
    async with adapter_for(given, SETTINGS) as adapter:
        await asked(adapter, "aws", NOVA)
    assert "x-amz-date" not in aws.journal.since()[0].headers


async def test_without_keys_the_default_chain_is_asked(
    aws: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    aws.answer("aws", NOVA, recorded_answer("016")[0])
    given = account(aws, bedrock=Bedrock(region="eu-west-1"))
    async with adapter_for(given, SETTINGS) as adapter:
        with pytest.raises(ProviderNotConfigured, match="default chain"):
            await asked(adapter, "aws", NOVA)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
        await asked(adapter, "aws", NOVA)
    assert len(aws.journal.since()) == 1
