"""Gemini's paths, and whom they are meant for."""

from __future__ import annotations

import pytest

from services.gateway.http.gemini import speaks, split, wants_array


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", ("gemini-2.5-pro", "generateContent")),
        (
            "/v1/models/openai/gpt-4o-mini:streamGenerateContent",
            ("openai/gpt-4o-mini", "streamGenerateContent"),
        ),
        ("/v1beta/models/ollama/llama3:8b:countTokens", ("ollama/llama3:8b", "countTokens")),
        ("/v1beta/models/a b%:embedContent", ("a b%", "embedContent")),
        ("/v1beta/models/:batchEmbedContents", ("", "batchEmbedContents")),
        ("/v1beta/models/x:predict", None),
        ("/v1beta/models/x", None),
        ("/v1beta/models/generateContent", None),
        ("/v1/models/ollama/llama3:8b", None),
        ("/v1beta/tunedModels/x:generateContent", None),
        ("/v1/chat/x:generateContent", None),
    ],
)
def test_model_and_verb_are_read_off_the_path(path: str, named: tuple[str, str] | None) -> None:
    assert split(path) == named


@pytest.mark.parametrize(
    ("path", "headers", "query", "google"),
    [
        ("/v1beta/models", {}, "", True),
        ("/v1/models/x:countTokens", {}, "", True),
        ("/v1/models", {"x-goog-api-key": "k"}, "", True),
        ("/v1/models/x", {"x-goog-api-client": "genai"}, "", True),
        ("/v1/models", {}, "pageSize=3&key=k", True),
        ("/v1/models", {"authorization": "Bearer k"}, "", False),
        ("/v1/chat/completions", {"x-goog-api-key": "k"}, "key=k", False),
    ],
)
def test_google_s_clients_are_known(path: str, headers: dict[str, str], query: str, google: bool) -> None:
    assert speaks(path, headers, query) is google


def test_a_stream_is_an_array_unless_events_are_asked_for() -> None:
    stream = "/v1/models/x:streamGenerateContent"
    assert wants_array(stream, "")
    assert wants_array(stream, "alt=json&key=k")
    assert not wants_array(stream, "key=k&alt=sse")
    assert not wants_array(stream, "%24alt=sse")
    assert not wants_array("/v1/models/x:generateContent", "")
    assert not wants_array("/v1/chat/x:streamGenerateContent", "")
