"""The Anthropic dialect as the rest of llmhub uses it."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.anthropic import errors, relay
from services.dialects.anthropic import request as requests
from services.dialects.anthropic import response as responses
from services.dialects.anthropic.stream_decode import AnthropicStreamDecoder
from services.dialects.anthropic.stream_encode import AnthropicStreamEncoder
from services.dialects.anthropic.wire import DIALECT
from services.dialects.codec import DecodedRequest, RelayBody, WireAnswer, WireRequest
from services.runtime.errors import LlmhubError


class AnthropicCodec:
    """Messages and count_tokens; implements ChatCodec and CountCodec."""

    name = DIALECT

    def decode_request(self, body: bytes) -> DecodedRequest:
        return requests.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return responses.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> AnthropicStreamEncoder:
        return AnthropicStreamEncoder(request.request.model, request.request.request_id)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return requests.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return responses.decode_response(body)

    def stream_decoder(self) -> AnthropicStreamDecoder:
        return AnthropicStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.error_of(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        return relay.relay_request(body, model)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body, endpoint)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> relay.AnthropicRelayTap:
        return relay.AnthropicRelayTap()

    def decode_count_request(self, body: bytes) -> GenerateRequest:
        return requests.decode_count_request(body)

    def encode_count_response(self, response: CountTokensResponse) -> bytes:
        return responses.encode_count_response(response)

    def encode_count_request(self, request: GenerateRequest, model: str) -> WireRequest:
        return requests.encode_count_request(request, model)

    def decode_count_response(self, body: bytes) -> CountTokensResponse:
        return responses.decode_count_response(body)
