"""Issue 2, item 7: a worker that ends under load takes no call with it that had not started."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.crash.victims import child_with, until_gone
from tests.failures.table import good
from tests.shapes.conftest import small
from tests.support.doors import every_door
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.traffic import Asked, Traffic
from tests.support.world import configuration


@pytest.fixture(scope="module")
def two_workers(replay: Replay, closed_port: int) -> Iterator[Mesh]:
    folder = Path(tempfile.mkdtemp(prefix="lh-", dir="/tmp"))
    running = Mesh(folder, small(configuration(replay, closed_port=closed_port))).up("--workers", "2")
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


def under_load(mesh: Mesh, replay: Replay, number: signal.Signals) -> tuple[float, list[Asked]]:
    """Send a worker the signal while every door is busy; return when, and all calls until its successor is there."""
    supervisor = mesh.processes[0].child.pid
    with (
        grpc.insecure_channel(mesh.target) as channel,
        every_door(mesh.base_url, channel, ADMIN_KEY) as doors,
    ):
        for door in doors:
            replay.answer("openai", f"busy-{door.name}", good("openai", stream=door.name.endswith("-stream")))
        wholes = [door for door in doors if door.name in {"openai", "anthropic", "grpc", "rest"}]
        with Traffic(wholes, "openai/busy-openai") as traffic:
            traffic.wait_for(10)
            victim = child_with(supervisor, "worker-0/2")
            sent = time.monotonic()
            os.kill(victim[0], number)
            until_gone([victim])
            traffic.wait_for(30, since=time.monotonic())
            return sent, traffic.stop()


@pytest.mark.usefixtures("clean_wire")
def test_sigterm_loses_nothing(two_workers: Mesh, replay: Replay) -> None:
    _, calls = under_load(two_workers, replay, signal.SIGTERM)
    assert [asked for asked in calls if not asked.outcome.clean] == []


@pytest.mark.usefixtures("clean_wire")
def test_kill_loses_only_what_was_running(two_workers: Mesh, replay: Replay) -> None:
    killed, calls = under_load(two_workers, replay, signal.SIGKILL)
    lost = [asked for asked in calls if not asked.outcome.clean]
    assert [asked for asked in lost if asked.began > killed] == []
    # One call per door was running at most, and about half of them on the other worker.
    assert len(lost) <= 4
