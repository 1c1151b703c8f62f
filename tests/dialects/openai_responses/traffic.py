"""The recordings of this dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.dialects.sse import SseParser, encode_event
from tests.support.exceptions import SEVERAL
from tests.support.exchanges import Exchange
from tests.support.recordings import recordings


def _separate(exchange: Exchange) -> list[Exchange]:
    if exchange.name[: len("azure_openai/000")] not in SEVERAL:
        return [exchange]
    streams: list[bytes] = []
    for event in SseParser().feed(exchange.answer):
        if event.event == "response.created":
            streams.append(b"")
        streams[-1] += encode_event(event.data, event.event)
    return [
        replace(exchange, name=f"{exchange.name}-{number}", answer=answer)
        for number, answer in enumerate(streams)
    ]


ALL: Final = recordings("openai.responses", "openai.responses.retrieve")
COMPACTS: Final = recordings("openai.responses.compact")
COUNTS: Final = recordings("openai.responses.input_tokens")
ASKED: Final = [each for each in [*ALL, *COMPACTS, *COUNTS] if each.body]
WHOLE: Final = [each for each in ALL if each.status == 200 and not each.streaming]
STREAMS: Final = [one for each in ALL if each.streaming for one in _separate(each)]
FAILED: Final = [each for each in ALL if each.status >= 400]
BROKEN: Final = "error-in-stream"
