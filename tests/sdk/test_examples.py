"""The examples run as their users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mesh import ADMIN_KEY, Mesh

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(example: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "sdk" / "python"), str(ROOT / "gen" / "python")])
    return subprocess.run(
        [sys.executable, str(example), *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_all_three_are_there() -> None:
    assert [example.name for example in EXAMPLES] == ["grpc_aio.py", "openai_sdk.py", "python_client.py"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example(example: Path, simulator: Mesh) -> None:
    done = run(example, LLMHUB_URL=simulator.base_url, LLMHUB_API_KEY=ADMIN_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Hello from ")
    asked = run(example, "sim/echo", "Is it you?", LLMHUB_URL=simulator.base_url, LLMHUB_API_KEY=ADMIN_KEY)
    assert asked.stdout.splitlines()[0] == "Is it you?"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example_without_a_key_says_what_to_do(example: Path, simulator: Mesh) -> None:
    done = run(example, LLMHUB_URL=simulator.base_url, LLMHUB_API_KEY="wrong")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "LLMHUB_API_KEY" in done.stderr
