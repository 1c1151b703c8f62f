"""Opens what the service and the operator's commands both stand on: the database, the peppers, the keyring."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from services.auth.adapters import pepper
from services.auth.adapters.key_store import SqlKeyStore
from services.auth.keyring import Keyring
from services.auth.ports import KeyStore, Randomness
from services.auth.settings import AuthSettings
from services.auth.watch import KeyFeed
from services.runtime.clock import Clock, SystemClock
from services.runtime.database import migrate, open_engine

SYSTEM_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class Opened:
    """The keys of an installation, and the feed of their changes, which does not run yet."""

    store: KeyStore
    keyring: Keyring
    feed: KeyFeed
    clock: Clock


@asynccontextmanager
async def opened(
    settings: AuthSettings, clock: Clock = SYSTEM_CLOCK, randomness: Randomness = secrets.token_bytes
) -> AsyncIterator[Opened]:
    """Bring the database to the newest schema and open the keys. Raises PepperError."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # On this thread: alembic keeps its state in globals, and another service may be migrating too.
    migrate(settings.url, "services.auth")
    engines = (open_engine(settings.url), open_engine(settings.url, writes=False))
    async with SqlKeyStore(*engines).opened() as store:
        feed = KeyFeed(store, poll=settings.poll_interval, beat=settings.beat_interval)
        keyring = Keyring(
            store,
            pepper.load(settings, await store.pepper_versions(), randomness),
            clock,
            randomness,
            bootstrap_key=settings.bootstrap_text,
            changed=feed.nudge,
        )
        yield Opened(store, keyring, feed, clock)
