"""The outboxes on this disk: their state for the auditor, and those that no process owns any more."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.mesh.places import Places
from services.runtime.errors import StorageUnavailable
from services.runtime.log import get_logger

if TYPE_CHECKING:
    from services.billing.adapters.auditor import OutboxState
    from services.runtime.service import Channels

_LOGGER = get_logger(__name__)
_SHIP_SECONDS: Final = 60.0


def _files(places: Places) -> list[Path]:
    return sorted((places.data / "outbox").glob("worker-*/outbox.db"))


def states(places: Places) -> tuple[OutboxState, ...]:
    """Return what every outbox says of itself, without disturbing its owner."""
    from services.billing.adapters.auditor import OutboxState

    found: list[OutboxState] = []
    for path in _files(places):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            # One snapshot of both tables.
            connection.execute("BEGIN")
            meta: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta"))
            (last,) = connection.execute("SELECT max(last_sequence) FROM batch").fetchone()
        acknowledged = int(meta.get("acknowledged", "0"))
        if "producer_id" in meta:
            found.append(OutboxState(meta["producer_id"], max(acknowledged, last or 0), acknowledged))
    return tuple(found)


@asynccontextmanager
async def shipping_orphans(
    places: Places, channels: Channels, workers: int | None
) -> AsyncGenerator[None, None]:
    """In the background, carry to billing what workers from this number on left behind: they are not started any more.

    None: nothing is done.
    """
    orphans = [] if workers is None else [path for path in _files(places) if _number(path) >= workers]
    tasks = [asyncio.create_task(_ship(path, channels), name="ship-orphan") for path in orphans]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _number(path: Path) -> int:
    text = path.parent.name.removeprefix("worker-")
    return int(text) if text.isdecimal() else -1


async def _ship(path: Path, channels: Channels) -> None:
    from services.gateway.adapters.outbox import OutboxOptions, open_outbox
    from services.gateway.adapters.outbox_shipper import shipping

    try:
        async with (
            open_outbox(path, OutboxOptions(ballast_bytes=0)) as outbox,
            shipping(outbox, channels.to("billing")),
        ):
            done = await outbox.flush(_SHIP_SECONDS)
        _LOGGER.info("an outbox without a worker was shipped", worker=_number(path), state=done)
    except StorageUnavailable as error:
        _LOGGER.warning(
            "an outbox without a worker stays as it is", worker=_number(path), reason=error.reason
        )
    except Exception:
        _LOGGER.exception("an outbox without a worker stays as it is", worker=_number(path))
