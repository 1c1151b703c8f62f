"""Embeddings in each shape, across dialects, and odd ones; cases of ours."""

import json
import struct
from typing import Any

import pytest

from llmhub.embedding.v1.embedding_service_pb2 import (
    EmbeddingEncoding,
    EmbeddingInput,
    EmbedRequest,
    TokenList,
)
from services.dialects.gemini import EmbeddingShape, GeminiCodec
from services.dialects.openai import OpenAICodec
from services.runtime.errors import RequestInvalid, UpstreamAuthFailed, UpstreamProtocol
from tests.dialects.gemini.official import embedded
from tests.dialects.gemini.recorded import EMBEDDINGS
from tests.support.exchanges import Exchange, recorded

codec = GeminiCodec()
openai = OpenAICodec()


def asked(body: dict[str, Any]) -> EmbedRequest:
    return codec.decode_embed_request(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"content": {"parts": [{"text": "a"}]}},
        {
            "model": "models/m",
            "content": {"parts": [{"text": "a"}]},
            "taskType": "X",
            "outputDimensionality": 3,
        },
        {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "title": "t"},
        {"content": {"role": "user", "parts": [{"text": "a"}]}},
        {"content": {"parts": [{"text": "a"}]}, "task_type": "X", "output_dimensionality": 3},
        {
            "requests": [
                {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3}
            ]
        },
        {
            "requests": [
                {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3},
                {"model": "models/m", "content": {"parts": [{"text": "b"}]}, "taskType": "X"},
            ]
        },
        {
            "instances": [{"content": "a", "task_type": "X"}, {"content": "b"}],
            "parameters": {"autoTruncate": True},
        },
        {"instances": [{"content": "a"}], "parameters": {}},
        {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "task_type": "X"}]},
    ],
)
def test_requests_come_back(body: dict[str, Any]) -> None:
    wire = codec.encode_embed_request(asked(body), "m")
    body.pop("model", None)
    assert json.loads(wire.body) == body
    assert wire.warnings == ()


def test_the_length_that_is_asked_for_is_the_contracts() -> None:
    one = {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3}
    request = asked({"requests": [one]})
    request.ClearField("dimensions")
    assert b"outputDimensionality" not in codec.encode_embed_request(request, "m").body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": "a"}, "content"),
        ({"content": {"parts": [{"inlineData": {}}]}}, "content"),
        ({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 0}, "outputDimensionality"),
        ({"requests": [{"content": {"parts": []}}]}, "requests[0].content"),
        ({"requests": [7]}, "requests[0].content"),
        ({"requests": []}, "content"),
        ({"instances": [{"content": 1}]}, "instances[0].content"),
    ],
)
def test_bodies_that_are_no_requests(body: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        asked(body)
    assert caught.value.violations[0].field == field


@pytest.mark.parametrize(
    ("shape", "inputs", "path", "body"),
    [
        (
            EmbeddingShape.SINGLE,
            ["a"],
            "embedContent",
            {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2},
        ),
        (
            EmbeddingShape.SINGLE,
            ["a", "b"],
            "batchEmbedContents",
            {
                "requests": [
                    {"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2}
                    for text in "ab"
                ]
            },
        ),
        (
            EmbeddingShape.PREDICT,
            ["a", "b"],
            "predict",
            {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 2}},
        ),
    ],
)
def test_requests_of_others(
    shape: EmbeddingShape, inputs: list[str], path: str, body: dict[str, Any]
) -> None:
    request = EmbedRequest(
        inputs=[EmbeddingInput(text=text) for text in inputs], dimensions=2, end_user_id="u"
    )
    wire = GeminiCodec(embedding=shape).encode_embed_request(request, "m")
    assert wire.path == f"/v1beta/models/m:{path}"
    assert json.loads(wire.body) == body
    assert [warning.field for warning in wire.warnings] == ["end_user_id"]


def test_token_ids_are_no_text() -> None:
    request = EmbedRequest(inputs=[EmbeddingInput(tokens=TokenList(ids=[1]))])
    with pytest.raises(RequestInvalid):
        codec.encode_embed_request(request, "m")


OTHERS = [each for each in recorded("openai.embeddings") if each.status == 200 and "ollama" not in each.name]


@pytest.mark.parametrize("exchange", OTHERS, ids=str)
def test_vectors_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    response = openai.decode_embed_response(exchange.answer)
    if exchange.provider == "perplexity":
        # Its base64 holds bytes, not floats; read as floats some are no numbers.
        with pytest.raises(UpstreamProtocol):
            codec.encode_embed_response(response)
        return
    read = embedded(codec.encode_embed_response(response)).embeddings or []
    expected = [
        list(each.floats.values) or list(struct.unpack(f"<{len(each.float32_le) // 4}f", each.float32_le))
        for each in response.embeddings
    ]
    assert [each.values for each in read] == expected
    single = GeminiCodec(embedding=EmbeddingShape.SINGLE).encode_embed_response(response)
    assert json.loads(single)["embedding"]["values"] == expected[0]


@pytest.mark.parametrize("exchange", [each for each in EMBEDDINGS if each.status == 200], ids=str)
def test_the_endpoint_decides_the_shape_of_an_answer(exchange: Exchange) -> None:
    response = codec.decode_embed_response(exchange.answer)
    values = [list(each.floats.values) for each in response.embeddings]
    batch = json.loads(codec.encode_embed_response(response))
    assert [each["values"] for each in batch["embeddings"]] == values
    assert set(batch) <= {"embeddings", "usageMetadata"}
    single = json.loads(GeminiCodec(embedding=EmbeddingShape.SINGLE).encode_embed_response(response))
    assert single["embedding"]["values"] == values[0]
    assert set(single) <= {"embedding", "usageMetadata"}


@pytest.mark.parametrize("exchange", [each for each in EMBEDDINGS if each.status == 200], ids=str)
def test_vectors_of_gemini_are_openais(exchange: Exchange) -> None:
    response = codec.decode_embed_response(exchange.answer)
    again = openai.decode_embed_response(openai.encode_embed_response(response))
    assert [each.floats for each in again.embeddings] == [each.floats for each in response.embeddings]
    request = codec.decode_embed_request(json.dumps(exchange.body).encode())
    request.encoding = EmbeddingEncoding.EMBEDDING_ENCODING_FLOAT
    sent = json.loads(openai.encode_embed_request(request, "m").body)
    assert sent["input"] in ([each.text for each in request.inputs], request.inputs[0].text)


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b'{"embedding":{}}', b'{"embeddings":[{"values":["x"]}]}', b'{"predictions":[{}]}', b"{"],
)
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.decode_embed_response(body)


def test_an_error_in_a_whole_answer() -> None:
    error = b'{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}'
    for read in (codec.decode_embed_response, codec.decode_response, codec.decode_count_response):
        with pytest.raises(UpstreamAuthFailed):
            read(error)
