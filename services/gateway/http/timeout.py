"""The grpc-timeout header, which the HTTP door takes as well."""

from __future__ import annotations

import re

_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_FORM = re.compile(r"^([0-9]{1,8})([HMSmun])$")


def grpc_timeout(text: str | None) -> float | None:
    """Return the seconds a `grpc-timeout` value stands for; None where it is absent or malformed."""
    if text is None or (match := _FORM.match(text)) is None:
        return None
    return int(match.group(1)) * _UNITS[match.group(2)]
