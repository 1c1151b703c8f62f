"""`llmhub version`."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version(_options: argparse.Namespace) -> int:
    """Print the version."""
    try:
        print(installed("llmhub"))
    except PackageNotFoundError:
        print("unknown (not installed)")
    return 0
