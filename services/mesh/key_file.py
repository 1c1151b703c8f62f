"""The first key, as auth keeps it for its operator."""

from __future__ import annotations

import contextlib
from typing import Final

from services.mesh.config import Config
from services.mesh.places import Places

_FILE: Final = "bootstrap.key"


def shown_key(config: Config, places: Places) -> str | None:
    """Return the administrator's key that can be shown: the configured one, else the one that auth made at first."""
    if config.auth.bootstrap_key is not None:
        return config.auth.bootstrap_key.get_secret_value()
    with contextlib.suppress(OSError):
        return (places.data / _FILE).read_text().strip() or None
    return None
