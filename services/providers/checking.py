"""Tries a provider: what its configuration lacks, its list of models, a call of one token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_check_pb2 import ProviderCheck, ProviderCheckKind, ProviderCheckResult
from llmhub.types.v1.content_pb2 import Message, Part, Role
from services.providers.domain.adapter import Adapter
from services.providers.settings import Account
from services.runtime.errors import (
    LlmhubError,
    ModelNotFound,
    OperationUnsupported,
    ProviderNotConfigured,
    UpstreamTimeout,
)
from services.runtime.ids import new_id
from services.runtime.status import to_message

_LONGEST: Final = 60.0
"""Seconds one check may take."""
_LEAST_TOKENS: Final = {"openai-responses": 16}
"""Where one token of output is refused: the least that is taken."""
_SHOWN: Final = 3

_CONFIGURATION: Final = ProviderCheckKind.PROVIDER_CHECK_KIND_CONFIGURATION
_MODELS: Final = ProviderCheckKind.PROVIDER_CHECK_KIND_MODELS
_CALL: Final = ProviderCheckKind.PROVIDER_CHECK_KIND_CALL
_PASSED: Final = ProviderCheckResult.PROVIDER_CHECK_RESULT_PASSED
_FAILED: Final = ProviderCheckResult.PROVIDER_CHECK_RESULT_FAILED
_SKIPPED: Final = ProviderCheckResult.PROVIDER_CHECK_RESULT_SKIPPED


async def check(account: Account, adapter: Adapter, model: str) -> list[ProviderCheck]:
    """Return the checks in the order they were made; what one proves wrong, those after it do not try."""
    if account.missing:
        lacking = f"missing: {', '.join(account.missing)}"
        found = [_made(_CONFIGURATION, _FAILED, lacking)]
        found[0].error.CopyFrom(to_message(ProviderNotConfigured(lacking, provider=account.name)))
        return found + _untried("the provider is not configured", _MODELS, _CALL)
    models = await _tried(_MODELS, _list(adapter))
    if models.kind == _CONFIGURATION:
        return [models, *_untried("the provider is not configured", _MODELS, _CALL)]
    found = [_made(_CONFIGURATION, _PASSED, "complete"), models]
    if models.result == _FAILED:
        return found + _untried("the list of models failed", _CALL)
    if not model:
        return found + _untried("no model was named", _CALL)
    return [*found, await _tried(_CALL, _call(account, adapter, model))]


async def _tried(kind: ProviderCheckKind.ValueType, step: Awaitable[str]) -> ProviderCheck:
    began = time.monotonic_ns()
    try:
        async with asyncio.timeout(_LONGEST):
            made = _made(kind, _PASSED, await step)
    except OperationUnsupported as error:
        made = _made(kind, _SKIPPED, str(error))
    except ProviderNotConfigured as error:
        # A credential that cannot be read shows when it is used first.
        made = _failed(_CONFIGURATION, error)
    except TimeoutError:
        slow = UpstreamTimeout(f"no answer within {_LONGEST:.0f} s", phase="total")
        made = _failed(kind, slow)
    except LlmhubError as error:
        made = _failed(kind, error)
    made.took.FromNanoseconds(time.monotonic_ns() - began)
    return made


async def _list(adapter: Adapter) -> str:
    names = await adapter.models()
    shown = ", ".join(names[:_SHOWN])
    more = ", …" if len(names) > _SHOWN else ""
    return f"{len(names)} models: {shown}{more}" if names else "the list is empty"


async def _call(account: Account, adapter: Adapter, model: str) -> str:
    attempt = pb.Attempt(attempt_id=new_id(), request_id=new_id(), provider=account.name, model=model)
    attempt.limits.total.FromSeconds(round(_LONGEST))
    if "embed" in model:
        wanted = EmbedRequest(model=f"{account.name}/{model}")
        wanted.inputs.add(text="Hi")
        vectors = (await adapter.embed(pb.EmbedRequest(attempt=attempt, request=wanted))).response
        return f"{model} answered with {len(vectors.embeddings)} embedding"
    request = GenerateRequest(
        model=f"{account.name}/{model}", messages=[Message(role=Role.ROLE_USER, parts=[Part(text="Hi")])]
    )
    request.options.max_output_tokens = _LEAST_TOKENS.get(account.dialect, 1)
    answer = (await adapter.generate(pb.GenerateRequest(attempt=attempt, request=request))).response
    if not answer.candidates:
        raise ModelNotFound(f"{model} answered without a candidate", model=model)
    used = answer.usage
    return f"{model} answered; tokens: {used.input_tokens} in, {used.output_tokens} out"


def _failed(kind: ProviderCheckKind.ValueType, error: LlmhubError) -> ProviderCheck:
    made = _made(kind, _FAILED, str(error))
    made.error.CopyFrom(to_message(error))
    return made


def _untried(why: str, *kinds: ProviderCheckKind.ValueType) -> list[ProviderCheck]:
    return [_made(kind, _SKIPPED, why) for kind in kinds]


def _made(
    kind: ProviderCheckKind.ValueType, result: ProviderCheckResult.ValueType, message: str
) -> ProviderCheck:
    return ProviderCheck(kind=kind, result=result, message=message)
