"""encode(decode(x)) is x by value, for everything that was ever recorded."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.codec import DecodedRequest
from services.dialects.openai import OpenAICodec
from tests.support.exchanges import Exchange, random_pieces
from tests.support.recordings import frames, recordings

CHATS = recordings("openai.chat")
EMBEDDINGS = recordings("openai.embeddings")
ASKED = DecodedRequest(GenerateRequest(), stream=True, include_usage=True)

codec = OpenAICodec()


def is_answer(each: Exchange) -> bool:
    return each.status == 200


@pytest.mark.parametrize("exchange", [each for each in CHATS if each.body], ids=str)
def test_requests(exchange: Exchange) -> None:
    body: dict[str, Any] = dict(exchange.body or {})
    decoded = codec.decode_request(json.dumps(body).encode())
    assert decoded.stream == bool(body.get("stream"))
    assert decoded.include_usage == bool((body.get("stream_options") or {}).get("include_usage"))
    written = codec.encode_request(decoded.request, body["model"], stream=decoded.stream)
    if decoded.stream:
        # The gateway meters every stream.
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    assert json.loads(written.body) == body
    assert written.warnings == ()


@pytest.mark.parametrize(
    "exchange", [each for each in CHATS if is_answer(each) and not each.streaming], ids=str
)
def test_answers(exchange: Exchange) -> None:
    assert json.loads(codec.encode_response(codec.decode_response(exchange.answer))) == json.loads(
        exchange.answer
    )


@pytest.mark.parametrize("exchange", [each for each in CHATS if each.streaming], ids=str)
def test_streams(exchange: Exchange) -> None:
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(ASKED)
    written = b""
    for piece in random_pieces(exchange.answer, len(exchange.answer)):
        written += encoder.encode(decoder.feed(piece))
    end = decoder.close()
    written += encoder.encode(end)
    assert frames(written) == frames(exchange.answer)
    broken = "error-in-stream" in exchange.features
    assert written.endswith(b"data: [DONE]\n\n") != broken


@pytest.mark.parametrize("exchange", [each for each in CHATS if each.streaming], ids=str)
def test_usage_is_hidden_from_who_did_not_ask(exchange: Exchange) -> None:
    decoder = codec.stream_decoder()
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True))
    written = encoder.encode([*decoder.feed(exchange.answer), *decoder.close()])
    assert [frame for frame in frames(written) if frame.get("usage")] == []
    spoken = [frame for frame in frames(exchange.answer) if frame.get("choices")]
    assert len([frame for frame in frames(written) if frame.get("choices")]) == len(spoken)


@pytest.mark.parametrize("exchange", [each for each in CHATS + EMBEDDINGS if each.status >= 400], ids=str)
def test_errors(exchange: Exchange) -> None:
    error = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    answer = codec.encode_error(error, "r")
    if error.reason == "UPSTREAM_AUTH_FAILED":
        # The provider refused llmhub's key: none of the caller's business.
        assert answer.status == 503
        assert b"api key" not in answer.body.lower()
        return
    assert answer.status == exchange.status
    assert json.loads(answer.body) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", EMBEDDINGS, ids=str)
def test_embeddings(exchange: Exchange) -> None:
    body: dict[str, Any] = exchange.body or {}
    request = codec.decode_embed_request(json.dumps(body).encode())
    assert json.loads(codec.encode_embed_request(request, body["model"]).body) == body
    if is_answer(exchange):
        answer = codec.encode_embed_response(codec.decode_embed_response(exchange.answer))
        assert json.loads(answer) == json.loads(exchange.answer)


SHAPES: list[dict[str, Any]] = [
    {"messages": [{"role": "assistant"}]},
    {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
    {"messages": [{"role": "user", "content": ""}, {"role": "user", "content": []}]},
    {"messages": [{"role": "user", "name": "ann", "content": [{"type": "text", "text": "a", "new": 1}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://x.test/a.png"}]}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x", "d": 1}}]}
        ]
    },
    {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "aGk=", "filename": "a"}}]}
        ]
    },
    {"messages": [{"role": "user", "content": [{"type": "document_url", "document_url": "https://x.test"}]}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x.test/v"}}]}
        ]
    },
    {"messages": [{"role": "assistant", "content": "hi", "refusal": "no", "audio": {"id": "audio_1"}}]},
    {"messages": [{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "r"}]},
    {"messages": [{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "s"}]},
    {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]},
    {"messages": [{"role": "assistant", "content": "x", "reasoning": "", "reasoning_content": "r"}]},
    {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "a", "function": {"name": "f"}, "index": 0},
                    {"id": None, "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"id": "c", "type": "custom", "custom": {"name": "g", "input": "free"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "name": "f", "content": [{"type": "text", "text": "1"}]},
        ]
    },
    {
        "messages": [
            {"role": "tool", "content": "no id"},
            {"role": "tool", "tool_call_id": None, "content": ""},
        ]
    },
    {
        "messages": [
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    },
    {
        "tools": [
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
            {"type": "web_search"},
            {
                "function": {"name": "f", "parameters": None, "strict": None},
                "cache_control": {"type": "ephemeral"},
            },
        ],
        "tool_choice": {"type": "custom", "custom": {"name": "g"}},
        "parallel_tool_calls": False,
    },
    {
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
        }
    },
    {"tool_choice": "any", "response_format": {"type": "grammar", "grammar": "x"}, "tools": [], "stop": []},
    {"stop": ["a", "b"], "seed": 1, "n": 2, "logit_bias": {"5": -100}, "modalities": ["text", "audio"]},
    {"max_tokens": 1, "max_completion_tokens": 2, "user": "u", "safety_identifier": "s", "random_seed": 3},
    {"metadata": {"a": "b"}, "store": True, "temperature": 0.5, "top_k": 4, "verbosity": "low"},
    {"reasoning": {"effort": "high", "exclude": True}, "stream": False, "stream_options": None},
    {"reasoning": {"max_tokens": 100, "enabled": False}, "thinking": {"type": "enabled", "budget": 1}},
    {"reasoning": {"effort": "low"}, "reasoning_effort": "high", "thinking": {"type": "adaptive"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": None}}},
]


@pytest.mark.parametrize("members", SHAPES, ids=str)
def test_odd_shapes(members: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    decoded = codec.decode_request(json.dumps(body).encode())
    # stream_options are for streams only.
    body.pop("stream_options", None)
    assert json.loads(codec.encode_request(decoded.request, "m", stream=False).body) == body


def test_schemas_keep_their_bytes() -> None:
    schema = b'{ "type":"object", "b": 1.0, "a": 12345678901234567890123, "c":"\\u00e9" }'
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"?"}],"tools":[{"type":"function","function":'
        b'{"name":"f","parameters":%b}}]}' % schema
    )
    request = codec.decode_request(body).request
    assert request.tools[0].function.parameters_json == schema.decode()
    assert schema in codec.encode_request(request, "m", stream=False).body
