"""What every door's client can do."""

from __future__ import annotations

import base64
from typing import Any, Final, Protocol

from tests.matrix.cases import Case

SECONDS: Final = 20.0


class Door(Protocol):
    """One official client of one way in."""

    name: str
    lacks: frozenset[str]
    """Facts of answers that it has no words for."""
    cannot_ask: frozenset[str]
    """Facts of questions that it has no words for."""

    id_for_none: str
    """`made` where a call must have an id, `none` where it need not."""

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        """Return the answer in the form of `cases.seen`; raises what the client raises."""
        ...

    async def begin(self, case: Case, model: str) -> None:
        """Read a stream up to its first text, and leave."""
        ...

    def failure(self, error: Exception) -> dict[str, Any]:
        """Return what an exception of the client tells."""
        ...

    async def close(self) -> None:
        """Close the client."""
        ...


def data_url(image: bytes) -> str:
    """Return an image as a URL."""
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def told(error: Exception, **more: Any) -> dict[str, Any]:
    """Return an exception by its name, with what is known of it."""
    return {
        "exception": type(error).__name__,
        **{name: each for name, each in more.items() if each is not None},
    }
