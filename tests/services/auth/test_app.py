"""The whole service on its embedded defaults: a folder, SQLite, a pepper made on the first start."""

import asyncio
import io
import json
import logging
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from llmhub.auth.v1 import auth_service_pb2 as pb
from llmhub.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from llmhub.auth.v1.key_service_pb2 import CreateKeyRequest, RotateKeyRequest
from llmhub.auth.v1.key_service_pb2_grpc import KeyServiceStub
from llmhub.types.v1 import access_pb2 as access
from services.auth.adapters.pepper import PepperError
from services.auth.app import build, create_key, ensure_admin_key
from services.auth.settings import AuthSettings
from services.runtime.in_process.server import InProcessServer
from services.runtime.log import configure
from tests.services.auth.harness import Identity, refused, served
from tests.support.auth_store import sqlite_store


class NoChannels:
    """Auth calls no other service."""

    def to(self, service: str) -> grpc.aio.Channel:
        raise AssertionError(service)

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        raise AssertionError(provider)


@asynccontextmanager
async def channel_to(settings: AuthSettings) -> AsyncIterator[grpc.aio.Channel]:
    async with build(settings, NoChannels()) as hosted:
        server = InProcessServer([Identity()])
        hosted.register(server)
        async with server.channel() as channel:
            yield channel
        await hosted.drain()
        await server.stop(None)


@asynccontextmanager
async def running(settings: AuthSettings) -> AsyncIterator[AuthServiceStub]:
    async with channel_to(settings) as channel:
        yield AuthServiceStub(channel)


async def verify(stub: AuthServiceStub, text: str) -> pb.VerifyKeyResponse:
    return await stub.VerifyKey(pb.VerifyKeyRequest(key=text))


async def works(settings: AuthSettings, text: str) -> bool:
    async with running(settings) as stub:
        try:
            await verify(stub, text)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                raise
            return False
        return True


def settings(folder: Path, **fields: Any) -> AuthSettings:
    return AuthSettings(data_dir=folder / "data", **fields)


async def test_the_first_start_makes_one_administrator_whom_later_starts_show_again(tmp_path: Path) -> None:
    text = await ensure_admin_key(settings(tmp_path))
    assert text is not None
    file = tmp_path / "data" / "bootstrap.key"
    assert file.read_text() == text + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await ensure_admin_key(settings(tmp_path)) == text
    async with running(settings(tmp_path)) as stub:
        principal = (await verify(stub, text)).principal
        assert (list(principal.scopes), principal.name) == ([access.SCOPE_ADMIN], "administrator")
    assert await ensure_admin_key(settings(tmp_path)) == text


async def test_nothing_in_the_folder_is_readable_by_others(tmp_path: Path) -> None:
    await ensure_admin_key(settings(tmp_path))
    async with running(settings(tmp_path)):
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
    assert {"auth.db", "auth.pepper", "bootstrap.key"} <= set(modes)
    assert [name for name, mode in modes.items() if mode & 0o077] == []


async def test_without_its_file_the_first_key_is_not_shown_and_no_other_one_made(tmp_path: Path) -> None:
    text = await ensure_admin_key(settings(tmp_path))
    (tmp_path / "data" / "bootstrap.key").unlink()
    assert await ensure_admin_key(settings(tmp_path)) is None
    assert text is not None
    assert await works(settings(tmp_path), text)


async def test_a_start_that_died_between_file_and_database_is_completed(tmp_path: Path) -> None:
    text = await ensure_admin_key(settings(tmp_path))
    (tmp_path / "data" / "auth.db").unlink()
    assert await ensure_admin_key(settings(tmp_path)) == text
    (tmp_path / "data" / "auth.db").unlink()
    (tmp_path / "data" / "bootstrap.key").write_text("cut off")
    again = await ensure_admin_key(settings(tmp_path))
    assert again not in {None, text}


