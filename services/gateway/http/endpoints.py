"""The vendor endpoints this door serves: which codec reads and writes them, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.model.v1.model_service_pb2 import Capability
from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.route.v1.route_service_pb2 import Needs, Operation
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.openai import OpenAICodec
from services.gateway.domain.payload import CountTokens, Embed, Generate, Payload, WholeAnswer
from services.runtime.errors import InternalError, RequestInvalid, Violation

OPENAI = OpenAICodec()
ANTHROPIC = AnthropicCodec()


# A Raw in a union with None decodes as the None alone.
_ABSENT = msgspec.Raw(b"null")


class Sniffed(msgspec.Struct):
    """What must be known of a body before it is known where it goes."""

    model: str
    stream: bool | None = None
    tools: msgspec.Raw = _ABSENT


_SNIFF = msgspec.json.Decoder(Sniffed)


_LONGEST_MODEL = 256
"""As in the contract."""


def sniff(body: bytes) -> Sniffed:
    """Read the model and the stream switch. Raises RequestInvalid."""
    try:
        sniffed = _SNIFF.decode(body)
    except msgspec.ValidationError as error:
        message = str(error)
        raise RequestInvalid(message, violations=(Violation("body", message),)) from None
    except RecursionError:
        message = "the body is nested too deeply"
        raise RequestInvalid(message, violations=(Violation("body", message),)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is not JSON: {error}"
        raise RequestInvalid(message, violations=(Violation("body", message),)) from None
    # The name goes into headers, logs and the books.
    if not 0 < len(sniffed.model) <= _LONGEST_MODEL or not sniffed.model.isprintable():
        message = f"must be 1 to {_LONGEST_MODEL} printable characters"
        raise RequestInvalid(f"model: {message}", violations=(Violation("model", message),))
    return sniffed


class Decoded:
    """A body in the contract's words, read at most once and only if some target needs it."""

    def __init__(self, endpoint: VendorEndpoint, body: bytes, request_id: str, model: str) -> None:
        self._endpoint = endpoint
        self._body = body
        self._request_id = request_id
        self._model = model
        self._request: DecodedRequest | None = None
        self._payload: Payload | None = None

    @property
    def payload(self) -> Payload:
        """The call as a translated payload. Raises RequestInvalid."""
        if self._payload is None:
            self._payload = self._endpoint.decode(self)
        return self._payload

    def generation(self) -> DecodedRequest:
        """The body as a generation."""
        if self._request is None:
            self._request = self._endpoint.codec.decode_request(self._body)
            self._name(self._request.request)
        return self._request

    def count(self) -> CountTokens:
        """The body as a count."""
        request = ANTHROPIC.decode_count_request(self._body)
        self._name(request)
        return CountTokens(request)

    def embedding(self) -> Embed:
        """The body as an embedding."""
        request = OPENAI.decode_embed_request(self._body)
        self._name(request)
        return Embed(request)

    def _name(self, request: GenerateRequest | EmbedRequest) -> None:
        request.request_id = self._request_id
        request.model = self._model


@dataclass(frozen=True, slots=True)
class VendorEndpoint:
    """One vendor path."""

    codec: ChatCodec
    endpoint: Endpoint.ValueType
    operation: str
    kind: Operation.ValueType
    relayed_headers: frozenset[str]
    decode: Callable[[Decoded], Payload]
    encode: Callable[[WholeAnswer], bytes]

    def needs(self, sniffed: Sniffed) -> Needs:
        """Return what the body requires of a model, as far as it was read."""
        needs = Needs(operation=self.kind)
        if bytes(sniffed.tools) not in {b"null", b"[]"}:
            needs.capabilities.append(Capability.CAPABILITY_TOOLS)
        return needs


def _generate(decoded: Decoded) -> Payload:
    request = decoded.generation()
    return Generate(request.request, stream=request.stream)


def _encode_openai(answer: WholeAnswer) -> bytes:
    if isinstance(answer, EmbedResponse):
        return OPENAI.encode_embed_response(answer)
    return OPENAI.encode_response(_generated(answer))


def _encode_anthropic(answer: WholeAnswer) -> bytes:
    if isinstance(answer, CountTokensResponse):
        return ANTHROPIC.encode_count_response(answer)
    return ANTHROPIC.encode_response(_generated(answer))


def _generated(answer: WholeAnswer) -> GenerateResponse:
    if not isinstance(answer, GenerateResponse):
        message = "a provider answered in another form than was asked for"
        raise InternalError(message)
    return answer


_OPENAI_HEADERS = frozenset({"openai-beta", "idempotency-key"})
_ANTHROPIC_HEADERS = frozenset({"anthropic-version", "anthropic-beta"})

ENDPOINTS: Mapping[str, VendorEndpoint] = {
    "/v1/chat/completions": VendorEndpoint(
        OPENAI,
        Endpoint.ENDPOINT_OPENAI_CHAT,
        "generate",
        Operation.OPERATION_GENERATE,
        _OPENAI_HEADERS,
        _generate,
        _encode_openai,
    ),
    "/v1/embeddings": VendorEndpoint(
        OPENAI,
        Endpoint.ENDPOINT_OPENAI_EMBEDDINGS,
        "embed",
        Operation.OPERATION_EMBED,
        _OPENAI_HEADERS,
        Decoded.embedding,
        _encode_openai,
    ),
    "/v1/messages": VendorEndpoint(
        ANTHROPIC,
        Endpoint.ENDPOINT_ANTHROPIC_MESSAGES,
        "generate",
        Operation.OPERATION_GENERATE,
        _ANTHROPIC_HEADERS,
        _generate,
        _encode_anthropic,
    ),
    "/v1/messages/count_tokens": VendorEndpoint(
        ANTHROPIC,
        Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS,
        "count_tokens",
        Operation.OPERATION_COUNT_TOKENS,
        _ANTHROPIC_HEADERS,
        Decoded.count,
        _encode_anthropic,
    ),
}


def dialect_of(path: str) -> ChatCodec:
    """Return the codec whose error shape a caller of this path expects."""
    return ANTHROPIC if path.startswith("/v1/messages") else OPENAI
