import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from llmhub.types.v1.route_pb2 import OUTCOME_OK
from llmhub.usage.v1.metering_service_pb2 import Finish, Intent
from services.gateway.adapters.outbox import OutboxOptions, open_outbox
from services.runtime.errors import StorageUnavailable
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import entries, finish, intent

RUNNING = 200
OPTIONS = OutboxOptions(open_limit=1000, ballast_bytes=600_000, probe_seconds=0.02, trim_seconds=0.02)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("run as root to mount the small disk that this test fills")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"allow mounts to run this test on a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_refuses_new_calls_ends_running_ones_and_passes(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    async with open_outbox(path, OPTIONS) as outbox:
        running = await fill(outbox.intent, outbox.finish)
        assert not outbox.stats().ready
        await asyncio.gather(*(outbox.finish(event_id, finish()) for event_id in running))
        ended = {e.event_id for e in entries(path) if e.finish.outcome == OUTCOME_OK}
        assert set(running) <= ended
        outbox.acknowledge(outbox.last_sequence)
        async with asyncio.timeout(10):
            while not outbox.stats().ready:
                await asyncio.sleep(0.005)
        await outbox.intent("after", intent())
        await outbox.finish("after", finish())
    numbers = [e.sequence for e in entries(path)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def fill(
    begin: Callable[[str, Intent], Awaitable[None]], end: Callable[[str, Finish], Awaitable[None]]
) -> list[str]:
    """Begin and end attempts until the disk is full; those that run then."""
    running: list[str] = []
    for _ in range(10_000):
        event_id = new_id()
        try:
            await begin(event_id, intent())
        except StorageUnavailable:
            return running
        running.append(event_id)
        if len(running) > RUNNING:
            await end(running.pop(0), finish())
    raise AssertionError("the disk did not fill")
