"""What lies beside a running attempt in a batch that is kept for its sake."""

import asyncio
from pathlib import Path

from services.gateway.adapters.outbox import OutboxOptions, open_outbox
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import entries, finish, intent

SMALL = OutboxOptions(ballast_bytes=0, open_limit=64, trim_seconds=0)


async def test_an_ended_attempt_does_not_end_again(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    running, ended = new_id(), new_id()
    async with open_outbox(path, SMALL) as outbox:
        await asyncio.gather(outbox.intent(running, intent()), outbox.intent(ended, intent()))
        await outbox.finish(ended, finish())
        outbox.acknowledge(outbox.last_sequence)
        while len(entries(path)) > 2:
            await asyncio.sleep(0.001)
        await outbox.record(new_id(), finish())
    assert {running, ended} <= {entry.event_id for entry in entries(path)}
    async with open_outbox(path, SMALL) as outbox:
        assert outbox.recovered_attempts == 1
        assert [entry.event_id for entry in entries(path)][-1] == running
