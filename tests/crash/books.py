"""What billing says, held against what callers, the provider and the wrecks say."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import grpc.aio

from llmhub.types.v1.route_pb2 import Outcome
from llmhub.types.v1.usage_pb2 import Measure
from llmhub.usage.v1.usage_service_pb2 import ListUsageRequest, UsageRecord
from llmhub.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.crash.callers import KEY, SECONDS, Call, End, channel_to
from tests.crash.script import ALIASES, TEXT, TEXT_OF, TOKENS_IN, TOKENS_OUT
from tests.crash.wreck import Wreck
from tests.support.journal import Arrival
from tests.support.mesh import Mesh

_REQUEST_ID: Final = re.compile(rb"call ([0-9a-f-]{36})")
_CHARACTERS_PER_TOKEN: Final = 4
_MOST_LOOKS: Final = 200


async def rows_of(mesh: Mesh) -> list[UsageRecord]:
    """Return every usage row, page by page through the front door."""
    rows: list[UsageRecord] = []
    async with channel_to(mesh) as channel:
        stub = UsageServiceStub(channel)
        token = ""
        while True:
            request = ListUsageRequest(page_size=1000, page_token=token)
            page = await stub.ListUsage(request, metadata=KEY, timeout=SECONDS)
            rows += page.records
            token = page.next_page_token
            if not token:
                return rows


@dataclass(slots=True)
class Evidence:
    """Everything that is known of a test's calls without asking billing."""

    calls: Sequence[Call]
    arrivals: Sequence[Arrival]
    wrecks: Sequence[Wreck]

    def sent(self) -> Counter[str]:
        """How many requests reached the provider, by request id."""
        found = (_REQUEST_ID.search(arrival.body) for arrival in self.arrivals)
        return Counter(match.group(1).decode() for match in found if match is not None)

    def recorded(self) -> set[str]:
        """The attempts whose intent some wreck holds."""
        return {event_id for wreck in self.wrecks for event_id in (*wreck.intents, *wreck.finishes)}


async def settled(mesh: Mesh, evidence: Evidence) -> list[UsageRecord]:
    """Return the rows when all that must come have come, or when a process that starts again has had its time."""
    rows: list[UsageRecord] = []
    quiet = 0
    for number in range(_MOST_LOOKS):
        try:
            fresh = await rows_of(mesh)
        except grpc.aio.AioRpcError:
            if number == _MOST_LOOKS - 1:
                raise
            fresh = []  # billing may still be starting
        quiet = quiet + 1 if len(fresh) == len(rows) else 0
        rows = fresh
        if quiet > 2 and not list(_missing(evidence, rows)):
            break
        await asyncio.sleep(0.1)  # the books are asked until they have everything
    return rows


def disagreements(evidence: Evidence, rows: Sequence[UsageRecord]) -> list[str]:
    """Everything on which the books and the evidence differ."""
    return [
        *_missing(evidence, rows),
        *_twice(evidence, rows),
        *_misled(evidence.calls),
        *_told(evidence.calls, rows),
        *_foretold(evidence.wrecks, rows),
    ]


def _missing(evidence: Evidence, rows: Sequence[UsageRecord]) -> Iterator[str]:
    """Attempts that were recorded or sent and are not in the books."""
    for event_id in sorted(evidence.recorded() - {row.event_id for row in rows}):
        yield f"the attempt {event_id} was recorded and has no row"
    booked = Counter(row.request_id for row in rows if row.outcome != Outcome.OUTCOME_NOT_SENT)
    for request_id, count in evidence.sent().items():
        if booked[request_id] < count:
            yield f"the provider got {count} requests of {request_id}, the books have {booked[request_id]}"


def _twice(evidence: Evidence, rows: Sequence[UsageRecord]) -> Iterator[str]:
    for event_id, count in Counter(row.event_id for row in rows).items():
        if count > 1:
            yield f"the attempt {event_id} has {count} rows"
    for attempt, count in Counter((row.request_id, row.attempt) for row in rows).items():
        if count > 1:
            yield f"attempt {attempt} was booked {count} times"
    calls = {call.request_id: call for call in evidence.calls}
    for request_id, count in Counter(row.request_id for row in rows).items():
        call = calls.get(request_id)
        if call is None:
            yield f"nobody made the request {request_id} that is in the books"
        elif count > len(ALIASES.get(call.model, (call.model,))):
            yield f"{count} attempts were booked for {call}"


