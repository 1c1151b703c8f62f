"""The edge's access log between two moments, without the tests' own calls."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.mesh import envoy_admin
from tests.support.mesh import Mesh

SECONDS: Final = 10.0
_OURS: Final = ("/health", "/llmhub.")


@dataclass(frozen=True, slots=True)
class Line:
    """One call."""

    method: str
    path: str
    status: int


class EdgeLog:
    """Remembers where it was made."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._file: Path = mesh.data / "log" / "edge-access.log"
        self._start = self._now()

    def lines(self) -> list[Line]:
        """Return the calls since then."""
        end = self._now()
        entries = self._entries()[self._start : end]
        lines = (Line(each["method"], each["path"], each["status"]) for each in entries)
        return [line for line in lines if not line.path.startswith(_OURS)]

    def _now(self) -> int:
        """Return how many calls there have been. A call of ours marks the place, for Envoy writes a moment later."""
        mark = str(uuid.uuid4())
        call = urllib.request.Request(f"{self._mesh.base_url}/health", headers={"x-request-id": mark})
        with urllib.request.urlopen(call, timeout=SECONDS):
            pass
        until = time.monotonic() + SECONDS
        while True:
            asyncio.run(
                envoy_admin.call(self._mesh.data / "run" / "envoy-admin.sock", "POST", "/reopen_logs")
            )
            for number, entry in enumerate(self._entries(), 1):
                if entry.get("caller_request_id") == mark:
                    return number
            assert time.monotonic() < until, f"{self._file} does not grow"
            time.sleep(0.02)  # nothing tells when Envoy has written

    def _entries(self) -> list[dict[str, Any]]:
        with self._file.open("rb") as log:
            return [json.loads(line) for line in log if line.endswith(b"\n")]
