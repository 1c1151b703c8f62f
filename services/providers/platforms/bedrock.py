"""Amazon Bedrock: Converse as it is, and Claude's own dialect inside InvokeModel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from services.dialects.anthropic_hosted import bedrock_body, betas_of
from services.dialects.bedrock.invoke import (
    InvokeUnwrapper,
    count_answer,
    count_body,
    count_path,
    error_body,
    invoke_path,
)
from services.providers import credentials
from services.providers.domain.limits import Deadlines
from services.providers.ports import Answer, Transport
from services.providers.settings import Account
from services.runtime.errors import OperationUnsupported

_MESSAGES: Final = "/v1/messages"
_COUNT: Final = "/v1/messages/count_tokens"
_JSON: Final = {"content-type": "application/json"}


class Bedrock:
    """Sends Converse's paths as they are, and wraps what speaks Anthropic's dialect; see ports.Platform."""

    __slots__ = ("_base", "_own", "_provider", "_transport")

    def __init__(self, account: Account, transport: Transport) -> None:
        self._base = account.base_url.rstrip("/")
        self._own = credentials.headers(account)
        self._provider = account.name
        self._transport = transport

    def post(
        self,
        path: str,
        model: str,
        headers: Mapping[str, str],
        body: bytes,
        deadlines: Deadlines,
        *,
        stream: bool = False,
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request of Converse or of Anthropic's dialect."""
        if path == _COUNT:
            inner = self._send(count_path(model), _JSON, count_body(body), deadlines)
            return _Unwrapped(inner, count=True)
        if path == _MESSAGES:
            wrapped = bedrock_body(body, betas_of(headers))
            return _Unwrapped(
                self._send(invoke_path(model, stream=stream), _JSON, wrapped, deadlines), count=False
            )
        return self._send(path, headers, body, deadlines)

    def get(self, path: str, deadlines: Deadlines) -> AbstractAsyncContextManager[Answer]:
        """Refuse: models are listed by another service, at another address."""
        text = f"{self._provider} has no list of models"
        raise OperationUnsupported(text, provider=self._provider, operation="list of models")

    def _send(
        self, path: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        return self._transport.post(self._base + path, {**_JSON, **headers, **self._own}, body, deadlines)


class _Unwrapped:
    """An exchange whose answer is Anthropic's again."""

    __slots__ = ("_count", "_inner")

    def __init__(self, inner: AbstractAsyncContextManager[Answer], *, count: bool) -> None:
        self._inner = inner
        self._count = count

    async def __aenter__(self) -> Answer:
        return _AnthropicAnswer(await self._inner.__aenter__(), count=self._count)

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(*error)  # type: ignore[arg-type]


class _AnthropicAnswer:
    """See ports.Answer."""

    __slots__ = ("_answer", "_count", "_headers")

    def __init__(self, answer: Answer, *, count: bool) -> None:
        self._answer = answer
        self._count = count
        self._headers = {name.lower(): value for name, value in answer.headers.items()}
        if "eventstream" in self._headers.get("content-type", ""):
            self._headers["content-type"] = "text/event-stream; charset=utf-8"

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, with the type of what is passed on."""
        return self._headers

    async def read(self) -> bytes:
        """Return the whole body as Anthropic would have written it."""
        body = await self._answer.read()
        if self._answer.status >= 400:
            return error_body(self._answer.status, self._answer.headers, body)
        return count_answer(body) if self._count and self._answer.status < 300 else body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield Anthropic's events as they arrive."""
        unwrapper = InvokeUnwrapper()
        async for data in self._answer.chunks():
            events = unwrapper.feed(data)
            if events:
                yield events
