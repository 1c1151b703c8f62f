"""Bytes in JSON: base64 and data URLs."""

from __future__ import annotations

import base64
import binascii
from typing import Final

_MAGIC: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)


def decode_base64(text: str) -> bytes | None:
    """Bytes of canonical base64; None for anything that would not be written the same way again."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64(data) == text else None


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode()


def decode_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a base64 data URL that has a type and no parameters; None for any other URL."""
    if not url.startswith("data:"):
        return None
    head, comma, text = url[5:].partition(",")
    mime_type, semicolon, encoding = head.partition(";")
    if not comma or not semicolon or encoding != "base64" or not mime_type:
        return None
    data = decode_base64(text)
    return None if data is None else (mime_type, data)


def encode_data_url(mime_type: str, data: bytes) -> str:
    """A base64 data URL; the type is read off the first bytes where it is not known."""
    return f"data:{mime_type or sniff_type(data)};base64,{encode_base64(data)}"


def sniff_type(data: bytes) -> str:
    """Media type by the first bytes; application/octet-stream if they say nothing."""
    for magic, mime_type in _MAGIC:
        if data.startswith(magic):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
