"""What a dialect can do: pure translation between a vendor's JSON and the contract, in both directions.

A codec does no I/O and keeps no state; stream coders keep the state of one stream. Doors decode requests and encode
answers; provider adapters encode requests and decode answers. `encode(decode(x))` equals x by value for every body a
vendor sends: members the contract does not model travel in `extensions[dialect]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.runtime.errors import LlmhubError


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request in a vendor's dialect. `path` is relative to the provider's base URL; no credentials are in it."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[LossWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer in a vendor's dialect."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """A door's request in the contract's words."""

    request: GenerateRequest
    stream: bool = False
    include_usage: bool = False
    """The caller asked for usage at the end of the stream (OpenAI's stream_options)."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A piece of a relayed answer: the bytes for the caller, and what was learnt from them."""

    data: bytes
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class RelayBody:
    """A relayed request's body, and whether the usage it asks for must be hidden from the caller again."""

    body: bytes
    hide_usage: bool = False


class StreamDecoder(Protocol):
    """Reads one vendor stream. Raises UpstreamProtocol for bytes that are no such stream."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events completed by these bytes; any split of the stream gives the same events."""
        ...

    def close(self) -> list[StreamEvent]:
        """Return what end of input means: nothing if the terminal event was given, else a terminal event.

        `finished.complete` is true only if the vendor's rules allow the stream to end here.
        """
        ...


class StreamEncoder(Protocol):
    """Writes one vendor stream.

    What the dialect cannot carry is told before the end where the framing has room for it: see answer_losses.
    """

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; an incomplete end becomes the vendor's error, never a clean end."""
        ...


class RelayTap(Protocol):
    """Watches a relayed stream in passing."""

    def feed(self, data: bytes) -> Passed:
        """Return what goes on to the caller, and the progress if these bytes changed it."""
        ...

    def close(self) -> Passed:
        """Return the rest, and the final progress; `progress.complete` says whether the stream was whole."""
        ...


class ChatCodec(Protocol):
    """One dialect's codec for generation."""

    name: str

    def decode_request(self, body: bytes) -> DecodedRequest:
        """Door: raise RequestInvalid with violations for a body that is not this dialect's."""
        ...

    def encode_response(self, response: GenerateResponse) -> bytes:
        """Door: write a whole answer; what the dialect cannot carry is added to `response.warnings`."""
        ...

    def stream_encoder(self, request: DecodedRequest) -> StreamEncoder:
        """Door: write a streamed answer to this request."""
        ...

    def encode_error(self, error: LlmhubError, request_id: str) -> WireAnswer:
        """Door: write a failure with the vendor's status, shape and headers (retry-after, request id)."""
        ...

    def encode_request(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        """Adapter: write a request for the vendor's `model`; raise ParameterUnsupported when policy says refuse."""
        ...

    def decode_response(self, body: bytes) -> GenerateResponse:
        """Adapter: read a whole answer; raise UpstreamProtocol for garbage, or the typed error inside a 200."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Adapter: read a streamed answer."""
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        """Adapter: read a failure. Never raises; `error.upstream` has the vendor's own account."""
        ...

    def relay_request(self, body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
        """Relay: replace the model and switch stream usage on; every other member keeps its bytes."""
        ...

    def relay_answer(self, body: bytes, endpoint: Endpoint.ValueType) -> Progress:
        """Relay: read usage, finish and content off a whole answer."""
        ...

    def relay_tap(self, endpoint: Endpoint.ValueType, *, hide_usage: bool) -> RelayTap:
        """Relay: watch a streamed answer."""
        ...


class CountCodec(Protocol):
    """Token counting in a dialect that has it."""

    def decode_count_request(self, body: bytes) -> GenerateRequest:
        """Door."""
        ...

    def encode_count_response(self, response: CountTokensResponse) -> bytes:
        """Door."""
        ...

    def encode_count_request(self, request: GenerateRequest, model: str) -> WireRequest:
        """Adapter."""
        ...

    def decode_count_response(self, body: bytes) -> CountTokensResponse:
        """Adapter."""
        ...


class EmbeddingCodec(Protocol):
    """Embeddings in a dialect that has them."""

    def decode_embed_request(self, body: bytes) -> EmbedRequest:
        """Door."""
        ...

    def encode_embed_response(self, response: EmbedResponse) -> bytes:
        """Door."""
        ...

    def encode_embed_request(self, request: EmbedRequest, model: str) -> WireRequest:
        """Adapter."""
        ...

    def decode_embed_response(self, body: bytes) -> EmbedResponse:
        """Adapter."""
        ...
