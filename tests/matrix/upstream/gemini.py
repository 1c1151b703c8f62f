"""POST /v1beta/models/{model}:generateContent and :streamGenerateContent."""

from __future__ import annotations

import base64
from typing import Any

from google.genai import types

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, joined, refused
from tests.support.faults import Program

_CHOICES = {"ANY": "required", "AUTO": "auto", None: "auto"}


class Gemini:
    """Gemini's dialect; as mostly, its calls have no ids."""

    lacks = frozenset({"ids"})
    content_type = "text/event-stream"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        contents = body["contents"]
        parts = [part for content in contents if content["role"] == "user" for part in content["parts"]]
        own = [part for content in contents if content["role"] == "model" for part in content["parts"]]
        calls = [part["functionCall"] for part in own if "functionCall" in part]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        declared = [each for tool in body.get("tools") or () for each in tool["functionDeclarations"]]
        settings = body.get("generationConfig") or {}
        chosen = ((body.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode")
        return asked(
            system=joined((body.get("systemInstruction") or {}).get("parts")),
            texts=[part["text"] for part in parts if "text" in part],
            images=[_bytes(part["inlineData"]["data"]) for part in parts if "inlineData" in part],
            tools=[
                (
                    each["name"],
                    each.get("description"),
                    # Google's own SDK spells members either way, and Google reads either.
                    each.get("parametersJsonSchema") or each.get("parameters_json_schema"),
                )
                for each in declared
            ],
            choice=_CHOICES[chosen],
            calls=[(each.get("id"), each["name"], each["args"]) for each in calls],
            results=[(each.get("id"), _result(each["response"])) for each in results],
            schema=settings.get("responseJsonSchema", settings.get("responseSchema")),
            most_tokens=settings.get("maxOutputTokens"),
            temperature=settings.get("temperature"),
            stop=settings.get("stopSequences") or [],
            thinking=settings.get("thinkingConfig"),
            mime_type=settings.get("responseMimeType"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        parts = _parts(said, whole=True)
        return _answer(said, model, parts, last=True)

    def pieces(self, said: Said, model: str) -> list[bytes]:
        parts = _parts(said, whole=False)
        frames = [
            _answer(said, model, [part], last=number == len(parts) - 1) for number, part in enumerate(parts)
        ]
        return [
            b"data: "
            + types.GenerateContentResponse.model_validate(frame)
            .model_dump_json(by_alias=True, exclude_none=True)
            .encode()
            + b"\r\n\r\n"
            for frame in frames
        ]

    def refusal(self) -> Program:
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{RETRY_SECONDS}s"}
        error = {"code": 429, "message": MESSAGE, "status": "RESOURCE_EXHAUSTED", "details": [delay]}
        return refused({"error": error})


def _bytes(data: str) -> bytes:
    """Read either alphabet of base64; Google's SDK writes the one of URLs."""
    return base64.b64decode(data.replace("-", "+").replace("_", "/"))


def _result(response: dict[str, Any]) -> str:
    """A result's text, under whichever name it was put."""
    ((_, text),) = response.items()
    return str(text)


def _parts(said: Said, *, whole: bool) -> list[dict[str, Any]]:
    def cut(text: str) -> list[str]:
        return ([text] if text else []) if whole else halves(text)

    parts: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in cut(said.thought)]
    parts += [{"text": piece} for piece in cut(said.text)]
    if said.state:
        parts[-1]["thoughtSignature"] = said.state
    return parts + [{"functionCall": {"name": TOOL, "args": call.value}} for call in said.calls]


def _answer(said: Said, model: str, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "r1"}
    if last:
        candidate["finishReason"] = "STOP"
        body["usageMetadata"] = {
            "promptTokenCount": said.tokens_in,
            "cachedContentTokenCount": said.tokens_cached,
            "candidatesTokenCount": said.tokens_out - said.tokens_thought,
            "thoughtsTokenCount": said.tokens_thought,
            "totalTokenCount": said.tokens_in + said.tokens_out,
        }
    types.GenerateContentResponse.model_validate(body)
    return body
