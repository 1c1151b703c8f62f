"""Half a character: providers that cut text between two UTF-16 units send an escape that no decoder here takes."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|u[dD][c-fC-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = b"\\ufffd"


def mended(data: bytes) -> bytes:
    """JSON text with U+FFFD for each lone surrogate escape; the same object if there is none. Linear."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    fixed = _ESCAPE.sub(_mend, data)
    return data if fixed == data else fixed


def _mend(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    return (
        _REPLACEMENT if len(escape) == len(_REPLACEMENT) and escape[2:3] in b"dD" and not match[1] else escape
    )
