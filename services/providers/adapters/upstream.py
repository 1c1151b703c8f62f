"""What every call to a provider has in common: the account's limits, its platform, and failures made ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.error_pb2 import Error
from services.providers import credentials
from services.providers.domain.limits import Deadlines, deadlines
from services.providers.ports import Answer, Platform
from services.providers.settings import Account
from services.runtime.errors import LlmhubError, OperationUnsupported, ProviderNotConfigured, UpstreamProtocol
from services.runtime.status import from_message, to_message


class ReadsErrors(Protocol):
    """The part of a codec that reads failures."""

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
        """Read a failure; see services.dialects.codec.ChatCodec."""
        ...


class Upstream:
    """One account at one platform."""

    __slots__ = ("_account", "erase", "get", "name", "post")

    def __init__(self, account: Account, platform: Platform) -> None:
        self._account = account
        self.name = account.name
        self.post = platform.post
        self.get = platform.get
        self.erase = credentials.eraser(account)

    def deadlines(self, wanted: pb.TimeLimits) -> Deadlines:
        """Start the clock of an attempt. Raises ProviderNotConfigured for an account that lacks something."""
        account = self._account
        if account.missing:
            missing = ", ".join(account.missing)
            text = f"provider {account.name} is not configured: {missing}"
            raise ProviderNotConfigured(text, provider=account.name)
        return deadlines(account.limits, wanted, asyncio.get_running_loop().time())

    async def refuse_failure(self, answer: Answer, codec: ReadsErrors) -> None:
        """Raise what an answer above 299 means."""
        self.refuse_redirect(answer)
        if answer.status >= 400:
            raise from_message(self.failure(answer, self.erase(await answer.read()), codec))

    def refuse_redirect(self, answer: Answer) -> None:
        """Raise UpstreamProtocol for an answer that sends elsewhere: credentials go nowhere else."""
        if 300 <= answer.status < 400:
            text = f"{self.name} sent a redirect, which is not followed: check its base_url"
            raise UpstreamProtocol(text, provider=self.name)

    def failure(self, answer: Answer, body: bytes, codec: ReadsErrors) -> Error:
        """Return what a failed answer says."""
        failure = to_message(codec.decode_error(answer.status, answer.headers, body))
        failure.provider.provider = self.name
        failure.metadata.setdefault("provider", self.name)
        return failure

    def scrubbed(self, error: Error) -> LlmhubError:
        """Return a failure that a provider reported inside an answer, without the account's secrets."""
        credentials.scrub(error, self.erase)
        return from_message(error)

    def unsupported(self, what: str) -> LlmhubError:
        """Return the refusal of an operation the dialect does not have."""
        return OperationUnsupported(f"{self.name} has no {what}", provider=self.name, operation=what)
