"""A gateway that dies: records attempts and says on standard output what was durable. Run as a module with a path."""

import asyncio
import os
import sys
from pathlib import Path

from services.gateway.adapters.outbox import OutboxOptions, open_outbox
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import finish, intent, progress


def say(word: str, event_id: str) -> None:
    os.write(1, f"{word} {event_id}\n".encode())


async def main(path: Path) -> None:
    async with open_outbox(path, OutboxOptions(ballast_bytes=0, open_limit=64, trim_seconds=0.01)) as outbox:

        async def attempts(number: int) -> None:
            while True:
                event_id = new_id()
                begun = intent()
                await outbox.intent(event_id, begun)
                say("intent", event_id)
                if number == 0:
                    continue
                outbox.sent(event_id)
                say("sent", event_id)
                outbox.progress(event_id, progress(3))
                await outbox.finish(event_id, finish(begun))
                say("finish", event_id)
                if number == 1:
                    outbox.acknowledge(outbox.last_sequence - 50)

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(attempts(number))


asyncio.run(main(Path(sys.argv[1])))
