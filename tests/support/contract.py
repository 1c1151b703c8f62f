"""The contract's messages in tests: questions, folded streams, and what an answer says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.types.v1.content_pb2 import Media, MediaKind, Message, Part, Role
from llmhub.types.v1.generation_pb2 import FinishReason, FunctionTool, GenerationOptions, Tool
from llmhub.types.v1.stream_pb2 import StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from tests.support.facts import Facts

SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6364f8cf500f0003860180 5a347d6a0000000049454e44ae426082".replace(" ", "")
)


def user(*parts: Part) -> Message:
    """Return a turn of the user."""
    return Message(role=Role.ROLE_USER, parts=parts)


def question(model: str, *messages: Message, request_id: str = "") -> GenerateRequest:
    """Return a small request."""
    return GenerateRequest(
        model=model,
        request_id=request_id,
        messages=messages or [user(Part(text="Hello"))],
        options=GenerationOptions(max_output_tokens=512),
    )


def picture() -> Part:
    """Return an inline image."""
    return Part(media=Media(kind=MediaKind.MEDIA_KIND_IMAGE, data=PIXEL, mime_type="image/png"))


def tool() -> Tool:
    """Return a function the model may call."""
    return Tool(function=FunctionTool(name="look", description="Look.", parameters_json=SCHEMA))


def facts(answer: GenerateResponse) -> Facts:
    """Read the first candidate of a whole answer."""
    candidate = answer.candidates[0]
    calls = [part.tool_call for part in candidate.parts if part.HasField("tool_call")]
    return Facts(
        text="".join(part.text or part.refusal for part in candidate.parts),
        calls=[(call.name, json.loads(call.arguments or "{}")) for call in calls],
        called=candidate.finish.reason == FinishReason.FINISH_REASON_TOOL_CALL,
        truncated=candidate.finish.reason == FinishReason.FINISH_REASON_MAX_TOKENS,
        **_tokens(answer.usage),
    )


def fold(events: Iterable[StreamEvent]) -> Facts:
    """Read the first candidate of a stream, and hold the stream to its rules."""
    seen = list(events)
    assert [event.sequence for event in seen] == list(range(len(seen)))
    assert seen[0].HasField("started")
    assert [event.HasField("finished") for event in seen] == [False] * (len(seen) - 1) + [True]
    assert seen[-1].finished.complete
    out = Facts(**_tokens(seen[-1].finished.usage))
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    open_blocks: set[tuple[int, int]] = set()
    for event in seen:
        _follow_blocks(event, open_blocks)
        if event.HasField("block_start") and event.block_start.candidate == 0:
            part = event.block_start.part
            out.text += part.text or part.refusal
            if part.HasField("tool_call"):
                names[event.block_start.block] = part.tool_call.name
                arguments[event.block_start.block] = part.tool_call.arguments
        elif event.HasField("block_delta") and event.block_delta.candidate == 0:
            delta = event.block_delta
            if delta.block in names:
                arguments[delta.block] += delta.arguments
        elif event.HasField("candidate_finish") and event.candidate_finish.candidate == 0:
            reason = event.candidate_finish.finish.reason
            out.called = reason == FinishReason.FINISH_REASON_TOOL_CALL
            out.truncated = reason == FinishReason.FINISH_REASON_MAX_TOKENS
    out.calls = [(name, json.loads(arguments[block] or "{}")) for block, name in sorted(names.items())]
    out.text += _text_of(seen)
    return out


def _text_of(events: list[StreamEvent]) -> str:
    """Return the text of text blocks and refusal blocks of the first candidate; reasoning is no part of it."""
    kinds = {
        event.block_start.block: event.block_start.part.WhichOneof("kind")
        for event in events
        if event.HasField("block_start") and event.block_start.candidate == 0
    }
    return "".join(
        event.block_delta.text
        for event in events
        if event.HasField("block_delta")
        and event.block_delta.candidate == 0
        and kinds[event.block_delta.block] in {"text", "refusal"}
    )


def _follow_blocks(event: StreamEvent, open_blocks: set[tuple[int, int]]) -> None:
    match event.WhichOneof("event"):
        case "block_start":
            block = (event.block_start.candidate, event.block_start.block)
            assert block not in open_blocks
            open_blocks.add(block)
        case "block_delta":
            assert (event.block_delta.candidate, event.block_delta.block) in open_blocks
        case "block_stop":
            open_blocks.remove((event.block_stop.candidate, event.block_stop.block))
        case "candidate_finish":
            assert not {block for block in open_blocks if block[0] == event.candidate_finish.candidate}


def _tokens(usage: Usage) -> dict[str, Any]:
    written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return {
        "tokens_in": usage.input_tokens + usage.cache_read_tokens + written + usage.tool_prompt_tokens,
        "tokens_cached": usage.cache_read_tokens,
        "tokens_out": usage.output_tokens + usage.reasoning_tokens,
    }
