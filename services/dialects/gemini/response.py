"""Whole answers, both ways."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateResponse,
)
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.gemini.answer_losses import note_answer
from services.dialects.gemini.errors import error_of
from services.dialects.gemini.finish import read_block, read_finish, write_block, write_finish
from services.dialects.gemini.grounding import queries, read_citations, write_citations
from services.dialects.gemini.ids import CallIds
from services.dialects.gemini.logprobs import write_logprobs
from services.dialects.gemini.read_parts import read_parts
from services.dialects.gemini.usage import read_usage, says_counts, write_usage
from services.dialects.gemini.wire import DIALECT, elements, object_keeping, opens, raw_text, take_raw
from services.dialects.gemini.write_parts import PartWriter
from services.dialects.members import Extension, JsonObject, Members, decode_json, encode_json
from services.runtime.errors import UpstreamProtocol

OWN_USAGE: Final = "usage"
"""Hint: the usage object is Gemini's own, and its text can be written as it is."""
UNNUMBERED: Final = "unnumbered"
"""Hint of a candidate: it had no index."""
CONTENT: Final = "content"
"""Hint of a candidate: its content, if it had no parts or another role; null if it had none."""
_EVIDENCE: Final = ("candidates", "promptFeedback", "usageMetadata")
MOST_CANDIDATES: Final = 128


def decode_response(body: bytes) -> GenerateResponse:
    """Read an answer; raise UpstreamProtocol for anything else, or the error inside it."""
    try:
        members = Members(object_keeping(body, "candidates", "usageMetadata"))
        if "error" in members.rest:
            raise error_of(200, {}, body)
        if not any(name in members.rest for name in _EVIDENCE):
            raise ValueError("it has neither candidates nor feedback")
        return _read(members)
    except (ValueError, RecursionError) as error:
        raise UpstreamProtocol(f"the provider's answer is no generated content: {error}") from None


def encode_response(response: GenerateResponse) -> bytes:
    """Write an answer; its warnings gain what is lost."""
    losses = AnswerLosses()
    note_answer(response, losses)
    extension = Extension(response.extensions, DIALECT)
    own = DIALECT in response.extensions
    body: JsonObject = {}
    candidates: list[JsonObject] = []
    for candidate in response.candidates:
        feedback = write_block(candidate.finish)
        if feedback is None:
            candidates.append(write_candidate(candidate, losses))
        else:
            body["promptFeedback"] = feedback
    if candidates:
        body["candidates"] = candidates
    if response.HasField("usage"):
        raw = OWN_USAGE in extension.shape and response.usage.provider_json
        body["usageMetadata"] = msgspec.Raw(raw) if raw else write_usage(response.usage)
    model = response.provider_model or ("" if own else response.model)
    if model:
        body["modelVersion"] = model
    if response.response_id or not own:
        body["responseId"] = response.response_id or response.request_id.replace("-", "") or "llmhub"
    response.warnings.extend(losses.warnings)
    return encode_json(extension.merge(body))


def write_candidate(candidate: Candidate, losses: AnswerLosses) -> JsonObject:
    """Write one candidate."""
    extension = Extension(candidate.extensions, DIALECT)
    writer = PartWriter(losses, answer=True, native=True)
    written: JsonObject = {}
    parts = writer.write_all(candidate.parts, f"candidates[{candidate.index}]")
    content = write_content(parts, extension.shape)
    if content is not None:
        written["content"] = content
    if candidate.HasField("finish"):
        written |= write_finish(candidate.finish)
    if UNNUMBERED not in extension.shape:
        written["index"] = candidate.index
    if candidate.logprobs_json and (logprobs := write_logprobs(candidate.logprobs_json)) is not None:
        written["logprobsResult"] = logprobs
    if "groundingMetadata" not in written and (grounding := write_citations(candidate.parts)) is not None:
        written["groundingMetadata"] = grounding
    return extension.merge(written)


def write_content(parts: list[JsonObject], shape: JsonObject) -> JsonObject | None:
    """Write the content of a candidate; None if it had none."""
    if CONTENT not in shape:
        return {"parts": parts, "role": "model"}
    own = shape[CONTENT]
    if not isinstance(own, dict):
        return {"parts": parts, "role": "model"} if parts else None
    return {**own, "parts": parts} if parts or "parts" in own else own


