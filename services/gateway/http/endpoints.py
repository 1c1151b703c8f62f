"""The vendor endpoints this door serves: which codec reads and writes them, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.model.v1.model_service_pb2 import Capability
from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.route.v1.route_service_pb2 import Needs, Operation, Target
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec, CountCodec, DecodedRequest, EmbeddingCodec
from services.dialects.openai import OpenAICodec
from services.gateway.domain.payload import CountTokens, Embed, Generate, Payload, WholeAnswer
from services.gateway.http.question import Question, Reader, in_body, in_body_if_named, in_form
from services.runtime.errors import InternalError, OperationUnsupported

OPENAI: Final = OpenAICodec()
ANTHROPIC: Final = AnthropicCodec()

Answer = TypeVar("Answer", bound=WholeAnswer)


class Decoded:
    """A body in the contract's words, read at most once and only if some target needs it."""

    def __init__(self, endpoint: VendorEndpoint, body: bytes, request_id: str, question: Question) -> None:
        self._endpoint = endpoint
        self._request_id = request_id
        self._question = question
        self._request: DecodedRequest | None = None
        self._payload: Payload | None = None
        self.body = body

    def payload(self, target: Target) -> Payload:
        """The call as a translated payload. Raises RequestInvalid; OperationUnsupported if it can only be relayed."""
        decode = self._endpoint.decode
        if decode is None:
            operation = self._endpoint.operation
            message = f"{target.provider} does not offer this operation ({operation})"
            raise OperationUnsupported(message, provider=target.provider, operation=operation)
        if self._payload is None:
            self._payload = decode(self)
        return self._payload

    def generation(self) -> DecodedRequest:
        """The body as a generation."""
        if self._request is None:
            decoded = self._endpoint.codec.decode_request(self.body)
            if decoded.stream != self._question.stream:
                # Where the path says so, the body does not.
                decoded = replace(decoded, stream=self._question.stream)
            self._request = decoded
            self.name(decoded.request)
        return self._request

    def name(self, request: GenerateRequest | EmbedRequest) -> None:
        """Write request id and model into a request."""
        request.request_id = self._request_id
        request.model = self._question.model


@dataclass(frozen=True, slots=True)
class VendorEndpoint:
    """One vendor path. Without `decode` and `encode` it can only be relayed."""

    codec: ChatCodec
    """Reads the body, writes the answer, and gives failures their shape."""
    endpoint: Endpoint.ValueType
    operation: str
    kind: Operation.ValueType
    relayed_headers: frozenset[str]
    read: Reader = in_body
    decode: Callable[[Decoded], Payload] | None = None
    encode: Callable[[WholeAnswer], bytes] | None = None
    default_model: str = ""
    """What the vendor takes where no model is named."""
    stream_type: str = "text/event-stream; charset=utf-8"
    """The content-type of a streamed answer."""

    def needs(self, question: Question) -> Needs:
        """Return what the body requires of a model, as far as it was read."""
        needs = Needs(operation=self.kind)
        if question.tools:
            needs.capabilities.append(Capability.CAPABILITY_TOOLS)
        return needs


def generation(
    codec: ChatCodec, endpoint: Endpoint.ValueType, headers: frozenset[str], read: Reader = in_body
) -> VendorEndpoint:
    """An endpoint that generates."""

    def decode(decoded: Decoded) -> Payload:
        request = decoded.generation()
        return Generate(request.request, stream=request.stream)

    def encode(answer: WholeAnswer) -> bytes:
        return codec.encode_response(expect(answer, GenerateResponse))

    kind = Operation.OPERATION_GENERATE
    return VendorEndpoint(codec, endpoint, "generate", kind, headers, read, decode, encode)


def counting(
    codec: ChatCodec,
    count: CountCodec,
    endpoint: Endpoint.ValueType,
    headers: frozenset[str],
    read: Reader = in_body,
) -> VendorEndpoint:
    """An endpoint that counts tokens."""

    def decode(decoded: Decoded) -> Payload:
        request = count.decode_count_request(decoded.body)
        decoded.name(request)
        return CountTokens(request)

    def encode(answer: WholeAnswer) -> bytes:
        return count.encode_count_response(expect(answer, CountTokensResponse))

    kind = Operation.OPERATION_COUNT_TOKENS
    return VendorEndpoint(codec, endpoint, "count_tokens", kind, headers, read, decode, encode)


def embedding(
    codec: ChatCodec,
    embed: EmbeddingCodec,
    endpoint: Endpoint.ValueType,
    headers: frozenset[str],
    read: Reader = in_body,
) -> VendorEndpoint:
    """An endpoint that embeds."""

    def decode(decoded: Decoded) -> Payload:
        request = embed.decode_embed_request(decoded.body)
        decoded.name(request)
        return Embed(request)

    def encode(answer: WholeAnswer) -> bytes:
        return embed.encode_embed_response(expect(answer, EmbedResponse))

    kind = Operation.OPERATION_EMBED
    return VendorEndpoint(codec, endpoint, "embed", kind, headers, read, decode, encode)


def expect(answer: WholeAnswer, kind: type[Answer]) -> Answer:
    """Return the answer if it is of this kind. Raises InternalError."""
    if not isinstance(answer, kind):
        message = "a provider answered in another form than was asked for"
        raise InternalError(message)
    return answer


OPENAI_HEADERS: Final = frozenset({"openai-beta", "idempotency-key"})
_FORM_HEADERS: Final = OPENAI_HEADERS | {"content-type"}
_ANTHROPIC_HEADERS: Final = frozenset({"anthropic-version", "anthropic-beta"})

ENDPOINTS: Final[Mapping[str, VendorEndpoint]] = {
    "/v1/chat/completions": generation(OPENAI, Endpoint.ENDPOINT_OPENAI_CHAT, OPENAI_HEADERS),
    "/v1/embeddings": embedding(OPENAI, OPENAI, Endpoint.ENDPOINT_OPENAI_EMBEDDINGS, OPENAI_HEADERS),
    "/v1/moderations": VendorEndpoint(
        OPENAI,
        Endpoint.ENDPOINT_OPENAI_MODERATIONS,
        "moderate",
        Operation.OPERATION_MODERATE,
        OPENAI_HEADERS,
        in_body_if_named,
        default_model="omni-moderation-latest",
    ),
    "/v1/images/generations": VendorEndpoint(
        OPENAI, Endpoint.ENDPOINT_OPENAI_IMAGES, "image", Operation.OPERATION_IMAGE, OPENAI_HEADERS
    ),
    "/v1/audio/speech": VendorEndpoint(
        OPENAI, Endpoint.ENDPOINT_OPENAI_SPEECH, "speech", Operation.OPERATION_SPEECH, OPENAI_HEADERS
    ),
    "/v1/audio/transcriptions": VendorEndpoint(
        OPENAI,
        Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS,
        "transcribe",
        Operation.OPERATION_TRANSCRIBE,
        _FORM_HEADERS,
        in_form,
    ),
    "/v1/rerank": VendorEndpoint(
        OPENAI, Endpoint.ENDPOINT_RERANK, "rerank", Operation.OPERATION_RERANK, OPENAI_HEADERS
    ),
    "/v1/messages": generation(ANTHROPIC, Endpoint.ENDPOINT_ANTHROPIC_MESSAGES, _ANTHROPIC_HEADERS),
    "/v1/messages/count_tokens": counting(
        ANTHROPIC, ANTHROPIC, Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS, _ANTHROPIC_HEADERS
    ),
}
"""Endpoints by their whole path; all take POST."""
