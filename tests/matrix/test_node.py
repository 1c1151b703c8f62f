"""The SDKs of OpenAI and Anthropic in Node, each on an adapter of the other's dialect: the same facts as in Python."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from tests.clients.web import harness
from tests.matrix import provider
from tests.matrix.cases import CASES, MESSAGE, TEXT_CASE, Case
from tests.matrix.doors import chat, messages
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

pytestmark = pytest.mark.skipif(
    bool(harness.node_missing()) and not os.environ.get("CI"), reason=harness.node_missing()
)

CROSSED = {"openai": ("anthropic", "claude-sonnet-4-5"), "anthropic": ("openai", "gpt-4.1")}
"""By SDK, the adapter it is put on."""
KINDS = [case for case in CASES if case.name != "reasoning"]


def asked(sdk: str, case: Case) -> dict[str, Any]:
    """The question as the SDK's argument."""
    question = chat.question(case) if sdk == "openai" else messages.question(case)
    return {**question, **question.pop("extra_body", {})}


def seen(sdk: str, answer: Any) -> dict[str, Any]:
    if sdk == "openai":
        return chat.facts(ChatCompletion.model_validate(answer))
    return messages.facts(Message.model_validate(answer))


@pytest.mark.parametrize("sdk", CROSSED)
def test_row(sdk: str, hub: Mesh, providers: Replay) -> None:
    adapter, model = CROSSED[sdk]
    asks = {
        f"{model}-node-{case.name.replace(' ', '-')}-{stream}": (case, stream)
        for case in KINDS
        for stream in (False, True)
    }
    for name, (case, _) in asks.items():
        provider.play(providers, adapter, name, case)
    answers = run(hub, sdk, adapter, asks)
    for name, (case, _) in asks.items():
        assert seen(sdk, answers[name]["answer"]) == case.said.facts(), name
        (arrival,) = providers.journal.of(name)
        assert {**provider.question(arrival), "extra": {}} == case.facts(), name


@pytest.mark.parametrize("sdk", CROSSED)
def test_failures(sdk: str, hub: Mesh, providers: Replay) -> None:
    adapter, model = CROSSED[sdk]
    asks = {f"{model}-node-error-{stream}": (TEXT_CASE, stream) for stream in (False, True)}
    for name in asks:
        provider.play_refusal(providers, adapter, name)
    for answer in run(hub, sdk, adapter, asks).values():
        failure = answer["error"]
        assert (failure["exception"], failure["status"]) == ("RateLimitError", 429)
        assert MESSAGE in failure["text"]


def run(hub: Mesh, sdk: str, adapter: str, asks: dict[str, tuple[Case, bool]]) -> dict[str, Any]:
    """What comes of all questions, asked at the same time."""
    told = [
        {
            "name": name,
            "sdk": sdk,
            "stream": stream,
            "question": {**asked(sdk, case), "model": f"{adapter}/{name}"},
        }
        for name, (case, stream) in asks.items()
    ]
    task = {"baseUrl": hub.base_url, "key": ADMIN_KEY, "asks": told}
    command = ["node", str(harness.HERE / "vendors.mjs"), json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=harness.SECONDS, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["name"]: each for each in answers}
