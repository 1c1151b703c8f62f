"""POST /model/{model}/converse and /converse-stream; boto3's own shapes judge what arrives and what is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import stream as framed
from tests.matrix.cases import MESSAGE, Said, asked
from tests.matrix.upstream.words import halves, joined, parts_of, refused
from tests.support.faults import Program

_CHOICES = {"any": "required", "auto": "auto", "tool": "named"}
_MODEL = "amazon.nova-pro-v1:0"


class Bedrock:
    """Converse, which never says how much of an answer was thinking."""

    lacks = frozenset({"tokens_thought", "retry_after"})
    content_type = "application/vnd.amazon.eventstream"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        operation = "ConverseStream" if stream else "Converse"
        assert official.serialised(operation, _MODEL, body)[1] == body
        official.accepted(operation, body)
        parts, own = parts_of(body["messages"], "user"), parts_of(body["messages"], "assistant")
        calls = [part["toolUse"] for part in own if "toolUse" in part]
        results = [part["toolResult"] for part in parts if "toolResult" in part]
        tools = body.get("toolConfig") or {}
        specs = [each["toolSpec"] for each in tools.get("tools") or ()]
        shape = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
        written = (shape.get("jsonSchema") or {}).get("schema")
        settings = body.get("inferenceConfig") or {}
        return asked(
            system=joined(body.get("system")),
            texts=[part["text"] for part in parts if "text" in part],
            images=[base64.b64decode(p["image"]["source"]["bytes"]) for p in parts if "image" in p],
            tools=[(each["name"], each.get("description"), each["inputSchema"]["json"]) for each in specs],
            choice=_CHOICES[next(iter(tools.get("toolChoice") or {"auto": {}}))],
            calls=[(each["toolUseId"], each["name"], each["input"]) for each in calls],
            results=[(each["toolUseId"], joined(each["content"])) for each in results],
            schema=json.loads(written) if written else None,
            most_tokens=settings.get("maxTokens"),
            temperature=settings.get("temperature"),
            stop=settings.get("stopSequences") or [],
            more=body.get("additionalModelRequestFields"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        body = {
            "output": {"message": {"role": "assistant", "content": _blocks(said)}},
            "stopReason": _finish(said),
            **_metadata(said),
        }
        official.whole("Converse", json.dumps(body).encode())
        return body

    def pieces(self, said: Said, model: str) -> list[bytes]:
        events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        for index, block in enumerate(_blocks(said)):
            at = {"contentBlockIndex": index}
            if "toolUse" in block:
                call = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
                events.append(("contentBlockStart", {"start": {"toolUse": call}, **at}))
            events += [("contentBlockDelta", {"delta": delta, **at}) for delta in _deltas(block)]
            events.append(("contentBlockStop", at))
        events += [("messageStop", {"stopReason": _finish(said)}), ("metadata", _metadata(said))]
        pieces = [framed(event) for event in events]
        assert len(list(official.events("ConverseStream", pieces))) == len(events)
        return pieces

    def refusal(self) -> Program:
        return refused({"message": MESSAGE}, {"x-amzn-errortype": "ThrottlingException"})


def _finish(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _metadata(said: Said) -> dict[str, Any]:
    usage = {
        "inputTokens": said.tokens_in - said.tokens_cached,
        "cacheReadInputTokens": said.tokens_cached,
        "cacheWriteInputTokens": 0,
        "outputTokens": said.tokens_out,
        "totalTokens": said.tokens_in + said.tokens_out,
    }
    return {"usage": usage, "metrics": {"latencyMs": 5}}


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thought:
        told = {"text": said.thought, "signature": said.state}
        blocks.append({"reasoningContent": {"reasoningText": told}})
    if said.text:
        blocks.append({"text": said.text})
    return blocks + [
        {"toolUse": {"toolUseId": call.id, "name": said.tool, "input": call.value}} for call in said.calls
    ]


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    if "reasoningContent" in block:
        told = block["reasoningContent"]["reasoningText"]
        thoughts = [{"reasoningContent": {"text": piece}} for piece in halves(told["text"])]
        return [*thoughts, {"reasoningContent": {"signature": told["signature"]}}]
    if "toolUse" in block:
        return [{"toolUse": {"input": piece}} for piece in halves(json.dumps(block["toolUse"]["input"]))]
    return [{"text": piece} for piece in halves(block["text"])]
