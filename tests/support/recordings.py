"""The recordings of one dialect, ready for its codec's tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from services.dialects.sse import SseParser
from tests.support.exceptions import MISFILED
from tests.support.exchanges import Exchange, recorded


def recordings(*endpoints: str) -> list[Exchange]:
    """The recordings of these endpoints that are of their dialect."""
    return [each for each in recorded(*endpoints) if each.name not in MISFILED]


def frames(data: bytes) -> list[Any]:
    """The frames of a stream by value, `[DONE]` and comments left out."""
    return [json.loads(event.data) for event in SseParser().feed(data) if event.data != b"[DONE]"]


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The bytes cut at these places, in any order and repeated or not."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def awkward_cuts(data: bytes) -> list[int]:
    """Places inside characters of several bytes and between CR and LF."""
    inside = [n for n in range(1, len(data)) if data[n] & 0xC0 == 0x80]
    return inside + [n for n in range(1, len(data)) if data[n - 1 : n + 1] == b"\r\n"]