async def test_racing_first_starts_show_one_key(tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / str(number)
        texts = await asyncio.gather(*(ensure_admin_key(settings(folder)) for _ in range(8)))
        assert len(set(texts)) == 1
        assert texts[0] is not None


async def test_a_configured_bootstrap_key_is_the_one_to_show(tmp_path: Path) -> None:
    configured = settings(tmp_path, bootstrap_key="b" * 40)
    assert await ensure_admin_key(configured) == "b" * 40
    assert not (tmp_path / "data" / "bootstrap.key").exists()
    assert await works(configured, "b" * 40)
    # Taken out of the configuration, it opens nothing any more, and the first key is made after all.
    first = await ensure_admin_key(settings(tmp_path))
    assert first not in {None, "b" * 40}
    assert not await works(settings(tmp_path), "b" * 40)


def test_a_short_bootstrap_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bootstrap_key") as caught:
        settings(tmp_path, bootstrap_key="too-short-canary")
    assert "canary" not in str(caught.value)
    assert "b" * 40 not in repr(settings(tmp_path, bootstrap_key="b" * 40))


async def test_a_key_made_from_the_command_line_is_seen_by_the_running_service(tmp_path: Path) -> None:
    configured = settings(tmp_path, bootstrap_key="b" * 40, poll_interval=0.01)
    async with running(configured) as stub:
        call: Any = stub.WatchKeys(pb.WatchKeysRequest())
        assert list((await call.read()).key_ids) == []
        # The command may run without the service's environment.
        key_id, text = await create_key(settings(tmp_path), name="offline", models=["a/*"])
        async with asyncio.timeout(5):
            while key_id not in (await call.read()).key_ids:
                pass
        principal = (await verify(stub, text)).principal
        assert (principal.key_id, list(principal.models)) == (key_id, ["a/*"])
        await verify(stub, "b" * 40)
        call.cancel()


async def test_a_commit_of_this_process_is_told_without_waiting_for_a_poll(tmp_path: Path) -> None:
    async with channel_to(settings(tmp_path, poll_interval=10, beat_interval=10)) as channel:
        call: Any = AuthServiceStub(channel).WatchKeys(pb.WatchKeysRequest())
        assert list((await call.read()).key_ids) == []
        made = await KeyServiceStub(channel).CreateKey(CreateKeyRequest(name="key"))
        async with asyncio.timeout(5):
            assert list((await call.read()).key_ids) == [made.key.key_id]
        call.cancel()


async def test_a_lost_pepper_stops_the_start(tmp_path: Path) -> None:
    await ensure_admin_key(settings(tmp_path))
    (tmp_path / "data" / "auth.pepper").unlink()
    with pytest.raises(PepperError, match="Restore"):
        async with build(settings(tmp_path), NoChannels()):
            pass


async def test_no_secret_is_in_any_file_or_log(tmp_path: Path) -> None:
    """Every secret of a key's life is a canary."""
    canaries = ["canary-of-a-bootstrap-key-0123456789"]
    logs = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("DEBUG", logs, console=False)
    try:
        async with (
            sqlite_store(tmp_path / "auth.db") as store,
            served(store, bootstrap_key=canaries[0]) as auth,
        ):
            made = await auth.create("ordinary")
            rotated = await auth.keys.RotateKey(
                RotateKeyRequest(key_id=made.key.key_id, overlap=Duration(seconds=60))
            )
            canaries += [made.secret, rotated.secret]
            for text in canaries:
                await auth.verify(text)
            for text in (made.secret[:-1] + "!", canaries[0] + "!", made.secret + "\n"):
                async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_INVALID"):
                    await auth.verify(text)
            contents = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        contents += b"".join(file.read_bytes() for file in tmp_path.iterdir())
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert {"key created", "key rotated"} <= {line["event"] for line in lines}
    assert made.key.key_id.encode() in contents
    assert made.key.key_id in logs.getvalue()
    for text in canaries:
        # The random part, so that half a secret is found too.
        secret = text.split("_")[3] if "_" in text else text
        for piece in (text, secret[: len(secret) // 2], secret[len(secret) // 2 :]):
            assert piece.encode() not in contents
            assert piece not in logs.getvalue()
