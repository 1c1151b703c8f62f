"""Gemini's other framing of a stream: without alt=sse the events are the elements of one JSON array."""

from __future__ import annotations

from services.dialects.sse import SseParser


class JsonArray:
    """Turns server-sent events into such an array as they come."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._open = False

    def feed(self, data: bytes) -> bytes:
        """Return the elements that these bytes complete. Raises UpstreamProtocol for an event without end."""
        pieces: list[bytes] = []
        for event in self._parser.feed(data):
            pieces += (b",\r\n" if self._open else b"[", event.data)
            self._open = True
        return b"".join(pieces)

    def close(self) -> bytes:
        """Return the array's end."""
        return b"]" if self._open else b"[]"
