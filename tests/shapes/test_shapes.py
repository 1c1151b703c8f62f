"""Issue 2, item 7: official clients, faults, failover, leaving and revocation are the same in every shape."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from llmhub.types.v1.route_pb2 import Outcome as Booked
from tests.failures.checks import assert_booked, assert_told, meet
from tests.failures.table import FAULTS, STREAM, good
from tests.support import faults, keys
from tests.support.books import Books
from tests.support.curl import curl
from tests.support.doors import Door, every_door
from tests.support.exchanges import Exchange, named, random_pieces
from tests.support.facts import ask_anthropic, ask_openai
from tests.support.faults import Gate
from tests.support.leavers import starts
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.sdks import anthropic_direct, anthropic_through, openai_direct, openai_through
from tests.support.traffic import Traffic

pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    # The recorded models are old; the SDK says so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CHOSEN = ("400", "429", "500", "refused", "hang-up", "not-json", "stall-in-stream", "cut-in-stream")
ANSWERS = ("openai/018", "openai/010", "openai/003", "anthropic/051", "anthropic/025", "anthropic/033")


@pytest.fixture
def channel(shaped: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(shaped.target) as channel:
        yield channel


@pytest.fixture
def doors(shaped: Mesh, channel: grpc.Channel) -> Iterator[list[Door]]:
    with every_door(shaped.base_url, channel, ADMIN_KEY) as doors:
        yield doors


def play(replay: Replay, exchange: Exchange) -> str:
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 2)))
    return f"{exchange.provider}/{exchange.model}"


@pytest.mark.parametrize("name", ANSWERS)
def test_official_sdks_relayed_and_crossed(name: str, shaped: Mesh, replay: Replay) -> None:
    exchange = named(name)
    model = play(replay, exchange)
    if exchange.dialect == "openai":
        with openai_direct(replay) as own:
            expected = ask_openai(own, exchange.model, stream=exchange.streaming)
    else:
        with anthropic_direct(replay) as theirs:
            expected = ask_anthropic(theirs, exchange.model, stream=exchange.streaming)
    with openai_through(shaped) as gpt, anthropic_through(shaped) as claude:
        assert ask_openai(gpt, model, stream=exchange.streaming) == expected
        assert ask_anthropic(claude, model, stream=exchange.streaming) == expected


def test_every_door_answers_and_books(doors: list[Door], channel: grpc.Channel, replay: Replay) -> None:
    seen = {}
    for door in doors:
        for dialect in ("openai", "anthropic"):
            model = f"shape-{door.name}"
            replay.answer(dialect, model, good(dialect, stream=door.name.endswith("-stream")))
            got = door.ask(f"{dialect}/{model}", str(uuid.uuid4()))
            assert got.clean, (door.name, got)
            assert got.text
            seen[got.request_id] = dialect
    for request_id, (record,) in Books(channel).all(dict.fromkeys(seen, 1)).items():
        assert record.outcome == Booked.OUTCOME_OK
        assert record.provider == seen[request_id]
        assert record.usage.output_tokens > 0


def test_catalogue_and_health(shaped: Mesh) -> None:
    assert curl(shaped, "GET", "/health").status == 200
    assert curl(shaped, "GET", "/api/v1/models/pair-0").status == 200
    assert len(curl(shaped, "GET", "/v1/providers").json["providers"]) >= 6
    assert curl(shaped, "GET", "/api/v1/usage", key="nonsense").status == 401


def test_faults(doors: list[Door], channel: grpc.Channel, replay: Replay) -> None:
    table = [
        (fault, dialect, door)
        for fault in FAULTS
        if fault.name in CHOSEN
        for dialect in ("openai", "anthropic")
        for door in doors
        if fault.make(dialect, door.name.endswith("-stream")) is not None
    ]
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(meet, *row, replay, "shape-") for row in table]
        seen = [job.result()[2] for job in jobs]
    booked = Books(channel).all({outcome.request_id: 1 for outcome in seen})
    for (fault, dialect, door), got in zip(table, seen, strict=True):
        assert_told(fault, dialect, door.name, got)
        (record,) = booked[got.request_id]
        assert_booked(fault, door.name, record)


def test_failover(doors: list[Door], channel: grpc.Channel, replay: Replay) -> None:
    broken = next(fault for fault in FAULTS if fault.name == "500")
    for door in doors:
        stream = door.name.endswith("-stream")
        program = broken.make("openai", stream)
        assert program is not None
        replay.answer("openai", "pair-0", program)
        replay.answer("anthropic", "pair-0", good("anthropic", stream=stream))
        got = door.ask("pair-0", str(uuid.uuid4()))
        assert got.clean, (door.name, got)
        records = Books(channel).of(got.request_id, attempts=2)
        assert [record.provider for record in records][-1] == "anthropic"


def test_leaving(shaped: Mesh, channel: grpc.Channel, replay: Replay) -> None:
    for door, start in starts(shaped, channel).items():
        waits = []
        for attempt in range(3):
            model, gate = f"shape-left-{door}-{attempt}-{shaped.port}", Gate()
            stream = faults.events(STREAM["openai"][:5], gate)
            replay.answer("openai", model, stream if door.endswith("-stream") else (gate,))
            call = start(f"openai/{model}", str(uuid.uuid4()), None)
            assert gate.reached.wait(10)
            left = time.monotonic()
            call.leave()
            arrival = replay.journal.wait(lambda each, model=model: each.model == model and each.over)  # type: ignore[misc]
            assert arrival.left_at is not None
            waits.append(arrival.left_at - left)
        assert statistics.median(waits) < 0.1, (door, waits)


def test_cancel_by_request_id_finds_the_process(shaped: Mesh, doors: list[Door], replay: Replay) -> None:
    asked = [door for door in doors if door.name in {"openai", "anthropic", "grpc", "rest"}]
    with ThreadPoolExecutor(len(asked)) as threads:
        for door in asked:
            model, gate, request_id = f"shape-cancel-{door.name}-{shaped.port}", Gate(), str(uuid.uuid4())
            replay.answer("openai", model, (gate,))
            job = threads.submit(door.ask, f"openai/{model}", request_id)
            assert gate.reached.wait(10)
            assert curl(shaped, "POST", f"/api/v1/completions/{request_id}:cancel", {}).status == 200
            assert not job.result(20).clean
            decision = curl(shaped, "GET", f"/api/v1/completions/{request_id}/decision")
            assert decision.status == 200


def test_revocation(shaped: Mesh, channel: grpc.Channel, replay: Replay) -> None:
    replay.answer("openai", "flowing", good("openai", stream=False))
    made = keys.create(channel, "revoked")
    with every_door(shaped.base_url, channel, made.secret) as doors:
        flowing = [door for door in doors if door.name in {"openai", "grpc"}]
        with Traffic(flowing * 2, "openai/flowing") as traffic:
            traffic.wait_for(5)
            assert all(asked.outcome.clean for asked in traffic.asked())
            keys.revoke(channel, made.key.key_id)
            revoked = time.monotonic()
            traffic.wait_for(3, since=revoked + 1.0)
            calls = traffic.stop()
    late = [asked.outcome for asked in calls if asked.began >= revoked + 1.0]
    assert [outcome for outcome in late if outcome.status != 401] == []


def test_revocation_by_command(shaped: Mesh, channel: grpc.Channel) -> None:
    made = keys.create(channel, "revoked by command")
    assert curl(shaped, "GET", "/api/v1/models", key=made.secret).status == 200
    keys.revoke_by_command(shaped, made.key.key_id)
    revoked = time.monotonic()
    while curl(shaped, "GET", "/api/v1/models", key=made.secret).status != 401:
        assert time.monotonic() < revoked + 1.0, "accepted a second after its revocation"
