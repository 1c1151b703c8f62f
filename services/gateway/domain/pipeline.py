"""The life of a call: admit, plan, reserve, intent, attempts with a commit window, finish.

Every door ends here. The pieces of the answer come out in order; whatever goes wrong comes out as an LlmhubError, and
nothing comes out as a clean end that is not one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from llmhub.provider.v1.provider_service_pb2 import Progress, RelayResponse, TimeLimits
from llmhub.route.v1.route_service_pb2 import PlanRequest, ReportOutcomeRequest, Target
from llmhub.usage.v1.metering_service_pb2 import ProgressMark
from services.gateway.domain import failover, metering
from services.gateway.domain.abandoned import read_on
from services.gateway.domain.call import Ask, AttemptState, RunningCall
from services.gateway.domain.calls import Calls
from services.gateway.domain.payload import Payload, Relay, Whole
from services.gateway.domain.progress import absorb, held_bytes
from services.gateway.domain.trace import Ended
from services.gateway.ports import Budgets, Limiter, Meter, Piece, Providers, Router
from services.runtime.clock import Clock
from services.runtime.errors import LlmhubError, NoTarget, UpstreamFailed, UpstreamProtocol
from services.runtime.ids import new_id
from services.runtime.offload import by_size
from services.runtime.status import from_message, to_message

_BACKSTOP_SECONDS = 1.0
_MARK_SECONDS = 2.0
_MARK_CHARACTERS = 1024
"""A progress mark is written after this time or this much output, whichever is first (about 256 tokens)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of the pipeline; see settings.GatewaySettings."""

    max_attempts: int
    commit_buffer_bytes: int
    drain_seconds: float
    max_draining: int


class Pipeline:
    """Carries calls from their door to a provider and back."""

    def __init__(
        self,
        *,
        router: Router,
        providers: Providers,
        meter: Meter,
        limiter: Limiter,
        budgets: Budgets,
        calls: Calls,
        clock: Clock,
        rules: Rules,
    ) -> None:
        self._router = router
        self._providers = providers
        self._meter = meter
        self._limiter = limiter
        self._budgets = budgets
        self.calls = calls
        self._clock = clock
        self._rules = rules

    async def run(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """Yield the answer's pieces. Close the generator to leave; it must be used by one task."""
        call = self.calls.start(ask)
        try:
            trace = ask.trace
            trace.began = self._clock.monotonic()
            admission = await self._limiter.admit(ask.principal, ask.model, metering.tokens(ask.input_size))
            self._reached("admit", ask)
            try:
                plan = await self._router.plan(_plan_request(ask))
                trace.planned = plan.decision
                self._reached("plan", ask)
                async with aclosing(self._attempts(call, plan.targets)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                admission.release()
        except asyncio.CancelledError:
            if call.ended_by is None or call.task is None:
                raise
            # The cancellation was ours (Cancel, deadline, shutdown): the door answers with its reason.
            call.task.uncancel()
            raise call.ended_by from None
        finally:
            self.calls.end(call)

    async def _attempts(self, call: RunningCall, targets: Sequence[Target]) -> AsyncGenerator[Piece, None]:
        if not targets:
            message = f"no target of {call.ask.model} can serve this call"
            raise NoTarget(message, model=call.ask.model)
        chosen = targets[: self._rules.max_attempts]
        for number, target in enumerate(chosen, 1):
            attempt = AttemptState(new_id(), number, target, self._clock.now(), self._clock.monotonic())
            attempt.final = number == len(chosen)
            try:
                async with aclosing(self._attempt(call, attempt)) as pieces:
                    async for piece in pieces:
                        yield piece
            except LlmhubError as error:
                if not attempt.final and failover.may_fail_over(error, committed=attempt.committed):
                    continue
                if attempt.committed:
                    characters = attempt.progress.output_characters
                    raise failover.after_commit(error, target.provider, characters) from error
                raise
            return

    async def _attempt(self, call: RunningCall, attempt: AttemptState) -> AsyncGenerator[Piece, None]:
        """Make one attempt."""
        ask, target = call.ask, attempt.target
        # Reading a large body must not stop the calls of others.
        payload = await by_size(ask.input_size, ask.payload, target)
        reservation = await self._budgets.reserve(ask.principal, target, metering.tokens(ask.input_size))
        try:
            await self._intend(call, attempt)
            limits = _limits(ask, self._clock.monotonic())
            stream = self._providers.attempt(target, attempt.attempt_id, ask.request_id, payload, limits)
            if target.bills_after_cancel:
                book = partial(self._book_abandoned, call, attempt)
                stream = read_on(stream, self.calls, self._rules, book)
            try:
                async with aclosing(self._released(call, attempt, stream)) as pieces:
                    async for piece in pieces:
                        yield piece
            except LlmhubError as error:
                await self._finish(call, attempt, error)
                raise
            except BaseException as left:
                # The caller left. The books must not wait for a task that is being torn down.
                if not target.bills_after_cancel:
                    self.calls.later(self._finish(call, attempt, call.ended_by or left))
                raise
        finally:
            reservation.release()

    async def _released(
        self, call: RunningCall, attempt: AttemptState, stream: AsyncGenerator[Piece, None]
    ) -> AsyncGenerator[Piece, None]:
        """Yield pieces once the attempt commits; the last one only when its end is durable."""
        held: list[Piece] = []
        try:
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    self._observe(call, attempt, piece)
                    if (error := _reported(piece)) is not None:
                        await self._take_report(call, attempt, piece, error)
                    elif attempt.progress.complete:
                        await self._finish(call, attempt, None)
                    if attempt.committed and not held:
                        yield piece
                        continue
                    held.append(piece)
                    if self._commits(attempt, held):
                        attempt.committed = True
                        for early in held:
                            yield early
                        held.clear()
        except LlmhubError:
            # What a provider reports inside its own stream is the caller's answer; how the stream ends adds nothing.
            if not attempt.told:
                raise
        if not attempt.progress.complete and not attempt.told:
            message = f"{attempt.target.provider} ended its answer early"
            raise UpstreamFailed(message, provider=attempt.target.provider)

    async def _take_report(
        self, call: RunningCall, attempt: AttemptState, piece: Piece, error: LlmhubError
    ) -> None:
        """Raise a failure that the provider reports, or book it and let the provider's own words go through.

        Its words are the answer where the caller speaks its dialect and no other target can do better.
        """
        if not _in_its_own_words(call.ask.payload(attempt.target), piece, error):
            raise error
        if not attempt.committed and not attempt.final and failover.may_fail_over(error, committed=False):
            raise error
        attempt.told = attempt.committed = True
        await self._finish(call, attempt, error)

    async def _intend(self, call: RunningCall, attempt: AttemptState) -> None:
        """Return when the intent is durable; from then on the attempt counts as sent."""
        try:
            attempt.intent = metering.intent(call.ask, attempt)
            await self._meter.intent(attempt.attempt_id, attempt.intent)
        except asyncio.CancelledError as left:
            # The record may become durable all the same.
            self.calls.later(self._finish(call, attempt, call.ended_by or left))
            raise
        self._meter.sent(attempt.attempt_id)
        attempt.sent = True
        self._reached("intent", call.ask)

    def _commits(self, attempt: AttemptState, held: list[Piece]) -> bool:
        progress = attempt.progress
        if progress.content or progress.complete or attempt.told:
            return True
        return held_bytes(held) > self._rules.commit_buffer_bytes

    def _observe(self, call: RunningCall, attempt: AttemptState, piece: Piece) -> None:
        progress = piece.progress
        absorb(attempt.progress, progress)
        if not attempt.answered:
            attempt.answered = True
            self._reached("attempt", call.ask)
        now = self._clock.monotonic()
        if attempt.first_token is None and progress.content:
            attempt.first_token = attempt.marked_at = now
        fresh = attempt.progress.output_characters - attempt.marked_characters
        if fresh and (fresh >= _MARK_CHARACTERS or now - attempt.marked_at >= _MARK_SECONDS):
            attempt.marked_at, attempt.marked_characters = now, attempt.progress.output_characters
            usage = metering.usage_so_far(attempt.progress)
            self._meter.progress(attempt.attempt_id, ProgressMark(usage=usage))

    async def _book_abandoned(self, call: RunningCall, attempt: AttemptState, progress: Progress) -> None:
        """Book an answer that was read to its end, or to our patience's, after its caller had left."""
        absorb(attempt.progress, progress)
        await self._finish(call, attempt, call.ended_by or asyncio.CancelledError())

    async def _finish(self, call: RunningCall, attempt: AttemptState, error: BaseException | None) -> None:
        if attempt.finished:
            return
        attempt.finished = True
        end = metering.finish(call.ask, attempt, error, self._clock.monotonic())
        failure = to_message(error) if isinstance(error, LlmhubError) else None
        call.ask.trace.attempts.append(Ended(attempt.attempt_id, end, failure))
        report = ReportOutcomeRequest(
            attempt_id=attempt.attempt_id,
            provider=attempt.target.provider,
            model=attempt.target.model,
            outcome=end.outcome,
            duration=end.duration,
            error=failure,
        )
        if end.HasField("first_token"):
            report.first_token.CopyFrom(end.first_token)
        self._router.report(report)
        await self._meter.finish(attempt.attempt_id, end)
        self._reached("finish", call.ask)

    def _reached(self, step: str, ask: Ask) -> None:
        ask.trace.steps.append((step, self._clock.monotonic()))


def _plan_request(ask: Ask) -> PlanRequest:
    request = PlanRequest(request_id=ask.request_id, model=ask.model, needs=ask.needs)
    request.principal.key_id = ask.principal.key_id
    request.principal.models.extend(ask.principal.models)
    request.principal.scopes.extend(ask.principal.scopes)  # type: ignore[arg-type]
    return request


def _limits(ask: Ask, now: float) -> TimeLimits:
    limits = TimeLimits()
    if ask.deadline is not None:
        # The call's own timer ends it on time. Were the limit as short, a late caller could pass for a slow provider.
        limits.total.FromNanoseconds(max(1, int((ask.deadline - now + _BACKSTOP_SECONDS) * 1e9)))
    return limits


def _in_its_own_words(payload: Payload, piece: Piece, error: LlmhubError) -> bool:
    """Tell whether the piece itself says what went wrong, in a way that the caller's client takes for a failure."""
    if not isinstance(payload, Relay) or not isinstance(piece, RelayResponse):
        return False
    # What the provider sent makes no sense: passed on, it would pass for an answer.
    if isinstance(error, UpstreamProtocol):
        return False
    # An error object with status 200 is one to a client only as an event of a stream.
    return piece.head.status >= HTTPStatus.BAD_REQUEST or payload.stream


def _reported(piece: Piece) -> LlmhubError | None:
    """Return the failure that a provider reports in its answer."""
    if isinstance(piece, Whole):
        return None
    if isinstance(piece, RelayResponse) and piece.head.HasField("error"):
        return from_message(piece.head.error)
    return from_message(piece.progress.error) if piece.progress.HasField("error") else None
