"""Recordings counted by what tests hold them to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.claims import CLAIMS, COLUMNS, held
from tests.support.exchanges import FOLDER


@dataclass(frozen=True, slots=True)
class Known:
    """One recording, as far as the table needs it."""

    name: str
    provider: str
    endpoint: str
    features: tuple[str, ...]
    asked: bool
    """Its request was kept."""
    members: frozenset[str]
    """Of its request."""
    status: int


def recordings() -> list[Known]:
    """Return all recordings by name."""
    return [_known(file) for file in sorted(FOLDER.glob("*/*.json"))]


def _known(file: Path) -> Known:
    raw = json.loads(file.read_bytes())
    body = (raw["request"] or {}).get("body")
    return Known(
        name=f"{file.parent.name}/{file.stem[:3]}",
        provider=raw["provider"],
        endpoint=raw["endpoint"],
        features=tuple(raw["features"]),
        asked=isinstance(body, dict),
        members=frozenset(body if isinstance(body, dict) else ()),
        status=raw["response"]["status"],
    )


def listed() -> dict[str, set[str]]:
    """Return the recordings that each claim's tests are run on."""
    return {claim: {name for name, _, _ in held(claim)} for claim in CLAIMS}


def failures() -> list[str]:
    """Run all tests that need nothing but a recording, and name those that fail."""
    return [
        f"{test}: {name}"
        for claim in CLAIMS
        for name, test, run in held(claim)
        if run is not None and not _passes(run)
    ]


def _passes(run: Callable[[], None]) -> bool:
    try:
        run()
    except Exception:  # noqa: BLE001 (whatever a test raises, it has not passed)
        return False
    return True


def columns() -> dict[str, set[str]]:
    """Return the recordings of each column."""
    found = listed()
    silent = {known.name for known in recordings() if not known.asked}
    codecs = found["relayed answer"] & (found["relayed request"] | silent)
    return {"relay": codecs | found["edge"]} | {name: found[name] for name in COLUMNS if name in found}
