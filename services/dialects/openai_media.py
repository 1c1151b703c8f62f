"""What is read off relayed moderations, images, speech, transcriptions and rankings: usage, and whether they are whole.

Usage that the vendor does not tell stays absent, which means unknown, never none.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from llmhub.types.v1.usage_pb2 import Measure, Modality, Usage, UsageClass
from services.dialects.codec import Passed, RelayBody
from services.dialects.failure import error_message
from services.dialects.members import JsonObject, decode_json
from services.dialects.multipart import with_value
from services.dialects.openai_errors import error_in_answer
from services.dialects.sse import SseParser
from services.runtime.errors import LlmhubError, UpstreamProtocol

MEDIA: Final = frozenset(
    {
        Endpoint.ENDPOINT_OPENAI_MODERATIONS,
        Endpoint.ENDPOINT_OPENAI_IMAGES,
        Endpoint.ENDPOINT_OPENAI_SPEECH,
        Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS,
        Endpoint.ENDPOINT_RERANK,
    }
)
"""Endpoints whose answers are read here."""

_MAY_BE_NO_JSON: Final = frozenset({Endpoint.ENDPOINT_OPENAI_SPEECH, Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS})
_LAST_EVENTS: Final = (".done", ".completed")
_MODALITIES: Final = (
    ("text_tokens", Modality.MODALITY_TEXT),
    ("image_tokens", Modality.MODALITY_IMAGE),
    ("audio_tokens", Modality.MODALITY_AUDIO),
)
_NULL: Final = msgspec.Raw(b"null")
_SSE_BEGINS: Final = (b"data:", b"event:", b":", b"id:", b"retry:")
_LONGEST_BEGIN: Final = max(map(len, _SSE_BEGINS))
_MOST_TOKENS: Final = 1 << 62


class _Answer(msgspec.Struct, gc=False):
    """The members that are read; images and scores are skipped, not decoded."""

    id: Any = None
    model: Any = None
    text: Any = None
    type: Any = None
    delta: Any = None
    usage: msgspec.Raw = _NULL
    meta: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


_decode = msgspec.json.Decoder(_Answer).decode


def relay_form(body: bytes, model: str) -> RelayBody:
    """Replace the model in the form of a transcription; every other part keeps its bytes."""
    return RelayBody(with_value(body, "model", model))


def read_answer(body: bytes, endpoint: Endpoint.ValueType) -> Progress:
    """Read a whole answer."""
    if endpoint in _MAY_BE_NO_JSON and not body.lstrip(b" \t\r\n").startswith(b"{"):
        return Progress(content=True, complete=True, output_characters=_characters(body, endpoint))
    try:
        answer = _decode(body)
        failure = _failure(answer)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        if endpoint in _MAY_BE_NO_JSON:
            return Progress(content=True, complete=True)
        failure = UpstreamProtocol("the provider sent what is not valid JSON")
        return Progress(error=error_message(failure))
    progress = _progress(answer)
    if failure is not None:
        progress.error.CopyFrom(error_message(failure))
        return progress
    progress.content = progress.complete = True
    progress.output_characters = len(answer.text) if isinstance(answer.text, str) else 0
    return progress


class MediaTap:
    """Watches a relayed stream of events, or of bytes that are no events; implements services.dialects.codec.RelayTap.

    A stream of events is whole if its last event came; of other bytes only HTTP knows.
    """

    __slots__ = ("_characters", "_early", "_failure", "_parser", "_progress", "_seen_last", "_started")

    def __init__(self) -> None:
        self._characters = 0
        self._early: bytes | None = b""
        """The first bytes, until they tell whether these are events."""
        self._failure: LlmhubError | None = None
        self._parser: SseParser | None = None
        self._progress = Progress()
        self._seen_last = False
        self._started = False

    def feed(self, data: bytes) -> Passed:
        """Pass the bytes on."""
        known = self._started, self._characters, self._failure, self._seen_last
        self._started = True
        if self._early is None:
            self._read(data)
        else:
            self._decide(data)
        changed = known != (self._started, self._characters, self._failure, self._seen_last)
        return Passed(data, self._news() if changed else None)

    def _decide(self, data: bytes) -> None:
        early = (self._early or b"") + data
        if len(early) < _LONGEST_BEGIN and any(begin.startswith(early) for begin in _SSE_BEGINS):
            self._early = early
            return
        self._early = None
        if early.startswith(_SSE_BEGINS):
            self._parser = SseParser()
            self._read(early)

    def close(self) -> Passed:
        """Say whether the stream was whole."""
        progress = self._news()
        progress.complete = self._failure is None and (
            self._seen_last if self._parser is not None else self._early is None
        )
        return Passed(b"", progress)

    def _read(self, data: bytes) -> None:
        if self._parser is None:
            return
        for event in self._parser.feed(data):
            if event.data.strip() in {b"", b"[DONE]"}:
                continue
            try:
                answer = _decode(event.data)
                self._failure = self._failure or _failure(answer)
            except (msgspec.MsgspecError, RecursionError, ValueError):
                self._failure = UpstreamProtocol("the provider sent an event that is not valid JSON")
                return
            if isinstance(answer.delta, str):
                self._characters += len(answer.delta)
            if isinstance(answer.type, str) and answer.type.endswith(_LAST_EVENTS):
                self._seen_last = True
            self._progress.MergeFrom(_progress(answer))

    def _news(self) -> Progress:
        progress = Progress()
        progress.CopyFrom(self._progress)
        progress.content = self._started
        progress.output_characters = self._characters
        if self._failure is not None:
            progress.error.CopyFrom(error_message(self._failure))
        return progress


def _characters(body: bytes, endpoint: Endpoint.ValueType) -> int:
    if endpoint != Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS:
        return 0
    return len(body.decode("utf-8", "replace"))


def _failure(answer: _Answer) -> LlmhubError | None:
    if answer.error is _NULL or bytes(answer.error) == b"null":
        return None
    return error_in_answer({"error": decode_json(answer.error)}, "openai")


def _progress(answer: _Answer) -> Progress:
    progress = Progress()
    if isinstance(answer.id, str):
        progress.response_id = answer.id
    if isinstance(answer.model, str):
        progress.provider_model = answer.model
    if (usage := _usage(answer.usage)) is not None or (usage := _usage(answer.meta)) is not None:
        progress.usage.CopyFrom(usage)
    return progress


def _usage(raw: msgspec.Raw) -> Usage | None:
    """Read the usage of OpenAI (tokens or seconds), Mistral, Groq and Jina, or Cohere's meta."""
    if raw is _NULL:
        return None
    try:
        value = decode_json(raw)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    usage = Usage(provider_json=bytes(raw).decode())
    tokens = value.get("tokens")
    told: JsonObject = tokens if isinstance(tokens, dict) else value
    read, written, total = (
        _count(told, *names)
        for names in (
            ("input_tokens", "prompt_tokens"),
            ("output_tokens", "completion_tokens"),
            ("total_tokens",),
        )
    )
    if total is not None:
        usage.provider_total_tokens = total
    if read is None and written is None and total is not None:
        # Rankings put nothing out: the total is what was read.
        read, written = total, 0
    if read is not None:
        usage.input_tokens = read
        _shares(usage, told, ("input_tokens_details", "input_token_details"), UsageClass.USAGE_CLASS_INPUT)
    if written is not None:
        usage.output_tokens = written
        _shares(usage, told, ("output_tokens_details",), UsageClass.USAGE_CLASS_OUTPUT)
    if read is not None or written is not None:
        usage.measure = Measure.MEASURE_VENDOR
    return usage


def _shares(
    usage: Usage, value: JsonObject, names: tuple[str, ...], usage_class: UsageClass.ValueType
) -> None:
    details: JsonObject = next((value[name] for name in names if isinstance(value.get(name), dict)), {})
    for name, modality in _MODALITIES:
        if count := _count(details, name):
            usage.modalities.add(usage_class=usage_class, modality=modality, tokens=count)


def _count(value: JsonObject, *names: str) -> int | None:
    for name in names:
        count = value.get(name)
        if type(count) is int and 0 <= count < _MOST_TOKENS:
            return count
    return None
