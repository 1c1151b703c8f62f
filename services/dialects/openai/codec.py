"""The OpenAI dialect as one codec: chat completions and embeddings."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.codec import DecodedRequest, RelayBody, RelayTap, WireAnswer, WireRequest
from services.dialects.openai import embeddings, errors, relay, request_decode, request_encode
from services.dialects.openai import response as whole
from services.dialects.openai.profile import OPENAI, Profile
from services.dialects.openai.relay import OpenAIRelayTap
from services.dialects.openai.stream_decode import OpenAIStreamDecoder
from services.dialects.openai.stream_encode import OpenAIStreamEncoder
from services.dialects.openai.wire import DIALECT
from services.dialects.openai_media import MEDIA, MediaTap
from services.runtime.errors import LlmhubError


class OpenAICodec:
    """Implements services.dialects.codec.ChatCodec and EmbeddingCodec for one server's profile."""

    name = DIALECT

    def __init__(self, profile: Profile = OPENAI) -> None:
        self._profile = profile

    def decode_request(self, body: bytes) -> DecodedRequest:
        return request_decode.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return whole.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> OpenAIStreamEncoder:
        return OpenAIStreamEncoder(request)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return request_encode.encode_request(request, model, self._profile, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return whole.decode_response(body)

    def stream_decoder(self) -> OpenAIStreamDecoder:
        return OpenAIStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.decode_error(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        return relay.relay_request(body, model, endpoint, self._profile)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body, endpoint)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> RelayTap:
        if endpoint in MEDIA:
            return MediaTap()
        return OpenAIRelayTap(hide_usage=hide_usage)

    def decode_embed_request(self, body: bytes) -> EmbedRequest:
        return embeddings.decode_embed_request(body)

    def encode_embed_response(self, response: EmbedResponse) -> bytes:
        return embeddings.encode_embed_response(response)

    def encode_embed_request(self, request: EmbedRequest, model: str) -> WireRequest:
        return embeddings.encode_embed_request(request, model)

    def decode_embed_response(self, body: bytes) -> EmbedResponse:
        return embeddings.decode_embed_response(body)
