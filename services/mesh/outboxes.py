"""The outboxes on this disk: their state for the auditor, and those that no process owns any more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
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


async def ship_orphans(places: Places, channels: Channels, workers: int) -> None:
    """Carry to billing what workers have left behind that are not started any more (fewer workers than last time)."""
    from services.gateway.adapters.outbox import OutboxOptions, open_outbox
    from services.gateway.adapters.outbox_shipper import shipping

    for path in _files(places):
        number = path.parent.name.removeprefix("worker-")
        if not number.isdecimal() or int(number) < workers:
            continue
        try:
            async with (
                open_outbox(path, OutboxOptions(ballast_bytes=0)) as outbox,
                shipping(outbox, channels.to("billing")),
            ):
                flushed = await outbox.flush(_SHIP_SECONDS)
        except StorageUnavailable as error:
            _LOGGER.warning(
                "an outbox without a worker was left as it is", worker=int(number), reason=error.reason
            )
            continue
        _LOGGER.info(
            "an outbox without a worker was shipped", worker=int(number), state="done" if flushed else "open"
        )
