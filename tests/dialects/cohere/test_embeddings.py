"""Embeddings: what comes from elsewhere, and bodies of ours written from the SDK's types."""

import json
from typing import Any

import pytest

from llmhub.embedding.v1.embedding_service_pb2 import EMBEDDING_ENCODING_BYTES, EmbedRequest
from services.dialects.cohere import CohereCodec
from services.runtime.errors import ParameterUnsupported, RequestInvalid, UpstreamFailed, UpstreamProtocol
from tests.dialects.cohere.cases import PNG

codec = CohereCodec()


def test_embeddings_from_elsewhere() -> None:
    asked = EmbedRequest(model="x", dimensions=256, encoding=EMBEDDING_ENCODING_BYTES, end_user_id="u")
    asked.inputs.add().text = "a"
    wire = codec.encode_embed_request(asked, "embed-v4.0")
    assert json.loads(wire.body) == {
        "model": "embed-v4.0",
        "texts": ["a"],
        "output_dimension": 256,
        "embedding_types": ["base64"],
        "input_type": "search_document",
    }
    assert [warning.field for warning in wire.warnings] == ["input_type", "end_user_id"]
    asked.extensions["cohere"] = '{"input_type":"search_query"}'
    wire = codec.encode_embed_request(asked, "embed-v4.0")
    assert json.loads(wire.body)["input_type"] == "search_query"
    asked.inputs.add().tokens.ids.append(1)
    with pytest.raises(ParameterUnsupported):
        codec.encode_embed_request(asked, "embed-v4.0")


@pytest.mark.parametrize(
    "body",
    [
        {
            "texts": ["a", "b"],
            "input_type": "search_query",
            "embedding_types": ["float", "int8"],
            "truncate": "END",
        },
        {"texts": ["a"], "input_type": "clustering", "embedding_types": ["base64"], "output_dimension": 256},
        {"images": [f"data:image/png;base64,{PNG}"], "input_type": "image", "embedding_types": ["ubinary"]},
        {
            "inputs": [{"content": [{"type": "text", "text": "a"}]}],
            "input_type": "search_document",
            "priority": 1,
        },
    ],
)
def test_embedding_requests_of_ours(body: dict[str, Any]) -> None:
    body = {"model": "embed-v4.0", **body}
    read = codec.decode_embed_request(json.dumps(body).encode())
    wire = codec.encode_embed_request(read, "embed-v4.0")
    assert json.loads(wire.body) == body
    assert wire.warnings == ()


@pytest.mark.parametrize(
    "vectors",
    [
        {"float": [[0.5, -1]], "int8": [[1, -128]]},
        {"base64": ["AACAPw=="]},
        {"ubinary": [[255, 0]], "float": []},
        {"int8": [[1]], "binary": [[2]]},
        [[0.25, 1]],
        {},
    ],
)
def test_embedding_answers_of_ours(vectors: Any) -> None:
    body = {
        "id": "1",
        "embeddings": vectors,
        "meta": {"billed_units": {"input_tokens": 3, "image_tokens": 4}},
    }
    response = codec.decode_embed_response(json.dumps(body).encode())
    assert json.loads(codec.encode_embed_response(response)) == body
    assert response.usage.input_tokens == 7
    assert len(response.embeddings) == (1 if vectors else 0)


@pytest.mark.parametrize(
    "body",
    [
        {"texts": ["a"]},
        {"model": "m"},
        {"model": "m", "texts": [1]},
        {"model": "m", "texts": "a"},
        {"model": "m", "texts": ["a"], "output_dimension": 0},
    ],
)
def test_bodies_that_are_no_embedding_request(body: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        codec.decode_embed_request(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"embeddings":1}', '{"embeddings":{"float":[1]}}', '{"embeddings":[["a"]]}']
)
def test_bodies_that_are_no_embedding_answer(body: str) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.decode_embed_response(body.encode())
    with pytest.raises(UpstreamFailed, match="no luck"):
        codec.decode_embed_response(b'{"message":"no luck"}')
