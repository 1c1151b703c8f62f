"""Responses that nobody waits for: made behind the caller's back, looked up and cancelled by their id."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from services.dialects.members import JsonObject
from services.dialects.openai_responses import stored
from services.gateway.domain.call import Ask
from services.gateway.domain.pipeline import Pipeline
from services.gateway.http.default_model import DefaultModels
from services.gateway.http.exchange import Exchange
from services.gateway.http.question import Question
from services.gateway.http.responses import history
from services.gateway.http.responses.call import Keeping, ResponsesCall, object_of
from services.gateway.http.responses.endpoints import CREATE, RESPONSES
from services.gateway.http.vendor import Caller
from services.runtime.errors import Cancelled, InternalError, LlmhubError, Overloaded, ParameterUnsupported
from services.runtime.log import get_logger

log = get_logger(__name__)

_AGAIN: Final = 5.0
LONGEST_SECONDS: Final = 3600
"""How long a response may take in the background, all its attempts together."""


class Places:
    """Who runs how much in the background. Nobody waits there, so nothing else would hold a caller back."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_a_key = max(1, most // 4)
        self._taken: Counter[str] = Counter()

    def take(self, key_id: str) -> None:
        """Take a place for a key. Raises Overloaded."""
        if self._taken.total() >= self._most:
            message = f"{self._most} responses are being made in the background"
            raise Overloaded(message, retry_after=_AGAIN, resource="background")
        if self._taken[key_id] >= self._most_of_a_key:
            message = f"{self._most_of_a_key} responses of this key are being made in the background"
            raise Overloaded(message, retry_after=_AGAIN, resource="background")
        self._taken[key_id] += 1

    def give_back(self, key_id: str) -> None:
        """Give a place back."""
        self._taken[key_id] -= 1
        if not self._taken[key_id]:
            del self._taken[key_id]


class _Nobody(Exchange):
    """The exchange of a call whose caller does not wait: takes an answer and sends it nowhere."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        scope = {
            "method": "POST",
            "path": "",
            "query_string": b"",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(_: object) -> None:
            return None

        super().__init__(scope, receive, send)

    def watch(self) -> None:
        """Nobody can leave."""


class BackgroundCall(ResponsesCall):
    """A call in the background. `begin` it, answer with what that returns, then `run` it as a task of its own."""

    def __init__(self, exchange: Exchange, body: bytes, caller: Caller, keeping: Keeping) -> None:
        super().__init__(_Nobody(history.in_foreground(body), exchange.headers), CREATE, caller, keeping)
        self._asked = body
        self._queued: JsonObject = {}
        self._ended_well = False
        self._last = b""

    async def begin(self, model: str) -> JsonObject:
        """Keep the response as queued and return it. Raises LlmhubError."""
        wish = stored.keeping(self._asked)
        if not wish.store or not self._keeping.kept:
            message = "background: only a response that is kept can be made in the background"
            raise ParameterUnsupported(message, field="background")
        if wish.stream:
            message = "background: a response is made in the background or streamed, not both"
            raise ParameterUnsupported(message, field="background")
        await super()._prepare(self._asked)
        now = int(self._keeping.clock.now())
        self._queued = stored.queued(self.response_id, model, now, self._asked)
        await self._keeping.store.save(self.kept(self._queued, ends_at=now + LONGEST_SECONDS))
        return self._queued

    async def run(self, pipeline: Pipeline, defaults: DefaultModels, max_body_bytes: int) -> None:
        """Make the response and keep how it ended. Raises nothing."""
        try:
            await self.serve(pipeline, defaults, max_body_bytes)
            if not self._ended_well:
                await self._settle(refused(self._queued, self._last))
        except Cancelled:
            await self._settle(stored.cancelled(self._queued))
        except LlmhubError as error:
            await self._settle(failed(self._queued, error, self._caller.request_id))
        except Exception:
            log.exception("a response in the background failed")
            defect = InternalError("llmhub has a defect; its log has more")
            await self._settle(failed(self._queued, defect, self._caller.request_id))

    async def _prepare(self, body: bytes) -> None:
        """Nothing: `begin` has."""

    def _call(self, body: bytes, question: Question) -> Ask:
        until = asyncio.get_running_loop().time() + LONGEST_SECONDS
        return replace(super()._call(body, question), deadline=until)

    async def _pass(self, data: bytes) -> None:
        self._last = data
        await super()._pass(data)

    async def keep(self, response: JsonObject) -> None:
        """Keep the end, under the id that the caller was given."""
        self._ended_well = True
        await self._settle({**response, "id": self.response_id, "background": True})

    async def _settle(self, response: JsonObject) -> None:
        try:
            # A provider that keeps it does so under an id of his own.
            await self._keeping.store.settle(replace(self.kept(response), provider=""))
        except LlmhubError as error:
            log.error("the end of a response could not be kept", error=error.reason)  # noqa: TRY400


def refused(response: JsonObject, body: bytes) -> JsonObject:
    """Return a response object for a provider's refusal in its own words."""
    told = object_of(body) or {}
    error = told.get("error")
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message") or "the provider refused the request")
    return {
        **response,
        "status": "failed",
        "error": {"code": error.get("code") or "server_error", "message": message},
    }


def failed(response: JsonObject, error: LlmhubError, request_id: str) -> JsonObject:
    """Return a response object that says why there is no answer."""
    return refused(response, RESPONSES.encode_error(error, request_id).body)
