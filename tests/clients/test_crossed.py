"""Each SDK on a model of the other dialect: the same facts, and every loss said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.facts import Facts, add_charged_beside, ask_anthropic, ask_openai
from tests.support.mesh import Mesh
from tests.support.replay import Replay
from tests.support.sdks import anthropic_direct, anthropic_through, openai_direct, openai_through

pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    # The recorded models are old; the SDK says so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CLAUDES = [each for each in recorded("anthropic.messages") if each.status == 200]
GPTS = [each for each in recorded("openai.chat") if each.status == 200 and each.provider == "openai"]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def gpt(mesh: Mesh) -> Iterator[openai.OpenAI]:
    with openai_through(mesh) as client:
        yield client


@pytest.fixture(scope="module")
def claude(mesh: Mesh) -> Iterator[anthropic.Anthropic]:
    with anthropic_through(mesh) as client:
        yield client


@pytest.fixture(scope="module")
def direct_gpt(replay: Replay) -> Iterator[openai.OpenAI]:
    with openai_direct(replay) as client:
        yield client


@pytest.fixture(scope="module")
def direct_claude(replay: Replay) -> Iterator[anthropic.Anthropic]:
    with anthropic_direct(replay) as client:
        yield client


def play(replay: Replay, exchange: Exchange) -> str:
    """Have the recording answered, and return its model in llmhub's naming."""
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 11)))
    return f"{exchange.provider}/{exchange.model}"


def same(got: Facts, expected: Facts) -> None:
    assert got == expected


@pytest.mark.parametrize("exchange", CLAUDES, ids=str)
def test_openai_sdk_reads_anthropic_answers(
    exchange: Exchange, gpt: openai.OpenAI, direct_claude: anthropic.Anthropic, replay: Replay
) -> None:
    model = play(replay, exchange)
    expected = ask_anthropic(direct_claude, exchange.model, stream=exchange.streaming)
    add_charged_beside(expected, exchange.answer)
    same(ask_openai(gpt, model, stream=exchange.streaming), expected)


@pytest.mark.parametrize("exchange", GPTS, ids=str)
def test_anthropic_sdk_reads_openai_answers(
    exchange: Exchange, claude: anthropic.Anthropic, direct_gpt: openai.OpenAI, replay: Replay
) -> None:
    model = play(replay, exchange)
    expected = ask_openai(direct_gpt, exchange.model, stream=exchange.streaming)
    same(ask_anthropic(claude, model, stream=exchange.streaming), expected)


TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def test_openai_tools_and_images_reach_an_anthropic_model(gpt: openai.OpenAI, replay: Replay) -> None:
    exchange = named("anthropic/044")
    model = play(replay, exchange)
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"city":"Bern"}'},
                },
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"city":"Rome"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "a river"},
        {"role": "tool", "tool_call_id": "call_2", "content": "a hill"},
    ]
    tools: Any = [
        {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": TOOL}}
    ]
    got = gpt.chat.completions.create(
        model=model, messages=messages, tools=tools, tool_choice="required", max_tokens=99, seed=4
    )
    assert got.choices[0].finish_reason == "tool_calls"
    sent = replay.journal.of(exchange.model)[-1].json
    assert sent["max_tokens"] == 99
    assert "Be brief." in json.dumps(sent["system"])
    assert sent["tools"][0]["name"] == "look"
    assert sent["tools"][0]["input_schema"] == TOOL
    assert sent["tool_choice"]["type"] == "any"
    user, assistant, results = sent["messages"]
    assert [block["type"] for block in user["content"]] == ["text", "image", "image"]
    assert user["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}
    assert user["content"][2]["source"] == {"type": "url", "url": "https://example.com/a.png"}
    assert [(block["id"], block["input"]) for block in assistant["content"]] == [
        ("call_1", {"city": "Bern"}),
        ("call_2", {"city": "Rome"}),
    ]
    assert [block["tool_use_id"] for block in results["content"]] == ["call_1", "call_2"]


def test_anthropic_tools_and_images_reach_an_openai_model(
    claude: anthropic.Anthropic, replay: Replay
) -> None:
    exchange = named("openai/024")
    model = play(replay, exchange)
    messages: Any = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Bern"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a river"}],
        },
    ]
    tools: Any = [{"name": "look", "description": "Look.", "input_schema": TOOL}]
    got = claude.messages.create(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice={"type": "any"},
        max_tokens=99,
        system="Be brief.",
    )
    assert got.stop_reason == "tool_use"
    sent = replay.journal.of(exchange.model)[-1].json
    assert 99 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent["tool_choice"] == "required"
    assert sent["tools"][0]["function"]["parameters"] == TOOL
    system, user, assistant, result = sent["messages"]
    assert (system["role"], system["content"]) in (("system", "Be brief."), ("developer", "Be brief."))
    assert user["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"city": "Bern"}
    assert assistant["content"] == "I look."
    assert (result["role"], result["tool_call_id"]) == ("tool", "toolu_1")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_losses_are_said(stream: bool, gpt: openai.OpenAI, replay: Replay) -> None:
    exchange = named("anthropic/043" if stream else "anthropic/051")
    model = play(replay, exchange)
    raw = gpt.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": "Hello"}],
        seed=7,
        logit_bias={"50256": -100},
        stream=stream,
    )
    raw.http_response.read()
    warnings = json.loads(raw.headers["x-llmhub-warnings"])
    assert {"options.seed", "options.logit_bias"} <= {warning["field"] for warning in warnings}
    assert all(warning["kind"] in {"dropped", "emulated", "altered"} for warning in warnings)
    sent = replay.journal.of(exchange.model)[-1].json
    assert "seed" not in sent
    assert "logit_bias" not in sent


def test_a_relayed_call_has_no_warnings(gpt: openai.OpenAI, replay: Replay) -> None:
    model = play(replay, named("openai/018"))
    raw = gpt.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], seed=7, extra_body={"unknown_member": 1}
    )
    assert "x-llmhub-warnings" not in raw.headers
    assert replay.journal.of("gpt-4o-mini")[-1].json["unknown_member"] == 1
