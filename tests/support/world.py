"""The configuration most tests through the front door share: every provider is the replay server."""

from __future__ import annotations

from typing import Any, Final

from tests.support.replay import Replay, upstream_key

COMPATIBLE: Final = (
    *(
        "openai",
        "avian",
        "azure_openai",
        "bedrock",
        "cerebras",
        "crusoe",
        "deepseek",
        "gemini_openai",
        "groq",
    ),
    *("huggingface", "llama_cpp", "mistral", "ollama", "openrouter", "perplexity", "snowflake", "together"),
    *("vercel-gateway", "vllm", "xai", "zai"),
)
"""Providers of recordings that speak the openai dialect."""

WITH_RESPONSES: Final = frozenset({"openai", "azure_openai", "bedrock", "deepseek", "openrouter", "xai"})
"""Those of them whose recordings show the Responses API."""

BRIEF: Final = {"first_token": 0.6, "inter_token": 0.6, "total": 2.0}
"""Time limits of the providers whose names begin with `brief-`, in seconds."""

PAIRS: Final = 128
"""How many aliases of two targets there are; a test that spoils the health of targets takes a pair of its own."""


def provider(replay: Replay, name: str, dialect: str, **more: Any) -> dict[str, Any]:
    """Return one provider's entry."""
    return {
        "dialect": dialect,
        "base_url": replay.base_url(name, dialect),
        "api_key": upstream_key(name),
        **more,
    }


def pair(number: int) -> tuple[str, str, str]:
    """Return an alias and its two targets: openai first where the number is even, anthropic first where odd."""
    targets = [f"openai/pair-{number}", f"anthropic/pair-{number}"]
    first, second = targets if number % 2 == 0 else reversed(targets)
    return f"pair-{number}", first, second


def brief_pair(number: int) -> tuple[str, str, str]:
    """Return the same of the providers with short time limits."""
    targets = [f"brief-openai/pair-{number}", f"brief-anthropic/pair-{number}"]
    first, second = targets if number % 2 == 0 else reversed(targets)
    return f"brief-pair-{number}", first, second


def configuration(replay: Replay, *, closed_port: int, origins: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the file's content."""
    providers = {
        name: provider(replay, name, "openai", responses=name in WITH_RESPONSES) for name in COMPATIBLE
    }
    # By its address nobody would know it.
    providers["openai"]["profile"] = "openai"
    providers["anthropic"] = provider(replay, "anthropic", "anthropic")
    providers["gemini"] = provider(replay, "gemini", "gemini")
    for dialect in ("openai", "anthropic"):
        providers[f"brief-{dialect}"] = provider(replay, f"brief-{dialect}", dialect, limits=BRIEF)
        closed = f"http://127.0.0.1:{closed_port}"
        providers[f"closed-{dialect}"] = {"dialect": dialect, "base_url": closed, "api_key": "never-seen"}
    providers["unset"] = {
        "dialect": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "${LLMHUB_TESTS_UNSET}",
    }
    models = {}
    for number in range(PAIRS):
        for alias, first, second in (pair(number), brief_pair(number)):
            models[alias] = {"targets": [first, second], "strategy": "failover"}
    return {
        "edge": {"host": "127.0.0.1", "cors_origins": list(origins)},
        "providers": providers,
        "models": models,
        "log": {"format": "json"},
        "grace_seconds": 5,
        "gateway": {"durability": "normal"},
        # Tests of failover count on the order of targets, however often the first one has failed before.
        "router": {"failures_to_cool_down": 1000},
    }
