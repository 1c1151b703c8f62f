"""The parsers that are fuzzed, each with what must hold of every input. An operation may raise LlmhubError, no more."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects import anthropic_hosted, openai_media
from services.dialects.anthropic.opaque import whole_block
from services.dialects.bedrock import invoke
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.eventstream import FrameReader
from services.dialects.fold import Folding
from services.dialects.gemini.framing import ArrayParser
from services.dialects.multipart import boundary_of, fields, with_value
from services.dialects.ndjson import LineParser
from services.dialects.openai_responses import stored
from services.dialects.sse import SseParser
from services.runtime.errors import LlmhubError
from tools.fuzz.corpus import ARRAYS, CODECS, Seeds
from tools.fuzz.mutations import split

_M = TypeVar("_M", bound=Message)

ENDPOINTS: Final = {
    "openai": (Endpoint.ENDPOINT_OPENAI_CHAT, Endpoint.ENDPOINT_OPENAI_EMBEDDINGS),
    "openai-responses": (
        Endpoint.ENDPOINT_OPENAI_RESPONSES,
        Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS,
        Endpoint.ENDPOINT_OPENAI_COMPACT,
    ),
    "anthropic": (Endpoint.ENDPOINT_ANTHROPIC_MESSAGES, Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS),
    "gemini": (
        Endpoint.ENDPOINT_GEMINI_GENERATE,
        Endpoint.ENDPOINT_GEMINI_COUNT_TOKENS,
        Endpoint.ENDPOINT_GEMINI_EMBED,
        Endpoint.ENDPOINT_GEMINI_BATCH_EMBED,
    ),
    "bedrock": (Endpoint.ENDPOINT_UNSPECIFIED,),
    "cohere": (Endpoint.ENDPOINT_RERANK, Endpoint.ENDPOINT_UNSPECIFIED),
    "ollama": (Endpoint.ENDPOINT_UNSPECIFIED,),
}
MEDIA: Final = tuple(openai_media.MEDIA)
FORM: Final = b"".join(
    (
        b'--bound\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai/whisper-1\r\n',
        b'--bound\r\ncontent-disposition: form-data; name="file"; filename="a;name=b.wav"\r\n\r\n\0\xff--b\r\n\r\n',
        b"--bound\r\nContent-Disposition: form-data; name=stream\r\n\r\ntrue\r\n--bound--\r\n",
    )
)


class Watch:
    """Times the steps of one input on the processor's clock."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time of this step."""
        began = time.process_time()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.process_time() - began


