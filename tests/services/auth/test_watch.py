"""AuthService.WatchKeys: changes as they are committed, and beats while nothing can be missed."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from llmhub.auth.v1 import auth_service_pb2 as auth_pb
from llmhub.auth.v1 import key_service_pb2 as pb
from services.auth.domain.policy import OPERATOR
from services.auth.keyring import OPERATOR_CALLER, Draft
from services.auth.ports import Changes
from services.auth.watch import BATCH, QUEUE_LENGTH, KeyFeed
from services.runtime.errors import KeyRevoked, Overloaded, ShuttingDown, StorageUnavailable
from services.runtime.key_cache import KeyCache
from services.runtime.status import from_rpc_error
from tests.services.auth.harness import Auth, served
from tests.support.auth_store import sqlite_store
from tests.support.fakes_auth import FakeKeyStore

NEVER = 3600.0


async def watch(auth: Auth) -> Any:
    """A running watch whose first sign of life has come."""
    call = auth.auth.WatchKeys(auth_pb.WatchKeysRequest())
    assert await next_message(call) == []
    return call


async def next_message(call: Any) -> list[str]:
    async with asyncio.timeout(5):
        message = await call.read()
    assert isinstance(message, auth_pb.WatchKeysResponse)
    return list(message.key_ids)


async def next_change(call: Any) -> list[str]:
    while not (key_ids := await next_message(call)):
        pass
    return key_ids


async def test_a_watcher_is_greeted_at_once_and_told_of_each_commit_without_waiting_for_a_poll() -> None:
    async with served(poll=NEVER, beat=NEVER) as auth:
        call = await watch(auth)
        made = await auth.create()
        assert await next_message(call) == [made.key.key_id]
        await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=made.key.key_id))
        assert await next_message(call) == [made.key.key_id]
        await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
        assert await next_message(call) == [made.key.key_id]


async def test_beats_come_while_nothing_changes() -> None:
    async with served(poll=0.005, beat=0.005) as auth:
        call = await watch(auth)
        assert [await next_message(call) for _ in range(5)] == [[]] * 5


async def test_changes_by_another_process_are_seen(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(sqlite_store(tmp_path / "auth.db"))
        other = await stack.enter_async_context(sqlite_store(tmp_path / "auth.db"))
        served_here = await stack.enter_async_context(served(here))
        call = await watch(served_here)
        async with served(other, poll=NEVER, beat=NEVER) as elsewhere:
            made = await elsewhere.create()
            assert await next_change(call) == [made.key.key_id]
            await elsewhere.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
            assert await next_change(call) == [made.key.key_id]


class FailingStore(FakeKeyStore):
    failing = False
    reads = 0

    async def changes_since(self, revision: int, limit: int) -> Changes:
        self.reads += 1
        if self.failing:
            raise StorageUnavailable("no database")
        return await super().changes_since(revision, limit)


async def test_no_beat_comes_while_changes_cannot_be_read_and_none_is_lost() -> None:
    store = FailingStore()
    feed = KeyFeed(store, poll=0.001, beat=0.001)
    async with served(store) as auth, feed.running():
        with feed.watch() as watcher:
            messages = aiter(watcher)
            assert await anext(messages) == ()
            store.failing = True
            made = await auth.create()
            reads = store.reads
            seen: list[tuple[str, ...]] = []
            reader = asyncio.create_task(collect(messages, seen))
            while store.reads < reads + 20:
                await asyncio.sleep(0)
            # One beat may have been on its way when the store failed.
            assert set(seen) <= {()}
            assert len(seen) <= 1
            store.failing = False
            await reader
            assert seen[-1] == (made.key.key_id,)


async def collect(messages: Any, seen: list[tuple[str, ...]]) -> None:
    async with asyncio.timeout(5):
        async for key_ids in messages:
            seen.append(key_ids)
            if key_ids:
                return


async def test_a_watcher_that_does_not_read_is_dropped_and_others_are_not() -> None:
    store = FakeKeyStore()
    feed = KeyFeed(store, poll=NEVER, beat=NEVER)
    async with served(store) as auth, feed.running():
        with feed.watch() as slow, feed.watch() as quick:
            messages = aiter(quick)
            assert await anext(messages) == ()
            for _ in range(QUEUE_LENGTH + 1):
                made = await auth.create()
                feed.nudge()
                assert await anext(messages) == (made.key.key_id,)
            with pytest.raises(Overloaded):
                await anext(aiter(slow))


async def test_more_changes_than_one_batch_all_arrive() -> None:
    store = FakeKeyStore()
    feed = KeyFeed(store, poll=NEVER, beat=NEVER)
    async with served(store) as auth, feed.running():
        with feed.watch() as watcher:
            messages = aiter(watcher)
            assert await anext(messages) == ()
            draft = Draft("many", OPERATOR)
            made = [(await auth.keyring.create(OPERATOR_CALLER, draft))[0].key_id for _ in range(BATCH + 3)]
            feed.nudge()
            assert [*await anext(messages), *await anext(messages)] == made


async def test_who_leaves_is_forgotten() -> None:
    async with served(poll=0.001, beat=0.001) as auth:
        call = await watch(auth)
        call.cancel()
        async with asyncio.timeout(5):
            while auth.feed.watchers:
                await asyncio.sleep(0.001)


async def test_a_drain_ends_every_watch_and_refuses_new_ones() -> None:
    async with served() as auth:
        call = await watch(auth)
        auth.feed.close()
        for ended in (call, auth.auth.WatchKeys(auth_pb.WatchKeysRequest())):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                while True:
                    await next_message(ended)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert isinstance(from_rpc_error(caught.value), ShuttingDown)


async def test_a_cache_refuses_a_revoked_key_within_a_second() -> None:
    async with served(poll=NEVER, beat=0.2) as auth:
        made = await auth.create()
        async with KeyCache(auth.channel) as cache:
            assert (await cache.authenticate(made.secret)).key_id == made.key.key_id
            await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
            with pytest.raises(KeyRevoked):
                async with asyncio.timeout(1):
                    while True:
                        await cache.authenticate(made.secret)
                        await asyncio.sleep(0.001)
