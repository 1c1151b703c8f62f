"""The recordings of Gemini's own endpoints, of the Developer API and of Vertex AI."""

from __future__ import annotations

import json
from typing import Any, Final

from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.gemini import GeminiCodec
from services.dialects.sse import SseParser
from tests.support.exchanges import Exchange, recorded

CONTENT: Final = recorded("gemini.generateContent", "gemini.streamGenerateContent")
COUNTS: Final = recorded("gemini.countTokens")
EMBEDDINGS: Final = recorded("gemini.embedContent", "gemini.batchEmbedContents", "gemini.predict")
ANSWERS: Final = [each for each in CONTENT if each.status == 200]
STREAMS: Final = [each for each in ANSWERS if each.endpoint == "gemini.streamGenerateContent"]
WHOLE: Final = [each for each in ANSWERS if each.endpoint == "gemini.generateContent"]
FAILED: Final = [each for each in (*CONTENT, *COUNTS, *EMBEDDINGS) if each.status >= 400]
PLAIN: Final = b'{"contents":[{"role":"user","parts":[{"text":"x"}]}]}'


def body_of(exchange: Exchange) -> bytes:
    """The recorded request."""
    return json.dumps(exchange.body).encode()


def frames(data: bytes) -> list[Any]:
    """The chunks of a stream by value, in either framing."""
    if data.lstrip()[:1] == b"[":
        chunks: list[Any] = json.loads(data)
        return chunks
    return [json.loads(event.data) for event in SseParser().feed(data)]


def decoded(*pieces: bytes) -> list[StreamEvent]:
    """The events of a stream that arrives in these pieces."""
    decoder = GeminiCodec().stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()
