"""Log-probabilities: Gemini's own object, or OpenAI's written as Gemini's."""

from __future__ import annotations

from typing import Any

import msgspec

from services.dialects.members import JsonObject, decode_json


def write_logprobs(text: str) -> object | None:
    """`logprobsResult`, to the letter if it is Gemini's; None if it is in words that nobody knows."""
    try:
        value = decode_json(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    content = value.get("content")
    if isinstance(content, list) and "chosenCandidates" not in value:
        tokens = [each for each in content if isinstance(each, dict)]
        written: JsonObject = {"chosenCandidates": [_one(each) for each in tokens]}
        tops = [each.get("top_logprobs") for each in tokens]
        if any(tops):
            written["topCandidates"] = [{"candidates": [_one(one) for one in top or ()]} for top in tops]
        return written
    return msgspec.Raw(text)


def _one(value: Any) -> JsonObject:
    token = value if isinstance(value, dict) else {}
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", 0.0)}
