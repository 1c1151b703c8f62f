"""AuthService: verifies keys for the other services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from llmhub.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from services.auth.keyring import Keyring
from services.auth.servicers.convert import to_principal
from services.auth.watch import KeyFeed


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    """Serves llmhub.auth.v1.AuthService."""

    def __init__(self, keyring: Keyring, feed: KeyFeed) -> None:
        self._keyring = keyring
        self._feed = feed

    async def VerifyKey(
        self, request: auth_service_pb2.VerifyKeyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> auth_service_pb2.VerifyKeyResponse:
        """Resolve a secret to its principal."""
        key, secret = await self._keyring.verify(request.key)
        return auth_service_pb2.VerifyKeyResponse(
            principal=to_principal(key), secret_valid_until_ms=secret.valid_until or 0
        )

    async def WatchKeys(
        self, request: auth_service_pb2.WatchKeysRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[auth_service_pb2.WatchKeysResponse]:
        """Send every change as it is committed, and beats."""
        with self._feed.watch() as watcher:
            async for key_ids in watcher:
                yield auth_service_pb2.WatchKeysResponse(key_ids=key_ids)
