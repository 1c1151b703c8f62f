"""What became of the attempts of a process that died."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from llmhub.types.v1.route_pb2 import OUTCOME_CRASHED, OUTCOME_NOT_SENT
from llmhub.types.v1.usage_pb2 import MEASURE_ESTIMATED, Usage
from llmhub.usage.v1.metering_service_pb2 import Finish, IngestUsageRequest, Intent


@dataclass(slots=True)
class LostAttempt:
    """An attempt that began and has no end."""

    intent: Intent
    usage: Usage | None = None


def lost_attempts(
    batches: Iterable[IngestUsageRequest], acknowledged: int, running: Collection[str]
) -> dict[str, LostAttempt]:
    """The attempts without an end, by event id, in the order they began.

    Of those that began up to the acknowledged sequence only the `running` ones have none: the end of another may have
    been acknowledged and forgotten, while its intent was kept beside theirs.
    """
    lost: dict[str, LostAttempt] = {}
    for batch in batches:
        for entry in batch.records:
            match entry.WhichOneof("body"):
                case "intent" if entry.sequence > acknowledged or entry.event_id in running:
                    lost[entry.event_id] = LostAttempt(entry.intent)
                case "progress":
                    if entry.event_id in lost:
                        lost[entry.event_id].usage = entry.progress.usage
                case "finish":
                    lost.pop(entry.event_id, None)
    return lost


def finish_of(attempt: LostAttempt, *, sent: bool) -> Finish:
    """The record that ends a lost attempt: what is known of its usage, never less than the input once it was sent."""
    if not sent and attempt.usage is None:
        return Finish(intent=attempt.intent, outcome=OUTCOME_NOT_SENT, usage=Usage(measure=MEASURE_ESTIMATED))
    usage = Usage()
    if attempt.usage is not None:
        usage.CopyFrom(attempt.usage)
    if not _knows_input(usage):
        usage.input_tokens = attempt.intent.estimated_input_tokens
    usage.measure = MEASURE_ESTIMATED
    return Finish(intent=attempt.intent, outcome=OUTCOME_CRASHED, usage=usage)


def _knows_input(usage: Usage) -> bool:
    return (
        usage.HasField("input_tokens")
        or usage.HasField("cache_read_tokens")
        or usage.HasField("cache_write_5m_tokens")
        or usage.HasField("cache_write_1h_tokens")
        or usage.HasField("cache_write_tokens")
    )
