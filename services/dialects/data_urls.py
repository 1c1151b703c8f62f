"""Bytes in JSON: base64 and data URLs."""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

_MAGIC: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def decode_base64(text: object) -> bytes | None:
    """Bytes of canonical base64; None for anything that would not be written the same way again."""
    if not isinstance(text, str):
        return None
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


def read_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type, which may be empty, and bytes of a data URL of any spelling; None for others and for a broken one."""
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:"):
        return None
    mime_type, *parameters = head[5:].split(";")
    data = unquote_to_bytes(body)
    if "base64" in parameters:
        try:
            # Lenient decoding would skip what it does not know and send another image, or none.
            data = binascii.a2b_base64(b"".join(data.split()), strict_mode=True)
        except binascii.Error:
            return None
    return mime_type, data


def encode_data_url(mime_type: str, data: bytes) -> str:
    """A base64 data URL; the type is read off the first bytes where it is not known."""
    return f"data:{mime_type or sniff_type(data)};base64,{encode_base64(data)}"


def sniff_type(data: bytes) -> str:
    """Media type by the first bytes; application/octet-stream if they say nothing."""
    for magic, mime_type in _MAGIC:
        if data.startswith(magic):
            return mime_type
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "application/octet-stream")
    return "application/octet-stream"
