"""Page tokens: where the next page begins, sealed so that only the query they were given for accepts them."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec

from services.runtime.errors import PageTokenInvalid

_SEAL_BYTES: Final = 16
_LONGEST: Final = 4_096

# Replaced by the installation's own at start; until then tokens are good within this process.
_key = secrets.token_bytes(32)


def use_key(key: bytes) -> None:
    """Seal with this key (32 bytes or more), so that every process of the installation reads every token."""
    if len(key) < 32:
        raise ValueError("a key for page tokens has at least 32 bytes")
    global _key  # noqa: PLW0603 - one installation per process, set once at start
    _key = hmac.digest(key, b"llmhub page token", "sha256")


def encode(payload: dict[str, str | int], query: bytes) -> str:
    """The token for the payload, good only with the same query (any bytes that stand for all of its conditions)."""
    body = msgspec.json.encode(payload)
    return urlsafe_b64encode(_seal(body, query) + body).decode().rstrip("=")


def decode(token: str, query: bytes) -> dict[str, str | int]:
    """The payload. Raises PageTokenInvalid for a token that was not given for this query."""
    try:
        if len(token) > _LONGEST:
            raise ValueError("too long")
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, _seal(body, query)):
            raise ValueError("wrong seal")
        return msgspec.json.decode(body, type=dict[str, str | int])
    except (ValueError, msgspec.MsgspecError):
        raise PageTokenInvalid("the page token is not one that this server gave for this query") from None


def _seal(body: bytes, query: bytes) -> bytes:
    # The query goes in as a digest of fixed length, so that no byte of it can pass for one of the body.
    return hmac.digest(_key, sha256(query).digest() + body, "sha256")[:_SEAL_BYTES]
