"""Golden files: one per adapter, every cell by door, case and manner; written on demand, compared otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "golden"
WRITE: Final = bool(os.environ.get("LLMHUB_WRITE_GOLDEN"))

Cells = dict[str, Any]
"""By case: `both` manners, or `whole` and `stream` where they differ."""


def folded(whole: Any, stream: Any) -> dict[str, Any]:
    """Return a case's cells, in one where both are the same."""
    return {"both": whole} if whole == stream else {"whole": whole, "stream": stream}


def departures(got: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as wanted, by field."""
    return {
        name: {"wanted": wanted.get(name), "got": value}
        for name, value in got.items()
        if value != wanted.get(name)
    }


def check(adapter: str, door: str, cells: Cells) -> None:
    """Compare a row with the golden one, or write it where that is asked for."""
    file = FOLDER / f"{adapter}.json"
    if not WRITE:
        assert departures(cells, json.loads(file.read_text())[door]) == {}, (
            "if this is better: LLMHUB_WRITE_GOLDEN=1"
        )
        return
    rows = json.loads(file.read_text()) if file.exists() else {}
    rows[door] = cells
    text = json.dumps(dict(sorted(rows.items())), indent=1, ensure_ascii=False)
    file.write_text(text + "\n")
