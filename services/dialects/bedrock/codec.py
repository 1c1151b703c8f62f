"""The Bedrock dialect as the rest of llmhub uses it."""

from __future__ import annotations

from collections.abc import Mapping

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.bedrock import errors, relay
from services.dialects.bedrock import request as requests
from services.dialects.bedrock import response as responses
from services.dialects.bedrock.stream_decode import BedrockStreamDecoder
from services.dialects.bedrock.stream_encode import BedrockStreamEncoder
from services.dialects.bedrock.wire import DIALECT
from services.dialects.codec import DecodedRequest, RelayBody, WireAnswer, WireRequest
from services.runtime.errors import LlmhubError


class BedrockCodec:
    """Converse, ConverseStream and CountTokens; implements ChatCodec and CountCodec.

    Bodies name no model and do not say whether a stream is wanted: both are in the path.
    """

    name = DIALECT

    def decode_request(self, body: bytes) -> DecodedRequest:
        return requests.decode_request(body)

    def encode_response(self, response: GenerateResponse) -> bytes:
        return responses.encode_response(response)

    def stream_encoder(self, request: DecodedRequest) -> BedrockStreamEncoder:
        return BedrockStreamEncoder()

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        return errors.encode_error(error, request_id)

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return requests.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> GenerateResponse:
        return responses.decode_response(body)

    def stream_decoder(self) -> BedrockStreamDecoder:
        return BedrockStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        return errors.error_of(status, headers, body)

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        return RelayBody(body)

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        return relay.relay_answer(body)

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> relay.BedrockRelayTap:
        return relay.BedrockRelayTap()

    def decode_count_request(self, body: bytes) -> GenerateRequest:
        return requests.decode_count_request(body)

    def encode_count_response(self, response: CountTokensResponse) -> bytes:
        return responses.encode_count_response(response)

    def encode_count_request(self, request: GenerateRequest, model: str) -> WireRequest:
        return requests.encode_count_request(request, model)

    def decode_count_response(self, body: bytes) -> CountTokensResponse:
        return responses.decode_count_response(body)
