"""What an attempt's pieces add up to."""

from __future__ import annotations

from collections.abc import Iterable

from llmhub.provider.v1.provider_service_pb2 import Progress, RelayResponse
from services.gateway.ports import Piece


def absorb(total: Progress, news: Progress) -> None:
    """Take over what is set in `news`; see llmhub.provider.v1.Progress."""
    if not total.ByteSize():
        total.CopyFrom(news)
        return
    if news.content:
        total.content = True
    if news.complete:
        total.complete = True
    if news.output_characters:
        total.output_characters = news.output_characters
    if news.HasField("usage"):
        total.usage.CopyFrom(news.usage)
    if news.HasField("finish"):
        total.finish.CopyFrom(news.finish)
    if news.HasField("error"):
        total.error.CopyFrom(news.error)
    if news.response_id:
        total.response_id = news.response_id
    if news.provider_model:
        total.provider_model = news.provider_model


def held_bytes(pieces: Iterable[Piece]) -> int:
    """Return how many bytes of relayed answer these pieces hold; events are small and do not count."""
    return sum(len(piece.data) for piece in pieces if isinstance(piece, RelayResponse))
