"""The Ollama dialect as the rest of llmhub uses it."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.codec import DecodedRequest, RelayBody, WireAnswer, WireRequest
from services.dialects.observation import DecodingTap, replace_model
from services.dialects.ollama import embeddings, errors, relay, request_decode, request_encode
from services.dialects.ollama import response as whole
from services.dialects.ollama.stream_decode import OllamaStreamDecoder
from services.dialects.ollama.stream_encode import OllamaStreamEncoder
from services.dialects.ollama.wire import DIALECT
from services.runtime.errors import LlmhubError


class OllamaCodec:
    """Chat and embeddings; implements ChatCodec and EmbeddingCodec."""

    name = DIALECT

    def decode_request(self, body: bytes) -> DecodedRequest:
        return request_decode.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return whole.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> OllamaStreamEncoder:
        return OllamaStreamEncoder(request)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return request_encode.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return whole.decode_response(body)

    def stream_decoder(self) -> OllamaStreamDecoder:
        return OllamaStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.decode_error(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        return replace_model(body, model)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> DecodingTap:
        return DecodingTap(OllamaStreamDecoder())

    def decode_embed_request(self, body: bytes) -> EmbedRequest:
        return embeddings.decode_embed_request(body)

    def encode_embed_response(self, response: EmbedResponse) -> bytes:
        return embeddings.encode_embed_response(response)

    def encode_embed_request(self, request: EmbedRequest, model: str) -> WireRequest:
        return embeddings.encode_embed_request(request, model)

    def decode_embed_response(self, body: bytes) -> EmbedResponse:
        return embeddings.decode_embed_response(body)
