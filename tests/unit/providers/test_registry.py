"""Who translates for a provider, and what goes to it as it is."""

from __future__ import annotations

import pytest

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from services.dialects.names import DIALECTS
from services.dialects.registry import Spoken, is_claude, speech

CHAT = Endpoint.ENDPOINT_OPENAI_CHAT
RESPONSES = Endpoint.ENDPOINT_OPENAI_RESPONSES
RERANK = Endpoint.ENDPOINT_RERANK
MESSAGES = Endpoint.ENDPOINT_ANTHROPIC_MESSAGES
COMPACT = Endpoint.ENDPOINT_OPENAI_COMPACT


def usual(dialect: str, base_url: str = "", profile: str = "", *, responses: bool | None = None) -> Spoken:
    return speech(dialect, base_url, profile, responses=responses).usual


def test_openai_itself_takes_all_its_own_bodies_and_no_rerank() -> None:
    spoken = usual("openai", "https://api.openai.com/v1")
    assert spoken.codec == "openai"
    assert {CHAT, RESPONSES, COMPACT} <= set(spoken.relays)
    assert RERANK not in spoken.relays
    assert set(usual("openai", "http://127.0.0.1:1/v1", "openai").relays) == set(spoken.relays)


@pytest.mark.parametrize(
    ("base_url", "profile", "responses", "takes"),
    [
        ("http://127.0.0.1:8000/v1", "", None, False),
        ("http://127.0.0.1:8000/v1", "", True, True),
        ("http://127.0.0.1:11434/v1", "", None, True),
        ("http://127.0.0.1:11434/v1", "", False, False),
        ("https://api.groq.com/openai/v1", "", None, True),
        ("https://api.groq.com.evil.example/v1", "", None, False),
        ("https://api.mistral.ai/v1", "", None, False),
        ("https://proxy.example/v1", "xai", None, True),
        ("https://api.groq.com/openai/v1", "mistral", None, False),
        ("http://${HOST}:${PORT}/v1", "", None, False),
        ("http://[broken/v1", "", None, False),
    ],
)
def test_responses_go_as_they_are_to_servers_known_to_have_them(
    base_url: str, profile: str, *, responses: bool | None, takes: bool
) -> None:
    relays = usual("openai", base_url, profile, responses=responses).relays
    assert (RESPONSES in relays) is takes
    assert CHAT in relays
    assert RERANK in relays
    assert COMPACT not in relays


def test_the_responses_dialect_takes_the_same_bodies_and_has_its_own_codec() -> None:
    chat, responses = (
        usual("openai", "https://api.openai.com/v1"),
        usual("openai-responses", "https://api.openai.com/v1"),
    )
    assert responses == Spoken("openai-responses", chat.relays)
    assert RESPONSES in usual("openai-responses", "http://127.0.0.1:8000/v1").relays


@pytest.mark.parametrize("dialect", ["vertex", "bedrock"])
def test_claude_speaks_its_own_dialect_where_others_host_it(dialect: str) -> None:
    hosted = speech(dialect)
    assert hosted.of("us.anthropic.claude-sonnet-4-5-20250929-v1:0").codec == "anthropic"
    assert MESSAGES in hosted.of("claude-haiku-4-5@20251001").relays
    assert hosted.of("amazon.nova-lite-v1:0") == hosted.usual
    assert MESSAGES not in hosted.usual.relays


def test_claude_is_told_by_the_beginning_of_a_name() -> None:
    assert is_claude("arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-3-haiku")
    assert is_claude("publishers/anthropic/models/claude-opus-5")
    assert not is_claude("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/ab12")
    assert not is_claude("not-claude")


def test_every_dialect_is_in_the_table_and_a_plug_in_relays_nothing() -> None:
    assert all(usual(dialect).codec for dialect in DIALECTS)
    assert usual("acme") == Spoken("acme")
    assert usual("sim") == Spoken("sim")
