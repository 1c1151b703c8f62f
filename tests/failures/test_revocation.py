"""A key revoked while requests flow is refused within one second, on every door."""

from __future__ import annotations

import time

import grpc
import pytest

from tests.failures.table import good
from tests.support import keys
from tests.support.doors import every_door
from tests.support.mesh import Mesh
from tests.support.replay import Replay
from tests.support.traffic import Traffic

SECONDS = 1.0


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize("way", ["KeyService", "command"])
def test_a_revoked_key_is_refused_within_a_second(way: str, mesh: Mesh, replay: Replay) -> None:
    replay.answer("openai", "flowing", good("openai", stream=False))
    with grpc.insecure_channel(mesh.target) as channel:
        made = keys.create(channel, f"revoked by {way}")
        replay.keep_out(made.secret)
        with (
            every_door(mesh.base_url, channel, made.secret) as doors,
            Traffic(
                [door for door in doors if not door.name.endswith("-stream")], "openai/flowing"
            ) as traffic,
        ):
            traffic.wait_for(5)
            assert all(asked.outcome.clean for asked in traffic.asked())
            if way == "KeyService":
                keys.revoke(channel, made.key.key_id)
            else:
                keys.revoke_by_command(mesh, made.key.key_id)
            revoked = time.monotonic()
            traffic.wait_for(3, since=revoked + SECONDS)
            calls = traffic.stop()
    late = [asked for asked in calls if asked.began >= revoked + SECONDS]
    assert late
    assert [asked for asked in late if asked.outcome.status != 401] == []
    assert {asked.outcome.error for asked in late} == {"AuthenticationError", "UNAUTHENTICATED", "16"}
    assert {asked.outcome.reason for asked in late} == {"", "KEY_REVOKED"}
    last = max(asked.began for asked in calls if asked.outcome.clean)
    print(f"last accepted call by {way}: {(last - revoked) * 1000:.0f} ms after revocation")  # noqa: T201


def test_another_key_goes_on(mesh: Mesh, replay: Replay) -> None:
    replay.answer("openai", "flowing", good("openai", stream=False))
    with grpc.insecure_channel(mesh.target) as channel:
        ended, kept = keys.create(channel, "ended"), keys.create(channel, "kept")
        keys.revoke(channel, ended.key.key_id)
        with every_door(mesh.base_url, channel, kept.secret) as doors:
            assert all(
                door.ask("openai/flowing", "").clean for door in doors if door.name in {"openai", "grpc"}
            )
