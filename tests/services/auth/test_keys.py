"""KeyService as its clients see it."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.auth.v1 import key_service_pb2 as pb
from llmhub.types.v1 import access_pb2 as access
from services.runtime.key_format import key_id_of
from tests.services.auth.harness import MANAGER, refused, served

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "KEY_NOT_FOUND")
REQUEST_ID = "0190b5a4-2f5e-7e3a-8c1d-3a2b1c0d9e8f"


def at(ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(ms)
    return time


async def test_a_created_key_is_shown_without_its_secret_ever_after() -> None:
    async with served() as auth:
        made = await auth.create(
            "ci", scopes=[access.SCOPE_USAGE_READ], models=["openai/*"], environment="test",
            expires_at=at(auth.clock.ms() + 5000),
        )  # fmt: skip
        assert key_id_of(made.secret) == made.key.key_id
        assert made.key == pb.Key(
            key_id=made.key.key_id, name="ci", scopes=[access.SCOPE_USAGE_READ], models=["openai/*"],
            environment="test", created_at=at(auth.clock.ms()), expires_at=at(auth.clock.ms() + 5000), version=1,
        )  # fmt: skip
        shown = await auth.keys.GetKey(pb.GetKeyRequest(key_id=made.key.key_id))
        assert shown.key == made.key


async def test_a_key_without_wishes_may_infer_and_read_the_catalogue_for_ever() -> None:
    async with served() as auth:
        key = (await auth.create()).key
        assert list(key.scopes) == [access.SCOPE_INFERENCE, access.SCOPE_CATALOG_READ]
        assert (key.environment, list(key.models), key.HasField("expires_at")) == ("live", [], False)


async def test_twenty_racing_creates_of_one_request_id_make_one_key() -> None:
    async with served() as auth:
        calls = [auth.create("x", request_id=REQUEST_ID.upper() if n % 2 else REQUEST_ID) for n in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        made = [outcome for outcome in outcomes if isinstance(outcome, pb.CreateKeyResponse)]
        assert len(made) == 1
        codes = {outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)}
        assert codes == {grpc.StatusCode.ALREADY_EXISTS}
        assert len((await auth.keys.ListKeys(pb.ListKeysRequest())).keys) == 1
        async with refused(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT") as metadata:
            await auth.create("x", request_id=REQUEST_ID)
        assert metadata == {"request_id": REQUEST_ID, "key_id": made[0].key.key_id}


async def test_pages_go_through_all_keys_newest_first() -> None:
    async with served() as auth:
        ids = []
        for number in range(7):
            auth.clock.time += number % 2
            ids.append((await auth.create(f"key {number}")).key.key_id)
        await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=ids[3]))
        found: list[pb.Key] = []
        token = ""
        while True:
            page = await auth.keys.ListKeys(pb.ListKeysRequest(page_size=3, page_token=token))
            found += page.keys
            token = page.next_page_token
            if not token:
                break
            assert len(page.keys) == 3
        assert sorted(ids) == sorted(key.key_id for key in found)
        times = [key.created_at.ToMilliseconds() for key in found]
        assert times == sorted(times, reverse=True)
        whole = await auth.keys.ListKeys(pb.ListKeysRequest(page_size=7))
        assert (list(whole.keys), whole.next_page_token) == (found, "")


async def test_a_foreign_page_token_is_refused() -> None:
    async with served() as auth, refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        await auth.keys.ListKeys(pb.ListKeysRequest(page_token="bm90IG91cnM"))


async def test_update_changes_what_the_mask_names_and_nothing_else() -> None:
    async with served() as auth:
        made = (await auth.create("old", expires_at=at(auth.clock.ms() + 1000))).key
        wish = pb.Key(key_id=made.key_id, name="new", models=["a/*"], environment="test", version=99)
        answer = await auth.keys.UpdateKey(
            pb.UpdateKeyRequest(key=wish, update_mask=FieldMask(paths=["name", "expires_at"]))
        )
        expected = pb.Key()
        expected.CopyFrom(made)
        expected.name, expected.version = "new", 2
        expected.ClearField("expires_at")
        assert answer.key == expected
        wish.scopes.append(access.SCOPE_INFERENCE)
        answer = await auth.keys.UpdateKey(pb.UpdateKeyRequest(key=wish, update_mask=FieldMask(paths=["*"])))
        assert (list(answer.key.models), list(answer.key.scopes)) == (["a/*"], [access.SCOPE_INFERENCE])
        assert answer.key.environment == "live"


@pytest.mark.parametrize(
    "path", ["key_id", "version", "revoked_at", "environment", "nonsense", "expires_at.seconds"]
)
async def test_only_four_fields_can_be_updated(path: str) -> None:
    async with served() as auth:
        made = (await auth.create()).key
        async with refused(*INVALID):
            await auth.keys.UpdateKey(pb.UpdateKeyRequest(key=made, update_mask=FieldMask(paths=[path])))


async def test_what_makes_no_sense_is_refused_with_its_field() -> None:
    async with served() as auth:
        made = (await auth.create()).key
        for field, key in {
            "name": pb.Key(key_id=made.key_id),
            "scopes": pb.Key(key_id=made.key_id),
            "expires_at": pb.Key(key_id=made.key_id, expires_at=at(auth.clock.ms())),
        }.items():
            async with refused(*INVALID):
                await auth.keys.UpdateKey(pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=[field])))
        for fields in (
            {"expires_at": at(auth.clock.ms())},
            {"expires_at": Timestamp(seconds=2**62)},
            {"expires_at": Timestamp(seconds=-(2**62))},
            {"models": ["a\0b"]},
        ):
            async with refused(*INVALID):
                await auth.create("name", **fields)
        async with refused(*INVALID):
            await auth.create("line\nbreak")


async def test_unknown_keys_are_not_found() -> None:
    async with served() as auth:
        async with refused(*NOT_FOUND):
            await auth.keys.GetKey(pb.GetKeyRequest(key_id="000000000000"))
        async with refused(*NOT_FOUND):
            await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id="000000000000"))
        async with refused(*NOT_FOUND):
            await auth.keys.RotateKey(pb.RotateKeyRequest(key_id="000000000000"))
        async with refused(*NOT_FOUND):
            await auth.keys.UpdateKey(
                pb.UpdateKeyRequest(
                    key=pb.Key(key_id="000000000000", name="x"), update_mask=FieldMask(paths=["name"])
                )
            )


async def test_rotation_without_overlap_ends_the_old_secret_at_once() -> None:
    async with served() as auth:
        made = await auth.create()
        rotated = await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=made.key.key_id))
        assert (rotated.key.key_id, rotated.key.version) == (made.key.key_id, 2)
        assert (await auth.verify(rotated.secret)).secret_valid_until_ms == 0
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_EXPIRED"):
            await auth.verify(made.secret)


async def test_in_the_overlap_both_secrets_work_and_never_a_third() -> None:
    async with served() as auth:
        made = await auth.create()
        request = pb.RotateKeyRequest(key_id=made.key.key_id, overlap=Duration(seconds=60))
        second = await auth.keys.RotateKey(request)
        until = auth.clock.ms() + 60_000
        assert (await auth.verify(made.secret)).secret_valid_until_ms == until
        assert (await auth.verify(second.secret)).secret_valid_until_ms == 0
        third = await auth.keys.RotateKey(request)
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_INVALID"):
            await auth.verify(made.secret)
        auth.clock.time += 59
        await auth.verify(second.secret)
        auth.clock.time += 1
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_EXPIRED"):
            await auth.verify(second.secret)
        await auth.verify(third.secret)


async def test_revoking_ends_every_secret_and_twice_is_no_error() -> None:
    async with served() as auth:
        made = await auth.create()
        rotate = pb.RotateKeyRequest(key_id=made.key.key_id, overlap=Duration(seconds=60))
        second = await auth.keys.RotateKey(rotate)
        first = await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
        auth.clock.time += 5
        again = await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
        assert again == first
        assert first.key.revoked_at.ToMilliseconds() == auth.clock.ms() - 5000
        for secret in (made.secret, second.secret):
            async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_REVOKED") as metadata:
                await auth.verify(secret)
            assert metadata == {"key_id": made.key.key_id}
        async with refused(grpc.StatusCode.FAILED_PRECONDITION, "KEY_REVOKED"):
            await auth.keys.RotateKey(rotate)
        async with refused(grpc.StatusCode.FAILED_PRECONDITION, "KEY_REVOKED"):
            await auth.keys.UpdateKey(
                pb.UpdateKeyRequest(
                    key=pb.Key(key_id=made.key.key_id, name="x"), update_mask=FieldMask(paths=["name"])
                )
            )


async def test_without_identity_nothing_is_changed() -> None:
    async with served() as auth:
        auth.acting_as(None)
        async with refused(grpc.StatusCode.UNAUTHENTICATED, "KEY_MISSING"):
            await auth.create()
        auth.acting_as(replace(MANAGER, scopes=frozenset()))
        async with refused(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_DENIED"):
            await auth.create()
