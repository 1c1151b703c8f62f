"""What an answer says, independent of the dialect it is written in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from anthropic.types import Message
from openai.types.chat import ChatCompletion


@dataclass(slots=True)
class Facts:
    """Text, tool calls with their arguments by value, tokens in and out with caches and thinking included."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    called: bool = False
    """The answer ended for the sake of its tool calls."""
    truncated: bool = False


def of_message(message: Message) -> Facts:
    """Read an Anthropic message."""
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    return Facts(
        text="".join(block.text for block in message.content if block.type == "text"),
        calls=[(block.name, block.input) for block in message.content if block.type == "tool_use"],
        tokens_in=usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
        tokens_cached=cached,
        tokens_out=usage.output_tokens,
        called=message.stop_reason == "tool_use",
        truncated=message.stop_reason == "max_tokens",
    )


def add_charged_beside(facts: Facts, answer: bytes) -> None:
    """Add the usage that Anthropic charges and leaves out of its sums; its SDK drops it from a stream."""
    found = re.findall(rb'"iterations":(\[.*?\}\])', answer)
    for each in json.loads(found[-1]) if found else []:
        if each["type"] in {"compaction", "advisor_message"}:
            facts.tokens_in += each["input_tokens"] + each["cache_read_input_tokens"]
            facts.tokens_cached += each["cache_read_input_tokens"]
            facts.tokens_out += each["output_tokens"]


def of_completion(completion: ChatCompletion) -> Facts:
    """Read the first choice of an OpenAI completion."""
    choice, usage = completion.choices[0], completion.usage
    calls = []
    for call in choice.message.tool_calls or ():
        assert call.type == "function"
        calls.append((call.function.name, json.loads(call.function.arguments or "{}")))
    if (legacy := choice.message.function_call) is not None:
        calls.append((legacy.name, json.loads(legacy.arguments)))
    details = usage.prompt_tokens_details if usage is not None else None
    return Facts(
        text=choice.message.content or choice.message.refusal or "",
        calls=calls,
        tokens_in=usage.prompt_tokens if usage is not None else 0,
        tokens_cached=(details.cached_tokens or 0) if details is not None else 0,
        tokens_out=usage.completion_tokens if usage is not None else 0,
        called=choice.finish_reason in {"tool_calls", "function_call"},
        truncated=choice.finish_reason == "length",
    )


def ask_openai(client: openai.OpenAI, model: str, *, stream: bool, **more: Any) -> Facts:
    """Ask with the openai SDK and let its own accumulator fold a stream."""
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
    if not stream:
        return of_completion(client.chat.completions.create(**asked))
    try:
        with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
            return of_completion(events.get_final_completion())
    except openai.LengthFinishReasonError as cut:
        return of_completion(cut.completion)


def ask_anthropic(client: anthropic.Anthropic, model: str, *, stream: bool, **more: Any) -> Facts:
    """Ask with the anthropic SDK and let its own accumulator fold a stream."""
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": 512,
        "messages": [{"role": "user", "content": "Hello"}],
        **more,
    }
    if not stream:
        return of_message(client.messages.create(**asked))
    with client.messages.stream(**asked) as events:
        return of_message(events.get_final_message())
