"""Which targets fetch a URL themselves, and where the URLs of a request are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Media, MediaKind, Part

_IMAGE: Final = MediaKind.MEDIA_KIND_IMAGE
_DOCUMENT: Final = MediaKind.MEDIA_KIND_DOCUMENT
_VIDEO: Final = MediaKind.MEDIA_KIND_VIDEO

Kinds = frozenset[int]
_NOTHING: Final[Kinds] = frozenset()
_IMAGES: Final[Kinds] = frozenset({_IMAGE})

_BY_CODEC: Final[dict[str, Kinds]] = {
    "openai": _IMAGES,
    "openai-responses": frozenset({_IMAGE, _DOCUMENT}),
    "anthropic": frozenset({_IMAGE, _DOCUMENT}),
    "cohere": _IMAGES,
}
"""What a codec's own vendor fetches. The others, and those to come, fetch nothing."""

_BY_PROFILE: Final[dict[tuple[str, str], Kinds]] = {
    ("openai", "compatible"): frozenset({_IMAGE, _VIDEO}),
    ("openai", "openrouter"): frozenset({_IMAGE, _DOCUMENT, _VIDEO}),
    ("openai", "ollama"): _NOTHING,
    ("anthropic", "bedrock"): _NOTHING,
    ("anthropic", "vertex"): _NOTHING,
}
"""Servers and hosts that differ from the vendor."""

_ALL: Final[Kinds] = frozenset(MediaKind.values())
_BY_VALUE: Final[dict[str, Kinds]] = {
    "openai": _ALL,
    "openai-responses": frozenset({_IMAGE, _DOCUMENT}),
    "anthropic": frozenset({_IMAGE, _DOCUMENT}),
    "cohere": frozenset({_IMAGE, _DOCUMENT}),
    "ollama": frozenset({_IMAGE, _DOCUMENT}),
}
"""What a codec has a form for at all: the rest need not be fetched only to be left out. Others have all forms."""

_LOCAL: Final[dict[str, tuple[str, ...]]] = {
    "gemini": (
        "https://generativelanguage.googleapis.com/",
        "https://www.youtube.com/watch?",
        "https://youtu.be/",
    )
}
"""Beginnings of URLs that a codec's vendor reads at any time, whatever is behind them."""

_FETCHABLE: Final = ("https:", "http:")
"""`data:` is content already; `gs:` and `s3:` are the target's own affair, and its codec decides about them."""

_DEEPEST: Final = 8
"""Documents and tool results hold parts; deeper ones than this are left to the codec."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one target fetches itself."""

    kinds: Kinds
    by_value: Kinds
    local: tuple[str, ...]

    def lacks(self, media: Media) -> bool:
        """Tell whether the target needs the content of this medium, which it has as a URL."""
        if media.kind in self.kinds or media.kind not in self.by_value:
            return False
        return not media.url.startswith(self.local)


def reach_of(codec: str, profile: str = "") -> Reach:
    """Return what a target fetches, by its codec and its server's profile or the platform that hosts it."""
    kinds = _BY_PROFILE.get((codec, profile), _BY_CODEC.get(codec, _NOTHING))
    return Reach(kinds, _BY_VALUE.get(codec, _ALL), _LOCAL.get(codec, ()))


def out_of_reach(request: GenerateRequest, reach: Reach) -> list[tuple[str, Media]]:
    """Return the media of a request, with their paths, that lie behind a URL the target does not fetch."""
    found: list[tuple[str, Media]] = []
    for number, message in enumerate(request.messages):
        parts = message.parts
        for place, part in enumerate(parts):
            if part.HasField("text"):
                continue
            for path, media in _media(part, f"messages[{number}].parts[{place}]", _DEEPEST):
                if media.url.lower().startswith(_FETCHABLE) and reach.lacks(media):
                    found.append((path, media))
    return found


def _media(part: Part, path: str, depth: int) -> Iterator[tuple[str, Media]]:
    inner: Iterable[Part]
    match part.WhichOneof("kind"):
        case "media":
            media, where = part.media, f"{path}.media"
            if media.HasField("url"):
                yield where, media
                return
            inner = media.parts.parts
        case "tool_result":
            where, inner = f"{path}.tool_result", part.tool_result.parts
        case _:
            return
    if depth:
        for number, each in enumerate(inner):
            yield from _media(each, f"{where}.parts[{number}]", depth - 1)
