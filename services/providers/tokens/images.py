"""About how many tokens images, sound and files are."""

from __future__ import annotations

import struct
from math import ceil
from typing import Final

from llmhub.types.v1.content_pb2 import Media, MediaKind
from services.providers.tokens.families import Family

_UNKNOWN_SIZE: Final = (1024, 1024)
_PIXELS_PER_TOKEN: Final = 750
_LARGEST_IMAGE: Final = 1600
_PAGE: Final = 1000
_BYTES_PER_PAGE: Final = 50_000
_SECOND_OF_SOUND: Final = 25
_BYTES_PER_SECOND: Final = 16_000
_SECOND_OF_FILM: Final = 260
_BYTES_OF_FILM_PER_SECOND: Final = 250_000


def media_tokens(media: Media, family: Family) -> int:
    """Guess the tokens of what is no text. Content behind a URL or a file id counts as a middling one."""
    size = len(media.data)
    match media.kind:
        case MediaKind.MEDIA_KIND_IMAGE:
            return _image(media, family)
        case MediaKind.MEDIA_KIND_AUDIO:
            return max(1, size // _BYTES_PER_SECOND) * _SECOND_OF_SOUND
        case MediaKind.MEDIA_KIND_VIDEO:
            return max(1, size // _BYTES_OF_FILM_PER_SECOND) * _SECOND_OF_FILM
        case _:
            pages = media.data.count(b"/Type /Page\n") + media.data.count(b"/Type/Page/")
            return max(1, pages, size // _BYTES_PER_PAGE) * _PAGE


def _image(media: Media, family: Family) -> int:
    if media.detail == "low" and family.image_tile:
        return family.image_base
    width, height = dimensions(media.data) or _UNKNOWN_SIZE
    if family.image_tile:
        # OpenAI's published rule: fit into 2048, then the short side into 768, then count tiles of 512.
        scale = min(1.0, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        tiles = ceil(width * scale / 512) * ceil(height * scale / 512)
        return family.image_base + family.image_tile * tiles
    if family.image_base:
        return family.image_base
    return min(_LARGEST_IMAGE, ceil(width * height / _PIXELS_PER_TOKEN))


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, JPEG or WebP in pixels; None for anything else and for broken ones."""
    found: tuple[int, int] | None = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        found = struct.unpack(">II", data[16:24])
    elif data.startswith(b"GIF8") and len(data) >= 10:
        found = struct.unpack("<HH", data[6:10])
    elif data.startswith(b"\xff\xd8\xff"):
        found = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        found = _webp(data)
    return found if found is not None and all(found) else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case _:
            return None
