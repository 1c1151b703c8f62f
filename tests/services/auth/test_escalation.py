"""No sequence of calls gives a key's holder more than the key has."""

from dataclasses import replace

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.auth.v1 import key_service_pb2 as pb
from llmhub.types.v1 import access_pb2 as access
from tests.services.auth.harness import MANAGER, Auth, refused, served

DENIED = (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_DENIED")
MANAGER_SCOPES = [access.SCOPE_INFERENCE, access.SCOPE_KEYS_MANAGE]


async def manager(auth: Auth, **fields: object) -> pb.CreateKeyResponse:
    """Make a real key that manages keys, and act with it from now on."""
    made = await auth.create("manager", scopes=MANAGER_SCOPES, **fields)
    auth.acting_as(await auth.principal(made.secret))
    return made


async def update(auth: Auth, key_id: str, path: str, **fields: object) -> pb.UpdateKeyResponse:
    key = pb.Key(key_id=key_id, **fields)  # type: ignore[arg-type]
    return await auth.keys.UpdateKey(pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=[path])))


async def test_a_manager_mints_no_more_than_its_scopes() -> None:
    async with served() as auth:
        await manager(auth)
        await auth.create(scopes=MANAGER_SCOPES)
        for scope in (access.SCOPE_ADMIN, access.SCOPE_USAGE_READ):
            async with refused(*DENIED) as metadata:
                await auth.create(scopes=[*MANAGER_SCOPES, scope])
            assert metadata == {"scope": access.Scope.Name(scope).removeprefix("SCOPE_")}
        # The default scopes are a wish like any other: this key cannot read the catalogue.
        async with refused(*DENIED):
            await auth.create()


async def test_a_manager_widens_neither_itself_nor_what_it_made() -> None:
    async with served() as auth:
        own = await manager(auth, models=["openai/*"])
        other = await auth.create(scopes=[access.SCOPE_INFERENCE], models=["openai/gpt-4o"])
        for key_id in (own.key.key_id, other.key.key_id):
            async with refused(*DENIED):
                await update(auth, key_id, "scopes", scopes=[access.SCOPE_ADMIN])
            async with refused(*DENIED):
                await update(auth, key_id, "models", models=["*"])
            async with refused(*DENIED):
                await update(auth, key_id, "models")
        await update(auth, other.key.key_id, "models", models=["openai/*"])
        await update(auth, own.key.key_id, "scopes", scopes=[access.SCOPE_KEYS_MANAGE])


async def test_a_manager_touches_no_administrator() -> None:
    async with served() as auth:
        admin = await auth.create("admin", scopes=[access.SCOPE_ADMIN])
        await manager(auth)
        async with refused(*DENIED):
            await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=admin.key.key_id))
        async with refused(*DENIED):
            await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=admin.key.key_id))
        async with refused(*DENIED):
            await update(auth, admin.key.key_id, "scopes", scopes=[access.SCOPE_INFERENCE])
        async with refused(*DENIED):
            await update(auth, admin.key.key_id, "name", name="mine")
        assert (await auth.verify(admin.secret)).principal.version == 1


async def test_rotating_a_wider_key_would_hand_over_its_rights() -> None:
    async with served() as auth:
        wide = await auth.create(scopes=[access.SCOPE_INFERENCE])
        narrow = await auth.create(scopes=[access.SCOPE_INFERENCE], models=["openai/x"])
        await manager(auth, models=["openai/*"])
        async with refused(*DENIED):
            await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=wide.key.key_id))
        await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=narrow.key.key_id))
        # Ending a key gives nothing.
        await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id=wide.key.key_id))


async def test_a_key_that_expires_makes_and_takes_none_that_outlives_it() -> None:
    async with served() as auth:
        eternal = await auth.create(scopes=[access.SCOPE_INFERENCE])
        end = Timestamp()
        end.FromMilliseconds(auth.clock.ms() + 60_007)
        own = await manager(auth, expires_at=end)
        inference = [access.SCOPE_INFERENCE]
        async with refused(*DENIED):
            await auth.create(scopes=inference)
        async with refused(*DENIED):
            await auth.create(scopes=inference, expires_at=Timestamp(seconds=end.seconds + 1))
        made = await auth.create(scopes=inference, expires_at=end)
        for key_id in (own.key.key_id, made.key.key_id):
            async with refused(*DENIED):
                await update(auth, key_id, "expires_at")
        async with refused(*DENIED):
            await auth.keys.RotateKey(pb.RotateKeyRequest(key_id=eternal.key.key_id))


async def test_a_test_key_reaches_no_live_key() -> None:
    async with served() as auth:
        live = await auth.create(scopes=[access.SCOPE_INFERENCE])
        await manager(auth, environment="test")
        await auth.create(scopes=[access.SCOPE_INFERENCE], environment="test")
        for call in (
            auth.create(scopes=[access.SCOPE_INFERENCE]),
            auth.keys.RotateKey(pb.RotateKeyRequest(key_id=live.key.key_id)),
            update(auth, live.key.key_id, "name", name="mine"),
        ):
            async with refused(*DENIED):
                await call


async def test_the_bootstrap_key_can_be_ended_by_an_administrator_only_and_changed_by_none() -> None:
    async with served(bootstrap_key="b" * 40) as auth:
        request = pb.RotateKeyRequest(key_id="bootstrap000")
        async with refused(grpc.StatusCode.UNIMPLEMENTED, "OPERATION_UNSUPPORTED"):
            await auth.keys.RotateKey(request)
        async with refused(grpc.StatusCode.UNIMPLEMENTED, "OPERATION_UNSUPPORTED"):
            await update(auth, "bootstrap000", "name", name="x")
        auth.acting_as(replace(MANAGER))
        async with refused(*DENIED):
            await auth.keys.RevokeKey(pb.RevokeKeyRequest(key_id="bootstrap000"))
        await auth.verify("b" * 40)
