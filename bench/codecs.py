"""Microseconds per chunk of every dialect's stream coders, on recorded streams: python -m bench.codecs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_OPENAI_CHAT
from services.dialects.codec import DecodedRequest
from services.dialects.openai import OpenAICodec
from services.dialects.sse import SseParser
from tests.support.exchanges import named, sse_events

STREAMS = ("openai/008", "groq/010", "deepseek/004", "openrouter/005")
ASKED = DecodedRequest(GenerateRequest(), stream=True, include_usage=True)
ROUNDS = 15


def best(work: Callable[[], Any]) -> float:
    """Seconds of the fastest round: the others were disturbed."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def parse(answer: bytes) -> None:
    SseParser().feed(answer)


def decode(codec: OpenAICodec, pieces: list[bytes]) -> list[Any]:
    decoder = codec.stream_decoder()
    fed = [decoder.feed(piece) for piece in pieces]
    return [*fed, decoder.close()]


def encode(codec: OpenAICodec, events: list[Any]) -> None:
    encoder = codec.stream_encoder(ASKED)
    for each in events:
        encoder.encode(each)


def tap(codec: OpenAICodec, pieces: list[bytes], *, hide: bool) -> None:
    watch = codec.relay_tap(ENDPOINT_OPENAI_CHAT, hide_usage=hide)
    for piece in pieces:
        watch.feed(piece)
    watch.close()


def main() -> None:
    codec = OpenAICodec()
    print("µs per chunk         chunks   parse  decode  encode     tap  hiding   burst")
    for name in STREAMS:
        answer = named(name).answer
        pieces = sse_events(answer)
        count = len(pieces)
        events = decode(codec, pieces)
        works: tuple[Callable[[], Any], ...] = (
            partial(parse, answer),
            partial(decode, codec, pieces),
            partial(encode, codec, events),
            partial(tap, codec, pieces, hide=False),
            partial(tap, codec, pieces, hide=True),
            partial(tap, codec, [answer], hide=False),
        )
        columns = "".join(f"{best(work) / count * 1e6:8.2f}" for work in works)
        print(f"openai {name:16}{count:4}{columns}")


if __name__ == "__main__":
    main()
