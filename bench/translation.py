"""What translating a streamed chunk costs, for every adapter: python -m bench.translation.

Recorded streams are fed chunk by chunk, as a network gives them. Columns are microseconds of CPU per chunk, the median
of the rounds: `json.loads` of the same chunks as the control, reading them into the contract, writing what was read
for callers of OpenAI and of Anthropic. Cohere and Ollama have few recordings: theirs are OpenAI's, told in their words.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.eventstream import encode_frame
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError
from tools.fuzz.corpus import CODECS, corpus
from tools.fuzz.mutations import unframe

LIMIT: Final = 10.0
"""Microseconds a chunk that reading, and writing, must stay below."""
DOORS: Final = ("openai", "anthropic")
STREAMS: Final = 5
FEWEST: Final = 30
"""Chunks of a stream that is worth measuring: less is mostly its beginning and its end."""
_FRAMINGS: Final = {"bedrock": "frames", "ollama": "lines"}
_ASKED: Final = DecodedRequest(GenerateRequest(model="m"), stream=True, include_usage=True)


def chunks_of(name: str, stream: bytes) -> list[tuple[bytes, bytes]]:
    """A stream's chunks: the bytes on the wire, and the JSON inside."""
    framing = _FRAMINGS.get(name, "array" if stream.lstrip()[:1] == b"[" else "sse")
    return [(_framed(title, payload, framing), payload) for title, payload in unframe(stream, framing)]


def _framed(title: str, payload: bytes, framing: str) -> bytes:
    if framing == "frames":
        kind, _, event = title.partition("/")
        return encode_frame(event, payload, kind)
    return payload + b"\n" if framing == "lines" else encode_event(payload, title)


def streams() -> dict[str, list[list[tuple[bytes, bytes]]]]:
    """The longest recorded streams of small chunks, by dialect."""
    seeds = corpus()
    found: dict[str, list[list[tuple[bytes, bytes]]]] = {}
    for name in CODECS:
        told = [chunks_of(name, stream) for stream in seeds[name].streams]
        read = [chunks for chunks in told if _is_whole(CODECS[name], chunks)]
        read.sort(key=len, reverse=True)
        found[name] = [chunks for chunks in read[:STREAMS] if len(chunks) >= FEWEST] or read[:1]
    return found


def _is_whole(codec: ChatCodec, chunks: Sequence[tuple[bytes, bytes]]) -> bool:
    try:
        events = read(codec, [wire for wire, _ in chunks])
    except LlmhubError:
        return False
    return bool(events) and events[-1][-1].finished.complete


def read(codec: ChatCodec, wires: Sequence[bytes]) -> list[list[StreamEvent]]:
    """The events of every chunk, and of the end."""
    decoder = codec.stream_decoder()
    groups = [decoder.feed(wire) for wire in wires]
    groups.append(decoder.close())
    return [group for group in groups if group]


def write(codec: ChatCodec, groups: Sequence[Sequence[StreamEvent]]) -> None:
    """Write the events of every chunk."""
    encoder = codec.stream_encoder(_ASKED)
    for group in groups:
        encoder.encode(group)


def parse(payloads: Sequence[bytes]) -> None:
    """The control."""
    for payload in payloads:
        if payload != b"[DONE]":
            json.loads(payload)


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """CPU seconds of one round, the median of several; the collector runs between them."""
    took = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def measure(name: str, told: Sequence[Sequence[tuple[bytes, bytes]]], rounds: int) -> list[float]:
    """Microseconds per chunk: control, reading, and writing for each door."""
    codec = CODECS[name]
    chunks = sum(map(len, told))
    columns: list[float] = []
    wires = [[wire for wire, _ in stream] for stream in told]
    payloads = [payload for stream in told for _, payload in stream]
    groups = [read(codec, stream) for stream in wires]
    works: list[Callable[[], Any]] = [
        partial(parse, payloads),
        lambda: [read(codec, stream) for stream in wires],
        *(partial(_write_all, CODECS[door], groups) for door in DOORS),
    ]
    for work in works:
        work()
        columns.append(seconds(work, rounds) / chunks * 1e6)
    return columns


def _write_all(codec: ChatCodec, told: Sequence[Sequence[Sequence[StreamEvent]]]) -> None:
    for groups in told:
        write(codec, groups)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="dialects whose names contain this")
    asked = parser.parse_args()
    print(f"{'µs CPU a chunk':18}{'streams':>8}{'chunks':>8}{'json.loads':>12}{'read':>8}", end="")
    print("".join(f"{'for ' + door:>15}" for door in DOORS))
    above = []
    for name, told in streams().items():
        if asked.only in name and told:
            columns = measure(name, told, asked.rounds)
            row = f"{columns[0]:12.2f}{columns[1]:8.2f}" + "".join(f"{each:15.2f}" for each in columns[2:])
            print(f"{name:18}{len(told):8}{sum(map(len, told)):8}{row}", flush=True)
            # Between equal dialects an answer is relayed, not written.
            crossed = [each for each, door in zip(columns[2:], DOORS, strict=True) if door != name]
            above += [name] * (max(columns[1], *crossed) > LIMIT)
    print(f"above {LIMIT:.0f} µs: {', '.join(above) or 'none'}")
    return 1 if above else 0


if __name__ == "__main__":
    raise SystemExit(main())
