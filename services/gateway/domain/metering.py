"""What an attempt is recorded as: outcome, usage and the words of its usage event."""

from __future__ import annotations

from typing import Final

from llmhub.provider.v1.provider_service_pb2 import Progress
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import (
    OUTCOME_ABORTED_CLIENT,
    OUTCOME_ABORTED_SERVER,
    OUTCOME_CRASHED,
    OUTCOME_NOT_SENT,
    OUTCOME_OK,
    OUTCOME_UPSTREAM_ERROR,
    Outcome,
)
from llmhub.types.v1.usage_pb2 import Measure, Usage
from llmhub.usage.v1.metering_service_pb2 import Finish, Intent
from services.gateway.domain.call import Ask, AttemptState
from services.runtime.errors import (
    Cancelled,
    DeadlineExceeded,
    LlmhubError,
    OperationUnsupported,
    ParameterUnsupported,
    ProviderNotConfigured,
    RequestInvalid,
    ServiceUnavailable,
    ShuttingDown,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for text in the common vocabularies; every figure made from it is marked as estimated."""

_NEVER_SENT = (
    UpstreamUnreachable,
    ProviderNotConfigured,
    OperationUnsupported,
    ParameterUnsupported,
    RequestInvalid,
)


def tokens(characters: int) -> int:
    """Guess how many tokens so many characters are."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def intent(ask: Ask, attempt: AttemptState) -> Intent:
    """Write down what is about to be sent."""
    out = Intent(
        request_id=ask.request_id,
        attempt=attempt.number,
        key_id=ask.principal.key_id,
        provider=attempt.target.provider,
        model=attempt.target.model,
        requested_model=ask.model,
        operation=ask.operation,
        door=ask.door,
        estimated_input_tokens=tokens(ask.input_size),
    )
    out.started_at.FromNanoseconds(int(attempt.started_at * 1e9))
    return out


def outcome_of(error: BaseException | None) -> Outcome.ValueType:
    """Classify the end of an attempt. None: it went well; anything that is no error of ours: the caller left."""
    match error:
        case None:
            return OUTCOME_OK
        case LlmhubError() if error.metadata.get("started") == "false":
            return OUTCOME_NOT_SENT
        case ShuttingDown():
            return OUTCOME_ABORTED_SERVER
        case Cancelled() | DeadlineExceeded():
            return OUTCOME_ABORTED_CLIENT
        case LlmhubError() if isinstance(error, _NEVER_SENT):
            return OUTCOME_NOT_SENT
        case UpstreamTimeout() if error.metadata.get("phase") == "connect":
            return OUTCOME_NOT_SENT
        case ServiceUnavailable():
            # The process that talks to the provider died; the provider may go on, and charge.
            return OUTCOME_CRASHED
        case LlmhubError():
            return OUTCOME_UPSTREAM_ERROR
        case _:
            return OUTCOME_ABORTED_CLIENT


_NOT_GUESSED: Final = frozenset({"moderate", "image", "speech", "transcribe", "rerank"})
"""Operations that nobody charges by the length of what is sent: what the provider does not tell is not known."""


def usage_of(ask: Ask, progress: Progress, outcome: Outcome.ValueType) -> Usage:
    """Return what the attempt consumed: the provider's own counts where it gave them all, else filled by a guess.

    A provider that failed before any content charges nothing; an attempt that never left costs nothing. Usage without
    any count and without a measure is not known.
    """
    if outcome == OUTCOME_NOT_SENT:
        return Usage(measure=Measure.MEASURE_COUNTED, input_tokens=0, output_tokens=0)
    if outcome == OUTCOME_OK and _tells_tokens(progress.usage):
        return progress.usage
    if outcome == OUTCOME_UPSTREAM_ERROR and not progress.content:
        return (
            progress.usage
            if progress.HasField("usage")
            else Usage(measure=Measure.MEASURE_COUNTED, input_tokens=0, output_tokens=0)
        )
    if ask.operation in _NOT_GUESSED:
        return Usage(provider_json=progress.usage.provider_json)
    return _filled(ask, progress)


def _tells_tokens(usage: Usage) -> bool:
    """Tell whether a provider's usage has counts at all; one that makes no sense arrives here without any."""
    return any(usage.HasField(name) for name in _COUNTS)


_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")


def usage_so_far(progress: Progress) -> Usage:
    """Return what a running attempt has produced, for a progress mark."""
    usage = Usage(measure=Measure.MEASURE_ESTIMATED)
    usage.MergeFrom(progress.usage)
    usage.output_tokens = max(
        usage.output_tokens, tokens(progress.output_characters) - usage.reasoning_tokens
    )
    usage.measure = Measure.MEASURE_ESTIMATED
    return usage


def _filled(ask: Ask, progress: Progress) -> Usage:
    usage = Usage()
    usage.CopyFrom(progress.usage)
    if progress.complete and usage.HasField("output_tokens"):
        return usage
    if not usage.HasField("input_tokens"):
        usage.input_tokens = tokens(ask.input_size)
    guess = tokens(progress.output_characters)
    known = usage.output_tokens + usage.reasoning_tokens
    if not usage.HasField("output_tokens") or guess > known:
        usage.output_tokens = max(0, guess - usage.reasoning_tokens)
    usage.measure = Measure.MEASURE_ESTIMATED
    return usage


def finish(ask: Ask, attempt: AttemptState, error: BaseException | None, ended: float) -> Finish:
    """Write down how the attempt ended; `ended` is on the loop's clock."""
    outcome = outcome_of(error) if attempt.sent else OUTCOME_NOT_SENT
    out = Finish(
        intent=attempt.intent or intent(ask, attempt),
        outcome=outcome,
        usage=usage_of(ask, attempt.progress, outcome),
        provider_model=attempt.progress.provider_model,
    )
    if isinstance(error, LlmhubError):
        out.error_reason = ErrorReason.Value(f"ERROR_REASON_{error.reason}")
    out.duration.FromNanoseconds(int((ended - attempt.began) * 1e9))
    if attempt.first_token is not None:
        out.first_token.FromNanoseconds(int((attempt.first_token - attempt.began) * 1e9))
    return out
