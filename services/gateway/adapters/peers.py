"""The Peers port over the other gateways' CompletionService."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from llmhub.completion.v1.completion_service_pb2 import (
    CancelRequest,
    GetDecisionRequest,
    GetDecisionResponse,
)
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from services.runtime.errors import RequestNotFound
from services.runtime.interceptors.identity import KEY_NAMES

ASKED_BY_PEER = "x-llmhub-peer"
"""Marks a question from one gateway to another, which is not passed on again. The edge strips it from outside calls."""

_KEYS = KEY_NAMES | {"authorization"}
_SECONDS = 2.0

Metadata = Sequence[tuple[str, str | bytes]]


class StubPeers:
    """Asks each peer in turn, with the caller's own credentials; see ports.Peers."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._stubs = [CompletionServiceStub(channel) for channel in channels]

    async def cancel(self, request: CancelRequest, metadata: Metadata) -> None:
        """Ask each peer to cancel."""
        passed = _passed(metadata)
        for stub in self._stubs if passed is not None else ():
            try:
                await stub.Cancel(request, metadata=passed, timeout=_SECONDS)
            except grpc.aio.AioRpcError:
                continue
            return
        raise _not_found(request.request_id)

    async def decision(self, request: GetDecisionRequest, metadata: Metadata) -> GetDecisionResponse:
        """Return the first peer's answer."""
        passed = _passed(metadata)
        for stub in self._stubs if passed is not None else ():
            try:
                return await stub.GetDecision(request, metadata=passed, timeout=_SECONDS)
            except grpc.aio.AioRpcError:
                continue
        raise _not_found(request.request_id)


def _passed(metadata: Metadata) -> tuple[tuple[str, str | bytes], ...] | None:
    """Return what goes along, or None for a question that came from a peer already."""
    if any(name == ASKED_BY_PEER for name, _ in metadata):
        return None
    keys = tuple((name, value) for name, value in metadata if name in _KEYS)
    return (*keys, (ASKED_BY_PEER, "1"))


def _not_found(request_id: str) -> RequestNotFound:
    return RequestNotFound(f"no running or recent call has request id {request_id}", request_id=request_id)
