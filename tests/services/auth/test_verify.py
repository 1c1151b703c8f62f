"""AuthService.VerifyKey: which texts are somebody's key."""

from collections.abc import Sequence

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.auth.v1 import key_service_pb2 as pb
from llmhub.auth.v1 import principal_pb2
from llmhub.types.v1 import access_pb2 as access
from services.auth.domain.api_key import ApiKey
from services.auth.domain.key import Digest
from services.auth.ports import KeyStore
from tests.services.auth.harness import Auth, refused, served
from tests.support.fakes_auth import FakeKeyStore

INVALID = (grpc.StatusCode.UNAUTHENTICATED, "KEY_INVALID")


class CountingStore(FakeKeyStore):
    lookups = 0

    async def find(self, digests: Sequence[Digest]) -> ApiKey | None:
        self.lookups += 1
        return await super().find(digests)


async def test_a_key_resolves_to_its_principal() -> None:
    async with served() as auth:
        end = Timestamp()
        end.FromMilliseconds(auth.clock.ms() + 1500)
        made = await auth.create(
            "ci", scopes=[access.SCOPE_INFERENCE], models=["a/*"], environment="test", expires_at=end
        )
        answer = await auth.verify(made.secret)
        assert answer.secret_valid_until_ms == 0
        assert answer.principal == principal_pb2.Principal(
            key_id=made.key.key_id,
            name="ci",
            scopes=[access.SCOPE_INFERENCE],
            models=["a/*"],
            version=1,
            expires_at=end,
            environment="test",
        )


async def test_an_expired_key_is_refused_as_such() -> None:
    async with served() as auth:
        end = Timestamp()
        end.FromMilliseconds(auth.clock.ms() + 1500)
        made = await auth.create(expires_at=end)
        auth.clock.time += 1.5
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_EXPIRED") as metadata:
            await auth.verify(made.secret)
        assert metadata == {"key_id": made.key.key_id}


async def test_junk_is_refused_without_asking_the_store() -> None:
    store = CountingStore()
    async with served(store) as auth:
        text = (await auth.create()).secret
        changed = text[:-1] + ("0" if text[-1] != "0" else "1")
        for junk in ("", "short", text[:-1], changed, text + "\n", "x" * 10_000):
            async with refused(*INVALID):
                await auth.verify(junk)
    assert store.lookups == 0


async def test_a_well_formed_key_of_another_installation_is_refused() -> None:
    async with served() as elsewhere:
        foreign = (await elsewhere.create()).secret
    async with served() as auth:
        async with refused(*INVALID):
            await auth.verify(foreign)
        async with refused(*INVALID):
            await auth.verify("sk-" + "x" * 40)


async def test_the_id_alone_opens_nothing() -> None:
    async with served() as auth:
        made, other = await auth.create(), await auth.create()
        parts, foreign = made.secret.split("_"), other.secret.split("_")
        async with refused(*INVALID):
            await auth.verify("_".join([*parts[:2], foreign[2], *parts[3:]]))


async def bootstrap_works(auth: Auth, text: str) -> bool:
    try:
        answer = await auth.verify(text)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED:
            raise
        return False
    return list(answer.principal.scopes) == [access.SCOPE_ADMIN]


@pytest.mark.parametrize(
    "text", ["b" * 32, "llmh_" + "b" * 40, "llmh_test_" + "_".join("abc"), "pass wörd " * 5]
)
async def test_any_text_can_be_the_bootstrap_key(text: str) -> None:
    async with served(bootstrap_key=text) as auth:
        assert await bootstrap_works(auth, text)
        assert not await bootstrap_works(auth, text + "x")


async def test_another_bootstrap_key_retires_the_former() -> None:
    store = FakeKeyStore()
    first, second = "a" * 40, "b" * 40
    for configured, works in ((first, [first]), (second, [second]), (first, [first]), ("", [])):
        async with served(store, bootstrap_key=configured) as auth:
            assert [text for text in (first, second) if await bootstrap_works(auth, text)] == works
            listed = (await auth.keys.ListKeys(pb.ListKeysRequest())).keys
            assert [key.key_id for key in listed] == ["bootstrap000"]


async def test_the_same_bootstrap_key_changes_nothing() -> None:
    store = FakeKeyStore()
    for _ in range(3):
        async with served(store, bootstrap_key="a" * 40) as auth:
            assert (await auth.verify("a" * 40)).principal.version == 1


async def test_a_revoked_bootstrap_key_stays_revoked_until_another_is_configured() -> None:
    store: KeyStore = FakeKeyStore()
    async with served(store, bootstrap_key="a" * 40) as auth:
        await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id="bootstrap000"))
    revoked = refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_REVOKED")
    async with served(store, bootstrap_key="a" * 40) as auth, revoked:
        await auth.verify("a" * 40)
    async with served(store, bootstrap_key="b" * 40) as auth:
        assert await bootstrap_works(auth, "b" * 40)
        assert not await bootstrap_works(auth, "a" * 40)


async def test_an_existing_key_can_become_the_bootstrap_key() -> None:
    store: KeyStore = FakeKeyStore()
    async with served(store, bootstrap_key="a" * 40) as auth:
        made = await auth.create("ordinary")
    async with served(store, bootstrap_key=made.secret) as auth:
        assert await bootstrap_works(auth, made.secret)
        assert not await bootstrap_works(auth, "a" * 40)
        assert (await auth.verify(made.secret)).principal.name == "ordinary"
