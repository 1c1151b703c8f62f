"""Turns what went wrong into words and an exit code for the person at the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

FAILED: Final = 1
MISUSED: Final = 2


class Misuse(Exception):
    """The command cannot be run as it was given; says what to do."""


def explained(run: Callable[[], int]) -> int:
    """Run a command; an expected failure becomes one line, anything else a traceback."""
    try:
        return run()
    except Exception as error:
        code = _code(error)
        if code is None:
            raise
        print(f"llmhub: {error}", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        return 130


def _code(error: Exception) -> int | None:
    from services.mesh.front import PortTaken
    from services.mesh.places import PlacesUnusable
    from services.runtime.settings import ConfigError

    if isinstance(error, Misuse | PortTaken | PlacesUnusable):
        return MISUSED
    if isinstance(error, ConfigError):
        return FAILED
    from services.auth.adapters.pepper import PepperError
    from services.mesh.children import ChildFailed
    from services.mesh.envoy_process import EdgeFailed, EdgeInvalid
    from services.mesh.front_part import NotReady
    from services.runtime.addresses import AddressInvalid
    from services.runtime.database import DatabaseNewer
    from services.runtime.errors import LlmhubError

    expected = (
        ChildFailed,
        EdgeFailed,
        EdgeInvalid,
        NotReady,
        AddressInvalid,
        DatabaseNewer,
        LlmhubError,
        PepperError,
    )
    return FAILED if isinstance(error, expected) else None
