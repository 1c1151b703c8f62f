"""Vertex AI: Gemini's and Claude's dialects below a Google Cloud project."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import quote

from services.dialects.anthropic_hosted import vertex_body, vertex_count_body
from services.providers import credentials
from services.providers.domain.limits import Deadlines
from services.providers.platforms.vertex_bodies import count_body, embedding_call
from services.providers.ports import Answer, Transport
from services.providers.settings import Account
from services.runtime.errors import OperationUnsupported

_MESSAGES: Final = "/v1/messages"
_COUNT: Final = "/v1/messages/count_tokens"
_FULL_NAMES: Final = ("publishers/", "projects/")


class VertexAI:
    """Puts models into the project's paths and bodies into Vertex's shapes; see ports.Platform.

    A model may be a plain name, `publishers/…/models/…`, or the full name of an endpoint (`projects/…/endpoints/…`).
    """

    __slots__ = ("_base", "_location", "_own", "_project", "_provider", "_transport")

    def __init__(self, account: Account, transport: Transport) -> None:
        self._base = account.base_url.rstrip("/")
        self._own = credentials.headers(account)
        self._project = quote(account.vertex.project, safe="")
        self._location = quote(account.vertex.location, safe="")
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
        """Send a request of Gemini's or Anthropic's dialect."""
        url, sent = self._claude(path, model, body, stream=stream) or self._gemini(path, model, body)
        all_headers = {"content-type": "application/json", **headers, **self._own}
        return self._transport.post(url, all_headers, sent, deadlines)

    def get(self, path: str, deadlines: Deadlines) -> AbstractAsyncContextManager[Answer]:
        """Refuse: what a project may call is in no list."""
        text = f"{self._provider} has no list of models"
        raise OperationUnsupported(text, provider=self._provider, operation="list of models")

    def _claude(self, path: str, model: str, body: bytes, *, stream: bool) -> tuple[str, bytes] | None:
        if path == _COUNT:
            return f"{self._named('v1', 'anthropic', 'count-tokens')}:rawPredict", vertex_count_body(body)
        if path == _MESSAGES:
            method = "streamRawPredict" if stream else "rawPredict"
            return f"{self._named('v1', 'anthropic', model)}:{method}", vertex_body(body)
        return None

    def _gemini(self, path: str, model: str, body: bytes) -> tuple[str, bytes]:
        route, mark, query = path.partition("?")
        method = route.rpartition(":")[2]
        if method == "countTokens":
            body = count_body(body)
        elif method == "batchEmbedContents":
            method, body = embedding_call(body, model, self._provider)
        return f"{self._named('v1beta1', 'google', model)}:{method}{mark}{query}", body

    def _named(self, version: str, publisher: str, model: str) -> str:
        """A model's address. Full names keep their slashes, but cannot climb out of their place."""
        home = f"{self._base}/{version}"
        project = f"projects/{self._project}/locations/{self._location}"
        if model.startswith(_FULL_NAMES) and not any(part in {".", ".."} for part in model.split("/")):
            name = quote(model, safe="/@-._~")
            return f"{home}/{name}" if model.startswith("projects/") else f"{home}/{project}/{name}"
        return f"{home}/{project}/publishers/{publisher}/models/{quote(model, safe='@-._~')}"
