"""POST /v1beta/models/…:generateContent and :streamGenerateContent?alt=sse."""

from __future__ import annotations

import json
from typing import Any

from tests.programs.words.spoken import INPUT_TOKENS, OUTPUT_TOKENS, Asked, Said, halves

_USAGE = {
    "promptTokenCount": INPUT_TOKENS,
    "candidatesTokenCount": OUTPUT_TOKENS,
    "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
}


class Gemini:
    """GenerateContent."""

    def read(self, body: dict[str, Any], path: str) -> Asked:
        parts = [part for content in body["contents"] for part in content.get("parts", ())]
        answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        tools = (
            each["name"] for group in body.get("tools", ()) for each in group.get("functionDeclarations", ())
        )
        results = tuple(json.dumps(each) for each in answers)
        return Asked(":streamGenerateContent" in path, frozenset(tools), results, body)

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        texts = [{"text": said.text}] if said.text else []
        return _answer(said, [*texts, *_calls(said)], model, last=True)

    def events(self, said: Said, model: str) -> list[bytes]:
        pieces = [[{"text": piece}] for piece in halves(said.text)] if said.text else []
        if said.calls:
            pieces.append(_calls(said))
        answers = [_answer(said, parts, model, last=parts is pieces[-1]) for parts in pieces]
        return [f"data: {json.dumps(each)}\r\n\r\n".encode() for each in answers]


def _calls(said: Said) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": call.name, "args": call.arguments}} for call in said.calls]


def _answer(said: Said, parts: list[dict[str, Any]], model: str, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _USAGE,
        "modelVersion": model,
        "responseId": f"response-{said.number}",
    }