def _misled(calls: Iterable[Call]) -> Iterator[str]:
    for call in calls:
        if call.lie:
            yield f"{call.lie}: {call.door} {call.model} {call.request_id} {call.why}"


def _told(calls: Iterable[Call], rows: Iterable[UsageRecord]) -> Iterator[str]:
    """What a caller got is what was booked."""
    by_request: dict[str, list[UsageRecord]] = defaultdict(list)
    for row in rows:
        by_request[row.request_id].append(row)
    for call in calls:
        booked = sorted(by_request[call.request_id], key=lambda row: row.attempt)
        for row in booked:
            yield from (f"{fault}: {call.end} {call.model}, {_say(row)}" for fault in _faults(call, row))
        well = [row for row in booked if row.outcome == Outcome.OUTCOME_OK]
        if call.end == End.WHOLE and (len(well) != 1 or well[0] is not booked[-1]):
            yield f"a whole answer is not booked as one: {call}, {[_say(row) for row in booked]}"


def _faults(call: Call, row: UsageRecord) -> Iterator[str]:
    usage = row.usage
    match row.outcome:
        case Outcome.OUTCOME_OK:
            own = (TOKENS_IN, TOKENS_OUT, Measure.MEASURE_VENDOR)
            if (usage.input_tokens, usage.output_tokens, usage.measure) != own:
                yield "not the provider's own figures"
        case Outcome.OUTCOME_NOT_SENT:
            if usage.input_tokens or usage.output_tokens:
                yield "what was not sent costs something"
        case Outcome.OUTCOME_ABORTED_CLIENT | Outcome.OUTCOME_ABORTED_SERVER | Outcome.OUTCOME_CRASHED:
            yield from _faults_of_part(call, row)
        case Outcome.OUTCOME_UPSTREAM_ERROR:
            pass
        case _:
            yield "an attempt without an outcome"


def _faults_of_part(call: Call, row: UsageRecord) -> Iterator[str]:
    usage, most = row.usage, len(TEXT_OF.get(call.name, TEXT)) // _CHARACTERS_PER_TOKEN + 1
    if not usage.input_tokens:
        yield "what was sent costs nothing"
    if usage.output_tokens > max(TOKENS_OUT, most):
        yield "more than the provider can have made"
    crashed = row.outcome == Outcome.OUTCOME_CRASHED
    if not crashed and usage.output_tokens < len(call.text) // _CHARACTERS_PER_TOKEN:
        yield f"less than the {len(call.text)} characters that the caller has"


def _foretold(wrecks: Iterable[Wreck], rows: Iterable[UsageRecord]) -> Iterator[str]:
    """What a dead gateway had recorded is what was booked; what it had not ended is booked as crashed or not sent."""
    by_event = {row.event_id: row for row in rows}
    for wreck in wrecks:
        for missing in wreck.gaps:
            yield f"an outbox has no record {missing}"
        for event_id, finish in wreck.finishes.items():
            row = by_event.get(event_id)
            if row is not None and (row.outcome, row.usage) != (finish.outcome, finish.usage):
                yield f"recorded as {Outcome.Name(finish.outcome)}, booked otherwise: {_say(row)}"
        for event_id in wreck.lost:
            row = by_event.get(event_id)
            if row is not None:
                yield from _of_lost(wreck, row)


def _of_lost(wreck: Wreck, row: UsageRecord) -> Iterator[str]:
    mark = wreck.progress.get(row.event_id)
    sent = mark is not None or row.event_id in wreck.sent
    expected = Outcome.OUTCOME_CRASHED if sent else Outcome.OUTCOME_NOT_SENT
    if row.outcome != expected:
        yield f"expected {Outcome.Name(expected)}: {_say(row)}"
    elif mark is not None and row.usage.output_tokens < mark.output_tokens:
        yield f"less than the last mark of {mark.output_tokens} tokens: {_say(row)}"


def _say(row: UsageRecord) -> str:
    usage = row.usage
    tokens = f"{usage.input_tokens}+{usage.output_tokens} tokens"
    return (
        f"{row.event_id} ({Outcome.Name(row.outcome)}, attempt {row.attempt} of {row.request_id}, {tokens})"
    )
