"""Ports that nobody uses, below the range the kernel hands out to outgoing connections."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

_FIRST: Final = 11_000
_LAST: Final = 31_000
# Processes start at different places, so that two test runs rarely reach for the same port.
_NEXT = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """Return a loopback port that is free now."""
    for _ in range(_LAST - _FIRST):
        port = _FIRST + next(_NEXT) % (_LAST - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    message = "no port between 11000 and 31000 is free"
    raise RuntimeError(message)


class ClosedPort:
    """A port that stays ours and refuses every connection, because nobody listens on it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()
