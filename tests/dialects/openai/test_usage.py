"""Every vendor's usage in disjoint classes that add up to its total, or the difference is one we know."""

import json
from typing import Any

import pytest

from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, MODALITY_AUDIO, Usage
from services.dialects.members import encode_json
from services.dialects.openai.usage import decode_usage, encode_usage
from tests.support.exchanges import Exchange
from tests.support.recordings import frames, recordings

ANSWERED = [each for each in recordings("openai.chat", "openai.embeddings") if each.status == 200]

BESIDE_THE_TOTAL = {
    "azure_openai/001": "xAI on Azure counts the cached prompt neither in the prompt nor in the total",
    "vercel-gateway/001": "Vercel before Gemini leaves thoughts out of the completion and of the total",
}


def last_usage(exchange: Exchange) -> dict[str, Any] | None:
    bodies = frames(exchange.answer) if exchange.streaming else [json.loads(exchange.answer)]
    found = [body.get("usage") or (body.get("x_groq") or {}).get("usage") for body in bodies]
    return next((usage for usage in reversed(found) if usage), None)


def total(usage: Usage) -> int:
    written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    spoken = usage.output_tokens + usage.reasoning_tokens
    return usage.input_tokens + usage.cache_read_tokens + written + spoken + usage.tool_prompt_tokens


@pytest.mark.parametrize("exchange", ANSWERED, ids=str)
def test_classes_add_up_to_the_total(exchange: Exchange) -> None:
    value = last_usage(exchange)
    if value is None:
        return
    usage = decode_usage(value)
    assert usage.measure == MEASURE_VENDOR
    assert json.loads(usage.provider_json) == value
    number = "-".join(exchange.name.split("-openai-")[0].split("-"))
    if number in BESIDE_THE_TOTAL:
        assert total(usage) > usage.provider_total_tokens
    else:
        assert total(usage) == usage.provider_total_tokens
    assert usage.output_tokens <= value.get("completion_tokens", 0)
    assert json.loads(encode_json(encode_usage(usage))) == value


def classes(usage: Usage) -> dict[str, int]:
    return {
        field.name.removesuffix("_tokens"): value
        for field, value in usage.ListFields()
        if field.name.endswith("_tokens") and field.name != "provider_total_tokens"
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"input": 30, "cache_read": 60, "cache_write": 10, "output": 30, "reasoning": 20},
            id="openai: prompt has the cache, completion has reasoning",
        ),
        pytest.param(
            {
                "prompt_tokens": 526,
                "completion_tokens": 27,
                "total_tokens": 625,
                "prompt_tokens_details": {"cached_tokens": 512},
                "completion_tokens_details": {"reasoning_tokens": 72},
            },
            {"input": 14, "cache_read": 512, "output": 27, "reasoning": 72},
            id="xai: completion has no reasoning",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 100,
                "total_tokens": 150,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            {"input": 10, "output": 100, "reasoning": 40},
            id="xai: less reasoning than completion",
        ),
        pytest.param(
            {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100},
            {"input": 66, "output": 6, "reasoning": 28},
            id="gemini: thoughts only in the total",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 201, "total_tokens": 585, "prompt_audio_seconds": 30},
            {"input": 384, "output": 201},
            id="mistral: sound only in the total",
        ),
        pytest.param(
            {
                "prompt_tokens": 976,
                "completion_tokens": 61,
                "total_tokens": 1037,
                "prompt_cache_hit_tokens": 896,
            },
            {"input": 80, "cache_read": 896, "output": 61},
            id="deepseek: hits and misses",
        ),
        pytest.param(
            {"prompt_tokens": 175, "completion_tokens": 39, "total_tokens": 214, "num_cached_tokens": 174},
            {"input": 1, "cache_read": 174, "output": 39},
            id="mistral: num_cached_tokens",
        ),
        pytest.param(
            {
                "prompt_tokens": 33,
                "completion_tokens": 7,
                "total_tokens": 40,
                "citation_tokens": 200,
                "reasoning_tokens": 700,
                "num_search_queries": 18,
            },
            {"input": 33, "output": 7, "reasoning": 700, "tool_prompt": 200},
            id="perplexity: research beside the total",
        ),
        pytest.param(
            {
                "prompt_tokens": 43,
                "completion_tokens": 10,
                "total_tokens": 53,
                "completion_tokens_details": {"reasoning_tokens": 11},
            },
            {"input": 43, "output": 0, "reasoning": 10},
            id="openrouter: reasoning counted by another tokenizer",
        ),
        pytest.param(
            {"prompt_tokens": 5, "total_tokens": 5}, {"input": 5}, id="embeddings: no output is known"
        ),
        pytest.param({}, {}, id="unknown is not zero"),
        pytest.param(
            {"prompt_tokens": -1, "completion_tokens": "x", "total_tokens": 2**70}, {}, id="garbage"
        ),
    ],
)
def test_vendors(value: dict[str, Any], expected: dict[str, int]) -> None:
    assert classes(decode_usage(value)) == expected


def test_tools_and_sound_are_told_apart() -> None:
    usage = decode_usage(
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": {"audio_tokens": 7},
            "server_tool_use_details": {"web_search_requests": 3},
            "num_sources_used": 2,
        }
    )
    assert dict(usage.server_tool_calls) == {"web_search_requests": 3, "sources_used": 2}
    assert [(each.modality, each.tokens) for each in usage.modalities] == [(MODALITY_AUDIO, 7)]
    assert not usage.HasField("provider_total_tokens")


def test_usage_of_another_dialect_is_written_anew() -> None:
    usage = Usage(
        input_tokens=10,
        cache_read_tokens=20,
        cache_write_5m_tokens=5,
        output_tokens=7,
        reasoning_tokens=3,
        provider_json='{"input_tokens":10}',
    )
    assert encode_usage(usage) == {
        "prompt_tokens": 35,
        "completion_tokens": 10,
        "total_tokens": 45,
        "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
