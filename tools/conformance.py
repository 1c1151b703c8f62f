"""Writes docs/conformance.md: which recordings pass which tests.

It runs those tests first, and writes nothing when one fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.conformance.document import render
from tests.conformance.table import failures

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "conformance.md"


def main() -> int:
    """Run, and write."""
    found = failures()
    for line in found:
        print(f"conformance: fails: {line}", file=sys.stderr)
    if not found:
        DOCUMENT.write_text(render())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
