"""Request bodies: about 1 kB of prompt, with the marker that tells mock.c how to answer."""

import json

_SENTENCE = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. "
_PROMPT = ("Summarise the following passage in one sentence. " + _SENTENCE * 18)[:1000]
_SYSTEM = "You are a helpful assistant."
CHUNKS = 100


def _prompt(gap_ms: int | None) -> str:
    """The prompt; `gap_ms` between two chunks of the answer, None for an answer that is not streamed."""
    return f"{_PROMPT} mock-n{CHUNKS}-d{gap_ms or 0}"


def openai_body(model: str, gap_ms: int | None) -> bytes:
    """A chat-completions request."""
    body: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _prompt(gap_ms)},
        ],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if gap_ms is not None:
        body["stream"] = True
    return json.dumps(body, separators=(",", ":")).encode()


def contract_body(model: str, gap_ms: int | None) -> bytes:
    """A llmhub.completion.v1.GenerateRequest as protobuf JSON, for REST and, parsed, for gRPC."""
    body = {
        "model": model,
        "messages": [
            {"role": "ROLE_SYSTEM", "parts": [{"text": _SYSTEM}]},
            {"role": "ROLE_USER", "parts": [{"text": _prompt(gap_ms)}]},
        ],
        "options": {"temperature": 0.7, "maxOutputTokens": 256},
    }
    return json.dumps(body, separators=(",", ":")).encode()