Check = Callable[[bytes, random.Random, Watch], None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One parser, what its inputs are made from, and how those are framed."""

    name: str
    check: Check
    seeds: Sequence[bytes]
    framing: str
    names: Sequence[str] = field(default=())


def operations(seeds: dict[str, Seeds]) -> list[Operation]:
    """Every operation."""
    framings = {"bedrock": "frames", "ollama": "lines"}
    found: list[Operation] = []
    for name in CODECS:
        own = seeds[name]
        everything = [*own.requests, *own.answers, *own.errors]
        framing = framings.get(name, "sse")
        streams = own.streams
        if name == "gemini":
            arrays = [each for each in streams if each.lstrip()[:1] == b"["]
            streams = [each for each in streams if each not in arrays]
            found.append(Operation("gemini array stream", partial(check_stream, name), arrays, "array"))
        found += [
            Operation(f"{name} request", partial(check_request, name), own.requests, "json"),
            Operation(f"{name} answer", partial(check_answer, name), own.answers, "json"),
            Operation(f"{name} stream", partial(check_stream, name), streams, framing),
            Operation(f"{name} error", partial(check_error, name), own.errors or everything, "json"),
            Operation(f"{name} count", partial(check_count, name), everything, "json"),
            Operation(f"{name} embedding", partial(check_embedding, name), everything, "json"),
        ]
    wrapped = seeds["invoke"]
    plain = [each for name in CODECS for each in seeds[name].streams]
    events = [each for each in plain if b"data:" in each]
    lines, binary = seeds["ollama"].streams, [*seeds["bedrock"].streams, *wrapped.streams]
    bodies = [
        *seeds["openai"].requests,
        *seeds["openai-responses"].requests,
        *seeds["openai-responses"].answers,
    ]
    found += [
        Operation("sse", partial(check_framing, SseParser), events, "sse"),
        Operation("ndjson", partial(check_framing, LineParser), lines, "lines"),
        Operation("event-stream", partial(check_framing, FrameReader), binary, "frames"),
        Operation("json array", partial(check_framing, ArrayParser), arrays, "array"),
        Operation("multipart", check_form, [FORM], "bytes"),
        Operation("bedrock invoke", check_invoke, wrapped.streams, "frames"),
        Operation("anthropic hosted", check_hosted, seeds["anthropic"].requests, "json"),
        Operation("stored responses", check_stored, bodies, "json"),
        Operation("media answers", check_media, [*seeds["openai"].answers, *seeds["openai"].errors], "json"),
    ]
    return [each for each in found if each.seeds]


def check_request(name: str, data: bytes, dice: random.Random, watch: Watch) -> None:
    codec = CODECS[name]
    for endpoint in ENDPOINTS[name]:
        with contextlib.suppress(LlmhubError), watch.step("relay"):
            # What is relayed keeps its bytes, whatever they are: the provider judges them.
            codec.relay_request(data, "m", endpoint)
    with watch.step("decode"):
        asked = codec.decode_request(data)
    again = sound(asked.request)
    for target in (name, dice.choice(list(CODECS))):
        stream = not dice.randrange(2)
        with contextlib.suppress(LlmhubError), watch.step(f"encode to {target}"):
            json.loads(CODECS[target].encode_request(again, "m", stream=stream).body)


def check_answer(name: str, data: bytes, dice: random.Random, watch: Watch) -> None:
    codec = CODECS[name]
    for endpoint in ENDPOINTS[name]:
        with contextlib.suppress(LlmhubError), watch.step("relay"):
            sound(codec.relay_answer(data, endpoint))
    with watch.step("decode"):
        answer = codec.decode_response(data)
    for target in (name, dice.choice(list(CODECS))):
        copy = sound(answer)
        with contextlib.suppress(LlmhubError), watch.step(f"encode to {target}"):
            json.loads(CODECS[target].encode_response(copy))


def check_stream(name: str, data: bytes, dice: random.Random, watch: Watch) -> None:
    pieces = split(dice, data)
    for endpoint in ENDPOINTS[name]:
        tap = CODECS[name].relay_tap(endpoint, hide_usage=False)
        with watch.step("relay"):
            passed = b"".join([*(tap.feed(piece).data for piece in pieces), tap.close().data])
        require(passed == data, "a relayed stream keeps its bytes")
    with watch.step("hiding"), contextlib.suppress(LlmhubError):
        tap = CODECS[name].relay_tap(ENDPOINTS[name][0], hide_usage=True)
        for piece in pieces:
            tap.feed(piece)
        tap.close()
    with watch.step("decode"):
        events, failure = decoded(CODECS[name], pieces)
    whole, same_failure = decoded(CODECS[name], [data])
    if len(pieces) == 1:
        whole = events
    require((failure is None) == (same_failure is None), "a stream fails however it is split")
    require(failure is not None or whole == events, "a stream says the same however it is split")
    require([each.sequence for each in events] == list(range(len(events))), "events are numbered")
    ends = [each.HasField("finished") for each in events]
    require(True not in ends[:-1], "nothing follows the end")
    require(failure is not None or ends[-1:] == [True], "a stream ends")
    for event in events:
        sound(event)
    with contextlib.suppress(LlmhubError), watch.step("fold"):
        folding = Folding({"anthropic": whole_block})
        for event in events:
            folding.add(event)
        sound(folding.fragment())
    for target in (CODECS[name], dice.choice([*CODECS.values(), ARRAYS])):
        asked = DecodedRequest(GenerateRequest(model="m"), stream=True, include_usage=not dice.randrange(2))
        with contextlib.suppress(LlmhubError), watch.step(f"encode to {target.name}"):
            encoder = target.stream_encoder(asked)
            for event in events:
                encoder.encode([event])


def check_error(name: str, data: bytes, dice: random.Random, watch: Watch) -> None:
    status = dice.choice(
        (200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 498, 499, 500, 502, 503, 504, 529)
    )
    headers = {
        dice.choice(
            ("retry-after", "retry-after-ms", "x-amzn-errortype", "x-ratelimit-reset-requests")
        ): dice.choice(
            (
                "1",
                "-1",
                "1e999",
                "NaN",
                "",
                "Wed, 21 Oct 2015 07:28:00 GMT",
                "ThrottlingException:x",
                "6m0s",
                "9" * 400,
            )
        )
    }
    with watch.step("decode"):
        try:
            error = CODECS[name].decode_error(status, headers, data)
        except LlmhubError as raised:
            raise BrokenPromiseError("decode_error never raises") from raised
    for codec in CODECS.values():
        json.loads(codec.encode_error(error, "id").body)


def check_count(name: str, data: bytes, _: random.Random, watch: Watch) -> None:
    codec: Any = CODECS[name]
    if not hasattr(codec, "decode_count_request"):
        return
    with contextlib.suppress(LlmhubError), watch.step("decode request"):
        request = codec.decode_count_request(data)
        json.loads(codec.encode_count_request(sound(request), "m").body)
    with contextlib.suppress(LlmhubError), watch.step("decode answer"):
        json.loads(codec.encode_count_response(sound(codec.decode_count_response(data))))


def check_embedding(name: str, data: bytes, dice: random.Random, watch: Watch) -> None:
    codec: Any = CODECS[name]
    if not hasattr(codec, "decode_embed_request"):
        return
    with contextlib.suppress(LlmhubError), watch.step("decode request"):
        request = sound(codec.decode_embed_request(data))
        for target in (codec, dice.choice(list(CODECS.values()))):
            if hasattr(target, "encode_embed_request"):
                with contextlib.suppress(LlmhubError):
                    json.loads(target.encode_embed_request(request, "m").body)
    with contextlib.suppress(LlmhubError), watch.step("decode answer"):
        json.loads(codec.encode_embed_response(sound(codec.decode_embed_response(data))))


def check_framing(parser: Callable[[], Any], data: bytes, dice: random.Random, watch: Watch) -> None:
    whole, found = parser(), parser()
    try:
        with watch.step("feed"):
            expected = whole.feed(data)
    except LlmhubError:
        with contextlib.suppress(LlmhubError):
            for piece in split(dice, data):
                found.feed(piece)
        raise
    pieces = split(dice, data)
    with watch.step("feed in pieces"):
        items = [item for piece in pieces for item in found.feed(piece)]
    require(items == expected, "any split gives the same frames")
    if hasattr(whole, "close"):
        require(whole.close() == found.close(), "any split ends the same")


def check_form(data: bytes, dice: random.Random, watch: Watch) -> None:
    with contextlib.suppress(LlmhubError):
        boundary_of(data[:200].decode("latin-1"))
    with watch.step("fields"):
        fields(data, b"bound")
    with watch.step("replace"):
        with_value(data, dice.choice(("model", "file", "stream")), "x")


def check_invoke(data: bytes, dice: random.Random, watch: Watch) -> None:
    unwrapper = invoke.InvokeUnwrapper()
    with watch.step("unwrap"):
        inner = b"".join(unwrapper.feed(piece) for piece in split(dice, data))
    check_stream("anthropic", inner, dice, Watch())


def check_hosted(data: bytes, dice: random.Random, watch: Watch) -> None:
    for change in (
        anthropic_hosted.bedrock_body,
        anthropic_hosted.vertex_body,
        anthropic_hosted.vertex_count_body,
        invoke.count_body,
        invoke.count_answer,
    ):
        with contextlib.suppress(LlmhubError), watch.step(change.__name__):
            change(data)
    json.loads(invoke.error_body(dice.choice((400, 429, 500)), {}, data))


def check_stored(data: bytes, _: random.Random, watch: Watch) -> None:
    with watch.step("keeping"):
        stored.keeping(data)
    with watch.step("items"):
        items = stored.input_items(data, "resp_1")
    with watch.step("continued"):
        body = stored.continued(data, items)
    with contextlib.suppress(LlmhubError):
        CODECS["openai-responses"].decode_request(body)
    stored.queued("resp_1", "m", 0, data)
    value = json.loads(data)
    stored.cancelled(value)
    stored.output_items(value)


def check_media(data: bytes, dice: random.Random, watch: Watch) -> None:
    for endpoint in MEDIA:
        with contextlib.suppress(LlmhubError), watch.step("read"):
            sound(openai_media.read_answer(data, endpoint))
    tap = openai_media.MediaTap()
    stream = b"data: " + data + b"\n\n"
    passed = b"".join([*(tap.feed(piece).data for piece in split(dice, stream)), tap.close().data])
    require(passed == stream, "a relayed stream keeps its bytes")


class BrokenPromiseError(Exception):
    """Something that must hold of every input does not."""


def require(holds: bool, promise: str) -> None:  # noqa: FBT001 - reads like assert
    """Fail unless it holds."""
    if not holds:
        raise BrokenPromiseError(promise)


def sound(message: _M) -> _M:
    """The message as another process gets it."""
    return type(message).FromString(message.SerializeToString())


def decoded(codec: ChatCodec, pieces: Sequence[bytes]) -> tuple[list[StreamEvent], LlmhubError | None]:
    """The events of a stream, and what ended it early."""
    decoder, events = codec.stream_decoder(), []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        return events + decoder.close(), None
    except LlmhubError as error:
        return events, error
