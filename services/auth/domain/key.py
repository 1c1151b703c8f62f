"""Makes keys, and the digests that are kept instead of them. Their text is defined in services.runtime.key_format."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.runtime.key_format import BASE62, join

ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
ID_RANDOMNESS: Final = 16
SECRET_RANDOMNESS: Final = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key's id and its whole text, which is shown once and never kept."""

    key_id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Digest:
    """What is stored of a secret: HMAC-SHA-256 of the whole key's text under one version of the pepper."""

    pepper_version: int
    value: bytes = field(repr=False)

    def matches(self, other: Digest) -> bool:
        """Say whether both digests are the same, in constant time."""
        return self.pepper_version == other.pepper_version and hmac.compare_digest(self.value, other.value)


@dataclass(frozen=True, slots=True)
class Peppers:
    """The installation's secrets by version; the highest version makes new digests."""

    versions: Mapping[int, bytes] = field(repr=False)

    def digest(self, text: str) -> Digest:
        """Return the digest under the newest pepper."""
        return self.digests(text)[0]

    def digests(self, text: str) -> tuple[Digest, ...]:
        """Return the digest under every pepper, newest first."""
        newest_first = sorted(self.versions.items(), reverse=True)
        return tuple(
            Digest(version, hmac.digest(pepper, text.encode(), "sha256")) for version, pepper in newest_first
        )


def make(environment: str, id_randomness: bytes, secret_randomness: bytes, key_id: str = "") -> NewKey:
    """Make a key from ID_RANDOMNESS and SECRET_RANDOMNESS random bytes, with the given id if there is one."""
    if len(id_randomness) != ID_RANDOMNESS or len(secret_randomness) != SECRET_RANDOMNESS:
        raise ValueError("wrong amount of randomness")
    key_id = key_id or _base62(id_randomness, ID_LENGTH)
    return NewKey(key_id, join(environment, key_id, _base62(secret_randomness, SECRET_LENGTH)))


def _base62(randomness: bytes, length: int) -> str:
    """The lowest `length` digits of the number; 43 digits hold all of 32 bytes."""
    number = int.from_bytes(randomness)
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(digits)
