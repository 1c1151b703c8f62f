"""A call to the Responses API: what it goes on from is put before it, and its answer is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import GenerateStreamResponse
from llmhub.route.v1.route_service_pb2 import Target
from services.dialects.codec import DecodedRequest
from services.dialects.members import JsonObject
from services.dialects.openai_responses import stored
from services.gateway.domain.call import Ask
from services.gateway.domain.kept import KeptResponse
from services.gateway.domain.payload import Payload, Relay, WholeAnswer
from services.gateway.http.endpoints import Decoded, VendorEndpoint, expect
from services.gateway.http.exchange import Exchange
from services.gateway.http.question import Question
from services.gateway.http.responses import history
from services.gateway.http.responses.endpoints import CREATE
from services.gateway.http.vendor import Caller, VendorCall
from services.gateway.ports import Piece, ResponseStore
from services.runtime.clock import Clock
from services.runtime.errors import ParameterUnsupported, RequestInvalid, StorageUnavailable, Violation
from services.runtime.ids import new_id
from services.runtime.log import get_logger
from services.runtime.offload import by_size

log = get_logger(__name__)

_DAY: Final = 86_400
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where responses are kept, for how long, and how much of them goes into one request."""

    opened: Callable[[], ResponseStore]
    clock: Clock
    days: float
    """0: nothing is kept."""
    most_bytes: int

    @property
    def store(self) -> ResponseStore:
        """Where they are kept; opened with the first."""
        return self.opened()

    @property
    def kept(self) -> bool:
        """Whether anything is kept at all."""
        return self.days > 0

    def expiry(self) -> int:
        """Return when a response made now is forgotten."""
        return int(self.clock.now() + self.days * _DAY)


class ResponsesCall(VendorCall):
    """One call at a path of the Responses API."""

    def __init__(
        self, exchange: Exchange, endpoint: VendorEndpoint, caller: Caller, keeping: Keeping
    ) -> None:
        super().__init__(exchange, endpoint, "", caller)
        self._keeping = keeping
        self._wish = stored.keeping(b"{}")
        self._body = b""
        self._history = history.History()
        self._sent: Decoded | None = None
        self._collected: stored.Collected | None = None
        self._relayed_by = ""
        self.response_id = f"resp_{new_id().replace('-', '')}"
        """Of an answer whose provider has no such ids. Not the call's: callers choose that, and may do so twice."""

    async def _prepare(self, body: bytes) -> None:
        self._body = body
        wish = self._wish = await by_size(len(body), stored.keeping, body)
        if wish.conversation:
            message = "conversation: conversations are not kept here; use previous_response_id"
            raise ParameterUnsupported(message, field="conversation")
        if wish.previous_response_id:
            self._history = await self._before(wish.previous_response_id)

    async def _before(self, response_id: str) -> history.History:
        found: list[KeptResponse] = []
        keeping = self._keeping
        if keeping.kept:
            key_id = self._caller.principal.key_id
            found = await keeping.store.chain(key_id, response_id, keeping.most_bytes)
        if not found:
            message = f"no response with id {response_id} is kept for this key"
            raise RequestInvalid(message, violations=(Violation("previous_response_id", message),))
        if any(msgspec.json.decode(kept.response).get("status") in _UNFINISHED for kept in found):
            message = f"the response {response_id} has not ended yet"
            raise RequestInvalid(message, violations=(Violation("previous_response_id", message),))
        return history.History(found)

    def _call(self, body: bytes, question: Question) -> Ask:
        ask = super()._call(body, question)
        if self._history.responses:
            before = self._history.before(body)
            self._sent = Decoded(self._endpoint, before, self._caller.request_id, question)
            ask = replace(ask, input_size=len(before))
            if self._history.keeper:
                ask.needs.state_origins.append(self._history.keeper)
        return ask

    def _payload(self, target: Target, relay: Relay, decoded: Decoded) -> Payload:
        sent = self._sent or decoded
        self._relayed_by = target.provider if self._endpoint.endpoint in target.relays else ""
        if not self._relayed_by:
            payload = sent.payload(target)
            stored.without_state(sent.generation().request)
            return payload
        if self._sent is None or target.provider == self._history.keeper:
            return relay
        return replace(relay, body=self._sent.body)

    def _request(self) -> DecodedRequest:
        # The answer repeats what the caller asked for, not what was made of it.
        question = Question("", stream=True)
        body = history.without_input(self._body)
        return Decoded(self._endpoint, body, self._caller.request_id, question).generation()

    def _encode(self, answer: WholeAnswer) -> bytes:
        if self._endpoint is not CREATE:
            return super()._encode(answer)
        whole = expect(answer, GenerateResponse)
        whole.response_id = self.response_id
        return msgspec.json.encode(stored.response_object(whole, self._body))

    async def _write(self, piece: Piece) -> None:
        if isinstance(piece, GenerateStreamResponse) and piece.events and piece.events[0].HasField("started"):
            piece.events[0].started.response_id = self.response_id
        await super()._write(piece)

    async def _pass(self, data: bytes) -> None:
        if self._wish.store and self._keeping.kept and self._endpoint is CREATE:
            response = self._ended(data)
            if response is not None:
                # Before the caller reads its end, so that he can go on from it at once.
                await self.keep(response)
        await super()._pass(data)

    def _ended(self, data: bytes) -> JsonObject | None:
        """Return the response object that ends with these bytes."""
        if not self._can_tell:
            response = object_of(data)
            return response if response is not None and response.get("object") == "response" else None
        if self._collected is None:
            self._collected = stored.Collected()
        ended = self._collected.ended
        self._collected.feed(data)
        return self._collected.response if self._collected.ended and not ended else None

    async def keep(self, response: JsonObject) -> None:
        """Keep a response object. The answer goes out even if that fails."""
        try:
            await self._keeping.store.save(await by_size(len(self._body), self.kept, response))
        except StorageUnavailable:
            log.error("a response could not be kept", response_id=response.get("id"))  # noqa: TRY400

    def kept(self, response: JsonObject, *, ends_at: int | None = None) -> KeptResponse:
        """Return what is kept of a response object."""
        response_id = str(response.get("id"))
        return KeptResponse(
            key_id=self._caller.principal.key_id,
            response_id=response_id,
            request_id=self._caller.request_id,
            provider=self._relayed_by,
            previous_id=self._wish.previous_response_id,
            created_at=int(self._keeping.clock.now()),
            expires_at=self._keeping.expiry(),
            ends_at=ends_at,
            response=msgspec.json.encode(response),
            input_items=msgspec.json.encode(stored.input_items(self._body, response_id)),
        )


def object_of(data: bytes) -> JsonObject | None:
    """Return the JSON object that a body is; None for anything else."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None
