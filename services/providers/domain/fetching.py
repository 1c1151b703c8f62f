"""The rules under which a caller's URL is fetched: what it may look like and what may come back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from llmhub.types.v1.content_pb2 import MediaKind
from services.runtime.errors import RequestInvalid, Violation

_LONGEST_URL: Final = 8192


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: a host name or a literal address, and a port."""

    host: str
    port: int


def refusal(field: str, message: str) -> RequestInvalid:
    """Return the error for a URL that is not fetched, or whose answer is not taken. The URL is not in it."""
    return RequestInvalid(
        f"{field}: {message}", violations=(Violation(field=field, message=message),), field=field
    )


def place_of(url: str, ports: Collection[int], field: str) -> Place:
    """Return where a URL leads. Raises RequestInvalid unless it is https, plain and on one of the ports."""
    if len(url) > _LONGEST_URL:
        raise refusal(field, f"a URL must not be longer than {_LONGEST_URL} characters")
    if not url.isascii() or any(char <= " " or char in "\\\x7f" for char in url):
        raise refusal(field, "a URL must be written in printable ASCII")
    try:
        parts = urlsplit(url)
        port = 443 if parts.port is None else parts.port
    except ValueError:
        raise refusal(field, "this is no URL") from None
    if parts.scheme.lower() != "https":
        raise refusal(field, "only https URLs are fetched")
    if "@" in parts.netloc:
        raise refusal(field, "a URL must not have credentials in it")
    host = (parts.hostname or "").rstrip(".")
    if not host or "%" in host:
        raise refusal(field, "a URL must name a host")
    if port not in ports:
        raise refusal(field, f"the port {port} is not fetched from")
    return Place(host, port)


_FAMILIES: Final[dict[int, tuple[str, ...]]] = {
    MediaKind.MEDIA_KIND_IMAGE: ("image/",),
    MediaKind.MEDIA_KIND_AUDIO: ("audio/",),
    MediaKind.MEDIA_KIND_VIDEO: ("video/",),
    MediaKind.MEDIA_KIND_DOCUMENT: ("application/", "text/"),
}


def type_of(header: str, kind: int, allowed: Iterable[str], field: str) -> str:
    """Return the media type that an answer's content-type names. Raises RequestInvalid for another than is allowed."""
    found = header.partition(";")[0].strip().lower()
    if not found:
        raise refusal(field, "the answer has no content type")
    if not found.startswith(_FAMILIES.get(kind, ("",))) or not any(
        found == each or (each.endswith("/*") and found.startswith(each[:-1])) for each in allowed
    ):
        raise refusal(field, f"the content type {found[:100]!r} is not taken here")
    return found
