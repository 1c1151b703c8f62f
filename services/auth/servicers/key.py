"""KeyService: manages API keys."""

from __future__ import annotations

from typing import Any

import grpc.aio

from llmhub.auth.v1 import key_service_pb2 as pb
from llmhub.auth.v1 import key_service_pb2_grpc
from services.auth.keyring import Caller, Keyring
from services.auth.ports import KeyStore, Position
from services.auth.servicers.convert import caller_of, draft_from, edit_from, to_proto
from services.runtime import context as call
from services.runtime.clock import Clock
from services.runtime.errors import KeyMissing, PageTokenInvalid
from services.runtime.page_token import decode, encode

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE = 100
LARGEST_PAGE = 1000


class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    """Serves llmhub.auth.v1.KeyService. The identity interceptor has checked the scope; rights are checked here."""

    def __init__(self, keyring: Keyring, store: KeyStore, clock: Clock) -> None:
        self._keyring = keyring
        self._store = store
        self._clock = clock

    async def GetKey(self, request: pb.GetKeyRequest, context: Context) -> pb.GetKeyResponse:
        """Return one key."""
        return pb.GetKeyResponse(key=to_proto(await self._store.get(request.key_id)))

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        """Return a page of keys, newest first."""
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        # One more than asked tells whether this page is the last.
        keys = await self._store.page(size + 1, _position(request.page_token))
        response = pb.ListKeysResponse(keys=map(to_proto, keys[:size]))
        if len(keys) > size:
            last = keys[size - 1]
            response.next_page_token = encode({"at": last.created_at, "id": last.key_id}, _QUERY)
        return response

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        """Make a key; the answer alone has its secret."""
        key, secret = await self._keyring.create(_caller(), draft_from(request, self._now()))
        return pb.CreateKeyResponse(key=to_proto(key), secret=secret)

    async def UpdateKey(self, request: pb.UpdateKeyRequest, context: Context) -> pb.UpdateKeyResponse:
        """Change the fields that the mask names."""
        edit = edit_from(request.key, request.update_mask, self._now())
        return pb.UpdateKeyResponse(
            key=to_proto(await self._keyring.update(_caller(), request.key.key_id, edit))
        )

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        """Give a key a new secret."""
        overlap = max(0, request.overlap.ToMilliseconds())
        key, secret = await self._keyring.rotate(_caller(), request.key_id, overlap)
        return pb.RotateKeyResponse(key=to_proto(key), secret=secret)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        """End a key for good."""
        return pb.RevokeKeyResponse(key=to_proto(await self._keyring.revoke(_caller(), request.key_id)))

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


# A page continues at a key, whatever the size of the next page.
_QUERY = b"llmhub.auth.v1.KeyService/ListKeys"


def _position(token: str) -> Position | None:
    if not token:
        return None
    payload = decode(token, _QUERY)
    match payload:
        case {"at": int(at), "id": str(key_id)}:
            return Position(at, key_id)
        case _:
            raise PageTokenInvalid("the page token is not of this query")


def _caller() -> Caller:
    principal = call.principal.get()
    if principal is None:
        raise KeyMissing("no API key was sent")
    return caller_of(principal)
