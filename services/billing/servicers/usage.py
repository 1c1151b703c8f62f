"""UsageService: reads what has been metered."""

from typing import Any

import grpc.aio

from llmhub.types.v1.access_pb2 import SCOPE_ADMIN
from llmhub.usage.v1 import usage_service_pb2 as pb
from llmhub.usage.v1.usage_service_pb2_grpc import UsageServiceServicer
from services.billing.ports import Filter, Group, Position, UsageBooks
from services.billing.servicers.convert import aggregate_to_proto, filter_from, record_to_proto
from services.runtime import context as call
from services.runtime import page_token
from services.runtime.errors import KeyMissing, PageTokenInvalid, ScopeDenied

Context = grpc.aio.ServicerContext[Any, Any]
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000


class UsageServicer(UsageServiceServicer):
    """Serves llmhub.usage.v1.UsageService. The scope was checked before; whose usage it is, is checked here."""

    def __init__(self, books: UsageBooks) -> None:
        self._books = books

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        """Return a page of attempts, newest first."""
        which = _visible(request.filter)
        query = _query(b"ListUsage", which, ())
        size = _size(request.page_size)
        after = _position(request.page_token, query) if request.page_token else None
        booked = await self._books.page(which, size + 1, after)
        response = pb.ListUsageResponse(records=[record_to_proto(one) for one in booked[:size]])
        if len(booked) > size:
            last = booked[size - 1].event
            response.next_page_token = page_token.encode({"at": last.started_at, "id": last.event_id}, query)
        return response

    async def AggregateUsage(
        self, request: pb.AggregateUsageRequest, context: Context
    ) -> pb.AggregateUsageResponse:
        """Return a page of groups, ordered by day, key, provider, model."""
        which = _visible(request.filter)
        by = frozenset(Group(dimension) for dimension in request.group_by)
        query = _query(b"AggregateUsage", which, tuple(sorted(by)))
        size = _size(request.page_size)
        after = _place(request.page_token, query) if request.page_token else None
        groups = await self._books.aggregate(which, by, size + 1, after)
        response = pb.AggregateUsageResponse(
            aggregates=[aggregate_to_proto(group) for group in groups[:size]]
        )
        if len(groups) > size:
            day, key_id, provider, model = groups[size - 1].place
            place: dict[str, str | int] = {"day": day, "key": key_id, "provider": provider, "model": model}
            response.next_page_token = page_token.encode(place, query)
        return response


def _visible(wanted: pb.UsageFilter) -> Filter:
    """A key sees its own usage; an administrator's sees all."""
    principal = call.principal.get()
    if principal is None:
        raise KeyMissing("no API key was sent")
    if SCOPE_ADMIN in principal.scopes:
        return filter_from(wanted, wanted.key_id)
    if wanted.key_id and wanted.key_id != principal.key_id:
        raise ScopeDenied("another key's usage is for administrators", scope="ADMIN")
    return filter_from(wanted, principal.key_id)


def _size(asked: int) -> int:
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def _query(method: bytes, which: Filter, by: tuple[Group, ...]) -> bytes:
    """Everything a page depends on but its size."""
    return method + repr((which, by)).encode()


def _position(token: str, query: bytes) -> Position:
    match page_token.decode(token, query):
        case {"at": int(at), "id": str(event_id)}:
            return Position(at, event_id)
        case _:
            raise PageTokenInvalid("the page token is not of this query")


def _place(token: str, query: bytes) -> tuple[str, str, str, str]:
    match page_token.decode(token, query):
        case {"day": str(day), "key": str(key_id), "provider": str(provider), "model": str(model)}:
            return (day, key_id, provider, model)
        case _:
            raise PageTokenInvalid("the page token is not of this query")
