"""`llmhub config check FILE`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def check(options: argparse.Namespace) -> int:
    """Print every fault of a file; what is only not configured is said, and is no fault."""
    from services.mesh import loading
    from services.mesh.resolve import providers_of

    path = Path(options.file)
    config = loading.load(path, os.environ, {})
    for name, provider in providers_of(config).items():
        state = f"not configured: {', '.join(provider.missing)}" if provider.missing else "configured"
        print(f"{path}: provider {name}: {state}")
    print(f"{path}: no faults")
    return 0
