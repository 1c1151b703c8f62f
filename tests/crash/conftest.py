"""Kill tests: a seed that can be repeated, a number of kills, and an installation of their own."""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.crash.load import Load
from tests.crash.scene import Scene
from tests.crash.script import configuration, play
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

KILLS = int(os.environ.get("LLMHUB_KILLS", "20"))
"""Of these the shape that most people run gets three fifths."""


@pytest.fixture
def chance() -> random.Random:
    """Chance that can be had again: a failed test shows the seed."""
    seed = int(os.environ.get("LLMHUB_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"to repeat: LLMHUB_SEED={seed}")  # noqa: T201 - pytest shows it where a test fails
    return random.Random(seed)


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, chance: random.Random, closed_port: int, tmp_path: Path
) -> Iterator[Scene]:
    shares = request.param
    with Replay() as replay:
        replay.keep_out(ADMIN_KEY)
        play(replay)
        mesh = Mesh(tmp_path, configuration(replay, closed_port))
        mesh.write_config()
        made = Scene(mesh, replay, chance, Load(mesh, chance), KILLS * shares // 5)
        yield made
        mesh.kill()
        assert replay.faults == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs to the report of a failed test."""
    report = yield
    made = getattr(item, "funcargs", {}).get("scene")
    if report.failed and report.when == "call" and isinstance(made, Scene):
        for log in sorted(made.mesh.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            report.sections.append((log.name, "\n".join(lines[-60:])))
    return report
