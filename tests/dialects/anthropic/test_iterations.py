"""Usage of calls that were several: compaction and advisors are charged beside the sums."""

import json
from typing import Any, Final

import pytest

from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_ANTHROPIC_MESSAGES
from services.dialects.anthropic import AnthropicCodec
from services.dialects.anthropic.usage import read_usage
from services.dialects.fold import fold
from tests.support.exchanges import named

CODEC: Final = AnthropicCodec()
SPLIT: Final = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7}
USAGE: Final[dict[str, Any]] = {
    "input_tokens": 30,
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 4},
    "cache_read_input_tokens": 3,
    "iterations": [
        {"type": "message", "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3},
        {
            "type": "compaction",
            "input_tokens": 100,
            "output_tokens": 200,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 12,
            "cache_creation": SPLIT,
        },
        {"type": "advisor_message", "model": "m", "input_tokens": 1, "output_tokens": 2},
        {"type": "fallback_message", "model": "n", "input_tokens": 20, "output_tokens": 15},
    ],
}


def test_what_is_charged_beside_the_sums_is_added() -> None:
    usage = read_usage(USAGE, json.dumps(USAGE))
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (131, 218, 4)
    assert (usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (1003, 5, 7)
    assert not usage.HasField("cache_write_tokens")
    assert json.loads(usage.provider_json) == USAGE


@pytest.mark.parametrize(
    "iterations",
    [None, [], "x", [None, 1, {}], [{"type": "compaction", "input_tokens": -1, "output_tokens": "2"}]],
)
def test_nonsense_adds_nothing(iterations: object) -> None:
    plain = {"input_tokens": 1, "output_tokens": 2}
    usage = read_usage({**plain, "iterations": iterations}, "")
    assert usage == read_usage(plain, "")


def test_sums_never_overflow() -> None:
    huge = {"type": "compaction", "input_tokens": (1 << 63) - 1}
    assert read_usage({"input_tokens": 5, "iterations": [huge]}, "").input_tokens == 5


@pytest.mark.parametrize(
    ("name", "tokens"), [("anthropic/034", (2411 + 2543, 145 + 18)), ("anthropic/012", (181 + 100, 8 + 83))]
)
def test_recorded_calls(name: str, tokens: tuple[int, int]) -> None:
    exchange = named(name)
    decoder = CODEC.stream_decoder()
    usage = fold([*decoder.feed(exchange.answer), *decoder.close()]).usage
    assert (usage.input_tokens, usage.output_tokens + usage.reasoning_tokens) == tokens
    tap = CODEC.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
    tap.feed(exchange.answer)
    progress = tap.close().progress
    assert progress is not None
    relayed = progress.usage
    assert (relayed.input_tokens, relayed.output_tokens + relayed.reasoning_tokens) == tokens
