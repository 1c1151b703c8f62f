"""What was booked, read through UsageService as anybody would."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

import grpc

from llmhub.usage.v1.usage_service_pb2 import ListUsageRequest, UsageFilter, UsageRecord
from llmhub.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.support.mesh import ADMIN_KEY

Records = dict[str, list[UsageRecord]]
_FEW = 20
SECONDS = 15.0
"""Longest time a finished attempt may take to appear."""


class Books:
    """Usage rows by request id, attempts in their order."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Any = UsageServiceStub(cast(Any, channel))
        self._metadata = (("authorization", f"Bearer {ADMIN_KEY}"),)

    def of(self, request_id: str, attempts: int = 1) -> list[UsageRecord]:
        """Return the attempts of one request when so many are booked. Raises AssertionError when they never are."""
        return self.all({request_id: attempts})[request_id]

    def all(self, wanted: dict[str, int]) -> Records:
        """Return the attempts of many requests when each has at least as many as wanted."""
        until = time.monotonic() + SECONDS
        while True:
            found = self._read(wanted)
            missing = [each for each, attempts in wanted.items() if len(found[each]) < attempts]
            if not missing:
                return found
            if time.monotonic() > until:
                raise AssertionError(f"{len(missing)} requests are not booked, {missing[0]} among them")
            time.sleep(0.05)  # rows come in batches, and nothing tells when

    def _read(self, wanted: Iterable[str]) -> Records:
        ids = list(wanted)
        # A few requests are asked for one by one; of many, everything is read.
        queries = [UsageFilter(request_id=each) for each in ids] if len(ids) <= _FEW else [UsageFilter()]
        found: Records = defaultdict(list)
        for query in queries:
            for record in self._pages(query):
                found[record.request_id].append(record)
        for records in found.values():
            records.sort(key=lambda record: record.attempt)
        return found

    def _pages(self, query: UsageFilter) -> Iterator[UsageRecord]:
        token = ""
        while True:
            asked = ListUsageRequest(filter=query, page_size=1000, page_token=token)
            page = self._stub.ListUsage(asked, metadata=self._metadata, timeout=SECONDS)
            yield from page.records
            token = page.next_page_token
            if not token:
                return
