"""The Gemini dialect as the rest of llmhub uses it."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from services.dialects.codec import DecodedRequest, WireAnswer, WireRequest
from services.dialects.gemini import embeddings, errors
from services.dialects.gemini import request as requests
from services.dialects.gemini import response as responses
from services.dialects.gemini.embeddings import EmbeddingShape
from services.dialects.gemini.wire import DIALECT
from services.runtime.errors import LlmhubError


class GeminiCodec:
    """Content, token counts and embeddings; implements ChatCodec, CountCodec and EmbeddingCodec.

    `embedding` is the shape of embeddings that did not come in a shape of this dialect.
    """

    name = DIALECT

    def __init__(self, *, embedding: EmbeddingShape = EmbeddingShape.BATCH) -> None:
        self._embedding = embedding

    def decode_request(self, body: bytes) -> DecodedRequest:
        return requests.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return responses.encode_response(response)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return requests.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return responses.decode_response(body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.error_of(status, headers, body)

    def decode_count_request(self, body: bytes) -> GenerateRequest:
        return requests.decode_count_request(body)

    def encode_count_response(self, response: CountTokensResponse) -> bytes:
        return responses.encode_count_response(response)

    def encode_count_request(self, request: GenerateRequest, model: str) -> WireRequest:
        return requests.encode_count_request(request, model)

    def decode_count_response(self, body: bytes) -> CountTokensResponse:
        return responses.decode_count_response(body)

    def decode_embed_request(self, body: bytes) -> EmbedRequest:
        return embeddings.decode_embed_request(body)

    def encode_embed_response(self, response: EmbedResponse) -> bytes:
        return embeddings.encode_embed_response(response, self._embedding)

    def encode_embed_request(self, request: EmbedRequest, model: str) -> WireRequest:
        return embeddings.encode_embed_request(request, model, self._embedding)

    def decode_embed_response(self, body: bytes) -> EmbedResponse:
        return embeddings.decode_embed_response(body)