def read_content(
    raw: msgspec.Raw | None, ids: CallIds
) -> tuple[list[Part], JsonObject | Literal[False] | None]:
    """Read a candidate's `content`: its parts, and how it was written; False for as usual, None for not at all."""
    if raw is None or opens(raw, b"n"):
        return [], None
    content = object_keeping(raw, "parts")
    inner = Members(content)
    parts_raw = take_raw(inner, "parts")
    parts: list[Part] = []
    if parts_raw is not None and opens(parts_raw, b"["):
        parts = read_parts(parts_raw, "", None, ids)
    elif parts_raw is not None:
        content["parts"] = parts_raw
    if parts_raw is not None and content == {"role": "model"}:
        return parts, False
    if parts_raw is not None and not parts:
        content.setdefault("parts", [])
    return parts, content


def read_made(value: Any) -> datetime | None:
    """Read `createTime`."""
    if type(value) is not str:
        return None
    try:
        made = datetime.fromisoformat(value)
    except ValueError:
        return None
    if made.tzinfo is None or not 1 < made.year < 9999:
        return None
    return made.astimezone(UTC)


def read_own_usage(raw: msgspec.Raw, searches: int) -> Usage | None:
    """Read a usage object; None if it has no counts."""
    value = decode_json(raw)
    if not isinstance(value, dict) or not says_counts(value):
        return None
    usage = read_usage(value, raw_text(raw))
    if searches:
        usage.server_tool_calls["web_search_requests"] = searches
    return usage


def decode_count_response(body: bytes) -> CountTokensResponse:
    """Read a countTokens answer."""
    try:
        members = Members(object_keeping(body))
        if "error" in members.rest:
            raise error_of(200, {}, body)
        tokens = members.integer("totalTokens")
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no token count: {error}") from None
    if tokens is None:
        raise UpstreamProtocol("the provider's answer has no totalTokens")
    response = CountTokensResponse(input_tokens=tokens, measure=MEASURE_VENDOR)
    members.save(response.extensions, DIALECT)
    return response


def encode_count_response(response: CountTokensResponse) -> bytes:
    """Write a countTokens answer."""
    extension = Extension(response.extensions, DIALECT)
    return encode_json(extension.merge({"totalTokens": response.input_tokens}))


def _read(members: Members) -> GenerateResponse:
    response = GenerateResponse(
        response_id=members.word("responseId") or "", provider_model=members.word("modelVersion") or ""
    )
    if (made := read_made(members.rest.get("createTime"))) is not None:
        response.created_at.FromDatetime(made)
    searches = _read_candidates(members, response)
    blocked = read_block(members) if not response.candidates else None
    if blocked is not None:
        response.candidates.add().finish.CopyFrom(blocked)
    usage = take_raw(members, "usageMetadata")
    if usage is not None:
        read = read_own_usage(usage, searches)
        if read is None:
            members.rest["usageMetadata"] = usage
        else:
            response.usage.CopyFrom(read)
            members.hint(OWN_USAGE)
    response.extensions[DIALECT] = members.extension() or "{}"
    return response


def _read_candidates(members: Members, response: GenerateResponse) -> int:
    """Read the candidates; return how many searches were made for them."""
    raw = take_raw(members, "candidates")
    if raw is None:
        return 0
    found = elements(raw)
    if not found:
        members.rest["candidates"] = raw
    if len(found) > MOST_CANDIDATES:
        raise UpstreamProtocol(f"the provider's answer has {len(found)} candidates")
    searches = 0
    for number, element in enumerate(found):
        own = Members(object_keeping(element, "content", "logprobsResult"))
        searches += queries(own.rest)
        _read_candidate(own, response, number)
    return searches


def _read_candidate(members: Members, response: GenerateResponse, number: int) -> None:
    candidate = response.candidates.add()
    index = members.integer("index", 31)
    if index is None:
        members.hint(UNNUMBERED)
    candidate.index = number if index is None else index
    ids = CallIds(f"{response.response_id}/{candidate.index}")
    parts, written = read_content(members.rest.pop("content", None), ids)
    if written is not False:
        members.hint(CONTENT, written)
    candidate.parts.extend(parts)
    for part in candidate.parts:
        if part.HasField("text") and part.text:
            # Places are counted in the first text that is said.
            part.citations.extend(read_citations(members.rest, part.text))
            break
    finish = read_finish(members, called=any(part.HasField("tool_call") for part in parts))
    if finish is not None:
        candidate.finish.CopyFrom(finish)
    logprobs = take_raw(members, "logprobsResult")
    if logprobs is not None:
        candidate.logprobs_json = raw_text(logprobs)
    members.save(candidate.extensions, DIALECT)
