"""The Gemini dialect as the rest of llmhub uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.codec import DecodedRequest, RelayBody, WireAnswer, WireRequest
from services.dialects.gemini import embeddings, errors, relay
from services.dialects.gemini import request as requests
from services.dialects.gemini import response as responses
from services.dialects.gemini.embeddings import EmbeddingShape
from services.dialects.gemini.stream_decode import GeminiStreamDecoder
from services.dialects.gemini.stream_encode import Framing, GeminiStreamEncoder
from services.dialects.gemini.wire import DIALECT
from services.runtime.errors import LlmhubError


class GeminiCodec:
    """Content, token counts and embeddings; implements ChatCodec, CountCodec and EmbeddingCodec.

    `framing` is what streams are written in: SSE where the caller's query has `alt=sse`, else an array.
    `embedding` is the shape of every answer with embeddings, which the endpoint decides; None writes them in the
    shape they came in. Requests keep the shape they came in; those of other dialects take this one.
    """

    name = DIALECT

    def __init__(
        self, *, framing: Framing = Framing.SSE, embedding: EmbeddingShape | None = EmbeddingShape.BATCH
    ) -> None:
        self._framing = framing
        self._embedding = embedding

    def decode_request(self, body: bytes) -> DecodedRequest:
        return requests.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return responses.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> GeminiStreamEncoder:
        return GeminiStreamEncoder(request.request.model, request.request.request_id, self._framing)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        answer = errors.encode_error(error, request_id)
        if self._framing is Framing.ARRAY:
            # Without SSE, a stream that fails before it begins is an array too.
            return replace(answer, body=b"[%b]" % answer.body)
        return answer

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return requests.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return responses.decode_response(body)

    def stream_decoder(self) -> GeminiStreamDecoder:
        return GeminiStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.error_of(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        """The model stands in the path, and in the bodies of some endpoints: see paths.relay_path."""
        return relay.relay_request(body, model, endpoint)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body, endpoint)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> relay.GeminiRelayTap:
        return relay.GeminiRelayTap()

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
