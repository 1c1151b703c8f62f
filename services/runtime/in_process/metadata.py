"""Metadata as it crosses the channel: checked like on the wire, then immutable pairs."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import grpc

_KEY = re.compile(r"[0-9a-z_.\-]+")


class Metadatum(NamedTuple):
    """One entry as a handler sees it."""

    key: str
    value: str | bytes


RawMetadata = tuple[Metadatum, ...]


@lru_cache(maxsize=1024)
def _is_binary(key: str) -> bool:
    """Whether values of this key are bytes; raises InternalError for a key HTTP/2 would refuse."""
    if not _KEY.fullmatch(key):
        raise grpc.aio.InternalError(f"illegal metadata key {key!r}")
    return key.endswith("-bin")


def checked(entries: Iterable[tuple[str, str | bytes]] | None) -> RawMetadata:
    """The entries as the other end receives them.

    Raises TypeError for a wrong type and InternalError for a key or value the wire would refuse.
    """
    if not entries:
        return ()
    return tuple(_entry(key, value) for key, value in entries)


def _entry(key: str, value: str | bytes) -> Metadatum:
    if not isinstance(key, str):
        raise TypeError(f"metadata key must be str, got {type(key).__name__}")
    if _is_binary(key):
        if not isinstance(value, bytes):
            raise TypeError(f"binary metadata {key!r} must be bytes, got {type(value).__name__}")
        return Metadatum(key, value)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    elif not isinstance(value, str):
        raise TypeError(f"metadata {key!r} must be str or bytes, got {type(value).__name__}")
    if not (value.isascii() and value.isprintable()):
        raise grpc.aio.InternalError(f"illegal value for metadata {key!r}")
    return Metadatum(key, value)
