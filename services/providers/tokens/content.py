"""Takes out of a request what becomes input tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Part
from services.providers.tokens.families import Family
from services.providers.tokens.images import media_tokens
from services.providers.tokens.tools import as_json, declarations, shape

_SILENT: Final = frozenset({
    *("$shape", "background", "frequency_penalty", "include", "keep_alive", "logprobs", "max_tokens", "model"),
    *("parallel_tool_calls", "performanceConfig", "presence_penalty", "prompt_cache_options", "safetySettings"),
    *("prompt_cache_retention", "safety_identifier", "seed", "service_tier", "stop", "store", "stream"),
    *("stream_options", "top_logprobs", "truncation", "usage", "user"),
})  # fmt: skip
"""Members that the contract does not model and that are no input."""

_LOUD: Final = frozenset({
    *("cachedContent", "container", "context_management", "conversation", "documents", "guardrailConfig"),
    *("mcp_servers", "plugins", "previous_response_id", "prompt", "tools", "web_search_options"),
})  # fmt: skip
"""Members that bring in input which is not in the request."""

_DEEPEST: Final = 20


@dataclass(slots=True)
class Content:
    """What is counted: texts, and tokens known without reading any."""

    texts: list[str] = field(default_factory=list)
    fixed: int = 0
    exact: bool = True
    """Nothing is in it whose tokens are not published."""
    plain: bool = True
    """Nothing but text is in it, so that it teaches something about texts."""

    @property
    def size(self) -> int:
        """Characters to read."""
        return sum(map(len, self.texts))


def content_of(request: GenerateRequest, family: Family) -> Content:
    """Return what a request's input tokens come from. Reasoning of earlier turns counts nothing."""
    content = Content(fixed=family.answer, exact=family.exact)
    for message in request.messages:
        content.fixed += family.message
        if message.name:
            content.fixed += family.name
            content.texts.append(message.name)
        _take(message.parts, content, family, _DEEPEST)
    if request.tools:
        content.exact = False
        content.fixed += family.tools
        content.plain = content.plain and all(each.HasField("function") for each in request.tools)
        shown = declarations(request.tools) if family.typed_tools else "\n".join(map(as_json, request.tools))
        content.texts.append(shown)
    if request.response_format.HasField("json_schema"):
        content.exact = False
        content.fixed += family.format
        schema = request.response_format.json_schema.schema_json
        content.texts.append(shape(schema) if family.typed_tools else schema)
    elif request.response_format.json:
        content.exact = False
    _extensions(request, content)
    return content


def _take(parts: Iterable[Part], content: Content, family: Family, depth: int) -> None:
    for part in parts:
        kind = part.WhichOneof("kind")
        if kind == "text":
            content.texts.append(part.text)
            continue
        content.exact = False
        match kind:
            case "refusal":
                content.texts.append(part.refusal)
            case "tool_call":
                content.texts += (part.tool_call.name, part.tool_call.arguments)
            case "tool_result" if depth:
                _take(part.tool_result.parts, content, family, depth - 1)
            case "media":
                _media(part, content, family, depth)
            case "opaque":
                content.plain = False
                content.texts.append(part.opaque.json)
            case _:
                pass


def _media(part: Part, content: Content, family: Family, depth: int) -> None:
    media = part.media
    if media.title or media.context:
        content.texts += (media.title, media.context)
    match media.WhichOneof("source"):
        case "text":
            content.texts.append(media.text)
        case "parts" if depth:
            _take(media.parts.parts, content, family, depth - 1)
        case "data" if media.mime_type.startswith("text/"):
            content.texts.append(media.data.decode("utf-8", "replace"))
        case _:
            content.plain = False
            content.fixed += media_tokens(media, family)


def _extensions(request: GenerateRequest, content: Content) -> None:
    """What only one dialect understands may be input too: then nothing is exact any more."""
    for text in request.extensions.values():
        try:
            names = set(json.loads(text))
        except (TypeError, ValueError, RecursionError):
            names = {""}
        content.exact = content.exact and names <= _SILENT
        content.plain = content.plain and not names & _LOUD


def digest(request: GenerateRequest, provider: str, model: str) -> bytes:
    """Return what stands for a request's content in a cache: the same for the same input to the same model."""
    found = blake2b(digest_size=16)
    for text in (provider, model):
        found.update(len(text).to_bytes(4, "big") + text.encode("utf-8", "replace"))
    choices = (request.tool_choice, request.response_format, request.reasoning, request.options)
    for piece in (*choices, *request.messages, *request.tools):
        data = piece.SerializeToString(deterministic=True)
        found.update(len(data).to_bytes(8, "big") + data)
    for name in sorted(request.extensions):
        data = request.extensions[name].encode()
        found.update(len(data).to_bytes(8, "big") + data)
    numbers = (len(request.messages), len(request.tools), request.unsupported)
    found.update(b"".join(number.to_bytes(4, "big") for number in numbers))
    return found.digest()
