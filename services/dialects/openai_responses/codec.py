"""The Responses dialect as one codec."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.codec import DecodedRequest, RelayBody, WireAnswer, WireRequest
from services.dialects.openai_responses import errors, relay, request_decode, request_encode
from services.dialects.openai_responses import response as whole
from services.dialects.openai_responses.relay import ResponsesRelayTap
from services.dialects.openai_responses.stream_decode import ResponsesStreamDecoder
from services.dialects.openai_responses.stream_encode import ResponsesStreamEncoder
from services.dialects.openai_responses.wire import DIALECT
from services.runtime.errors import LlmhubError


class ResponsesCodec:
    """Implements services.dialects.codec.ChatCodec and CountCodec."""

    name = DIALECT

    def decode_request(self, body: bytes) -> DecodedRequest:
        return request_decode.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return whole.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> ResponsesStreamEncoder:
        return ResponsesStreamEncoder(request)

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return request_encode.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return whole.decode_response(body)

    def stream_decoder(self) -> ResponsesStreamDecoder:
        return ResponsesStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.decode_error(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        return relay.relay_request(body, model)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body, endpoint)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> ResponsesRelayTap:
        return ResponsesRelayTap()

    def decode_count_request(self, body: bytes) -> GenerateRequest:
        return request_decode.decode_request(body).request

    def encode_count_response(self, response: CountTokensResponse) -> bytes:
        return whole.encode_count_response(response)

    def encode_count_request(self, request: GenerateRequest, model: str) -> WireRequest:
        return request_encode.encode_count_request(request, model)

    def decode_count_response(self, body: bytes) -> CountTokensResponse:
        return whole.decode_count_response(body)
