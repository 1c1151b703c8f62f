from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.types.v1.access_pb2 import SCOPE_ADMIN, SCOPE_USAGE_READ
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from llmhub.usage.v1 import usage_service_pb2 as pb
from llmhub.usage.v1.metering_service_pb2_grpc import MeteringServiceStub
from llmhub.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from services.billing.settings import BillingSettings, PricedProvider, PriceOverride
from services.runtime.context import Principal
from services.runtime.status import from_rpc_error
from tests.adapters.billing.usage_records import NOON, finished, message
from tests.services.billing.harness import CallerInterceptor, served

ADMIN = Principal("key-0", scopes=frozenset({SCOPE_USAGE_READ, SCOPE_ADMIN}))
OWNER = Principal("key-1", scopes=frozenset({SCOPE_USAGE_READ}))


@dataclass
class Client:
    usage: UsageServiceStub
    caller: CallerInterceptor


@asynccontextmanager
async def filled(settings: BillingSettings, socket: Path) -> AsyncIterator[Client]:
    entries = [
        finished("a", 1, at=NOON, usage=Usage(input_tokens=1000, output_tokens=100, measure=MEASURE_VENDOR)),
        finished("b", 2, at=NOON + 10, key_id="key-2"),
        finished("c", 3, at=NOON + 20, provider="acme", model="m"),
        finished("d", 4, at=NOON - 86_400, provider="local", model="llama"),
        finished("e", 5, at=NOON + 30, outcome=4, usage=Usage()),
    ]
    settings = settings.model_copy(
        update={
            "providers": {"local": PricedProvider(dialect="openai")},
            "overrides": (PriceOverride(provider="local", free=True),),
        }
    )
    async with (
        served(settings, socket) as caller,
        grpc.aio.insecure_channel(f"unix:{socket}") as channel,
    ):
        ingest = MeteringServiceStub(channel).IngestUsage(iter([message(entries)]))
        assert [ack.contiguous_sequence async for ack in ingest] == [5]
        caller.principal = ADMIN
        yield Client(UsageServiceStub(channel), caller)


async def test_a_record_has_everything_that_was_metered(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        answer = await client.usage.ListUsage(pb.ListUsageRequest())
        by_id = {record.event_id: record for record in answer.records}
        assert [record.event_id for record in answer.records] == ["e", "c", "b", "a", "d"]
        record = by_id["a"]
        assert record.usage == Usage(input_tokens=1000, output_tokens=100, measure=MEASURE_VENDOR)
        assert (record.cost.currency_code, record.cost.units, record.cost.nanos) == ("USD", 0, 210_000)
        assert record.price_state == pb.PRICE_STATE_PRICED
        assert record.price_version.endswith("openai/gpt-4o-mini")
        assert record.started_at == Timestamp(seconds=NOON)
        assert (record.duration.ToMilliseconds(), record.first_token.ToMilliseconds()) == (2500, 300)
        assert (record.key_id, record.requested_model, record.door, record.attempt) == (
            "key-1",
            "fast",
            "openai",
            1,
        )
        assert record.recorded_at.seconds > NOON
        assert by_id["c"].price_state == pb.PRICE_STATE_UNKNOWN
        assert not by_id["c"].HasField("cost")
        assert by_id["d"].price_state == pb.PRICE_STATE_FREE
        assert by_id["d"].HasField("cost")


async def test_pages(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        seen: list[str] = []
        token = ""
        while True:
            answer = await client.usage.ListUsage(pb.ListUsageRequest(page_size=2, page_token=token))
            seen += [record.event_id for record in answer.records]
            token = answer.next_page_token
            if not token:
                break
        assert seen == ["e", "c", "b", "a", "d"]


async def test_a_token_belongs_to_its_query(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        answer = await client.usage.ListUsage(pb.ListUsageRequest(page_size=2))
        other = pb.ListUsageRequest(
            page_token=answer.next_page_token, filter=pb.UsageFilter(provider="openai")
        )
        for request in (other, pb.ListUsageRequest(page_token="made-up")):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.usage.ListUsage(request)
            assert from_rpc_error(refused.value).reason == "PAGE_TOKEN_INVALID"


async def test_a_key_sees_its_own_usage_only(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        client.caller.principal = OWNER
        mine = await client.usage.ListUsage(pb.ListUsageRequest())
        assert {record.key_id for record in mine.records} == {"key-1"}
        summed = await client.usage.AggregateUsage(pb.AggregateUsageRequest())
        assert [group.attempts for group in summed.aggregates] == [4]
        for call, request in (
            (client.usage.ListUsage, pb.ListUsageRequest(filter=pb.UsageFilter(key_id="key-2"))),
            (client.usage.AggregateUsage, pb.AggregateUsageRequest(filter=pb.UsageFilter(key_id="key-2"))),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request)  # type: ignore[arg-type]
            assert from_rpc_error(refused.value).reason == "SCOPE_DENIED"


async def test_nobody_sees_nothing(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        client.caller.principal = None
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.usage.ListUsage(pb.ListUsageRequest())
        assert from_rpc_error(refused.value).reason == "KEY_MISSING"


async def test_sums_name_what_has_no_price(settings: BillingSettings, socket: Path) -> None:
    async with filled(settings, socket) as client:
        request = pb.AggregateUsageRequest(group_by=[pb.DIMENSION_DAY, pb.DIMENSION_PROVIDER])
        answer = await client.usage.AggregateUsage(request)
        found = {(a.day, a.provider): a for a in answer.aggregates}
        assert list(found) == [("2026-09-20", "local"), ("2026-09-21", "acme"), ("2026-09-21", "openai")]
        assert found["2026-09-21", "acme"].unpriced_attempts == 1
        openai = found["2026-09-21", "openai"]
        assert (openai.attempts, openai.failed_attempts, openai.cost.nanos) == (3, 1, 420_000)
        assert openai.usage.input_tokens == 2000
        assert openai.key_id == ""
