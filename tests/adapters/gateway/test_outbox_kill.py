import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmhub.types.v1.route_pb2 import OUTCOME_CRASHED, OUTCOME_NOT_SENT, OUTCOME_OK
from llmhub.usage.v1.metering_service_pb2 import UsageRecordEntry
from services.gateway.adapters.outbox import OutboxOptions, open_outbox
from tests.adapters.gateway.outbox_records import entries

ROUNDS = 20


@pytest.mark.slow
async def test_what_was_durable_is_there_after_kill_9(tmp_path: Path) -> None:
    chance = random.Random(20_261_121)
    path = tmp_path / "outbox.db"
    for _ in range(ROUNDS):
        said = _kill_after(path, lines=chance.randrange(1, 40 + 400))
        async with open_outbox(path, OutboxOptions(ballast_bytes=0, open_limit=64)) as outbox:
            kept = entries(path)
            acknowledged = outbox.acknowledged
            outbox.acknowledge(outbox.last_sequence)
        _check(said, kept, acknowledged)


def _check(said: list[tuple[str, str]], kept: list[UsageRecordEntry], acknowledged: int) -> None:
    records = {(e.event_id, e.WhichOneof("body")): e for e in kept}
    numbers = [e.sequence for e in kept]
    unacknowledged = [n for n in numbers if n > acknowledged]
    assert unacknowledged == list(range(acknowledged + 1, numbers[-1] + 1)), (
        "a gap or a repeat in the sequence"
    )
    ends = [e for e in kept if e.WhichOneof("body") == "finish"]
    assert len(ends) == len({e.event_id for e in ends}), "an attempt ended twice"
    sent = {event_id for word, event_id in said if word == "sent"}
    finished = {event_id for word, event_id in said if word == "finish"}
    for word, event_id in said:
        if word != "intent":
            continue
        end = records.get((event_id, "finish"))
        if end is None:
            assert event_id in finished, "a durable attempt has no end"
            continue  # acknowledged and trimmed
        outcome = end.finish.outcome
        if event_id in finished:
            assert outcome == OUTCOME_OK
        elif event_id in sent:
            assert outcome in {
                OUTCOME_CRASHED,
                OUTCOME_OK,
            }  # the record may be durable before the word was out
        elif outcome == OUTCOME_NOT_SENT:
            assert end.finish.usage.output_tokens == 0


def _kill_after(path: Path, lines: int) -> list[tuple[str, str]]:
    """Start the child and kill it after that many lines; everything it managed to say."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.gateway.outbox_child", str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        text=True,
    )
    assert child.stdout is not None
    with child:
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    words = [line.split() for line in said if line.endswith("\n")]
    return [(word, event_id) for word, event_id in words]
