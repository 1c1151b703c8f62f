"""Usage in disjoint classes, as far as Bedrock tells them apart."""

import json
from typing import Any

import pytest

from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.bedrock.usage import read_usage, write_usage

SUMS = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 99}


def read(**members: Any) -> Usage:
    value = {**SUMS, **members}
    usage = read_usage(value, json.dumps(value))
    assert json.loads(usage.provider_json) == value
    return usage


def details(**tokens: int) -> list[dict[str, Any]]:
    return [{"ttl": ttl.removeprefix("_"), "inputTokens": count} for ttl, count in tokens.items()]


@pytest.mark.parametrize(
    ("members", "five", "hour", "other"),
    [
        ({}, None, None, None),
        ({"cacheWriteInputTokens": 0}, None, None, 0),
        ({"cacheWriteInputTokens": 9}, None, None, 9),
        ({"cacheWriteInputTokens": 9, "cacheDetails": details(_5m=9)}, 9, None, None),
        ({"cacheWriteInputTokens": 9, "cacheDetails": details(_1h=4, _5m=5)}, 5, 4, None),
        ({"cacheWriteInputTokens": 9, "cacheDetails": details(_1h=4)}, None, 4, 5),
        ({"cacheWriteInputTokens": 3, "cacheDetails": details(_1h=4)}, None, None, 3),
        ({"cacheDetails": details(_1h=4)}, None, 4, None),
        ({"cacheWriteInputTokens": 9, "cacheDetails": [1, {"ttl": []}, *details(_2h=4)]}, None, None, 9),
    ],
)
def test_cache_writes_are_split_as_far_as_told(
    members: dict[str, Any], five: int | None, hour: int | None, other: int | None
) -> None:
    usage = read(**members)
    for name, expected in (("5m_tokens", five), ("1h_tokens", hour), ("tokens", other)):
        field: Any = f"cache_write_{name}"
        assert (getattr(usage, field) if usage.HasField(field) else None) == expected
    assert (usage.input_tokens, usage.output_tokens, usage.provider_total_tokens) == (5, 7, 99)
    assert not usage.HasField("reasoning_tokens")
    assert not usage.HasField("cache_read_tokens")
    assert read_usage(write_usage(usage), "").cache_write_5m_tokens == (five or 0)


def test_unknown_is_not_zero() -> None:
    usage = read_usage({"inputTokens": "5", "outputTokens": -1, "totalTokens": 1 << 70}, "{}")
    assert not any(
        usage.HasField(name) for name in ("input_tokens", "output_tokens", "provider_total_tokens")
    )
    assert read(cacheReadInputTokens=0).HasField("cache_read_tokens")


def test_calls_of_the_providers_own_tools() -> None:
    assert dict(read(serverToolUsage={"searches": 2, "odd": "x"}).server_tool_calls) == {"searches": 2}


def test_what_is_written_adds_up() -> None:
    usage = Usage(
        input_tokens=1,
        tool_prompt_tokens=2,
        output_tokens=3,
        reasoning_tokens=4,
        cache_read_tokens=5,
        cache_write_5m_tokens=6,
        cache_write_1h_tokens=7,
        cache_write_tokens=8,
    )
    assert write_usage(usage) == {
        "inputTokens": 3,
        "outputTokens": 7,
        "totalTokens": 36,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 21,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 7}, {"ttl": "5m", "inputTokens": 6}],
    }
