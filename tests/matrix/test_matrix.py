"""Every door on every adapter: what was said is seen, what was asked arrives, and every loss is told.

A golden cell holds what departs from that; an empty one says that nothing does.
`LLMHUB_WRITE_GOLDEN=1` writes the cells anew: read the difference before you commit it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.matrix import golden, provider
from tests.matrix.cases import CASES, TEXT_CASE, Case
from tests.matrix.doors.chat import Chat
from tests.matrix.doors.contract import Contract
from tests.matrix.doors.door import Door
from tests.matrix.doors.gemini import Gemini
from tests.matrix.doors.messages import Messages
from tests.matrix.doors.responses import Responses
from tests.matrix.watching import LOSSES
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

DOORS: dict[str, Callable[[str, str], Door]] = {
    each.name: each for each in (Chat, Responses, Messages, Gemini, Contract)
}
MODELS = {
    "openai": "gpt-4.1",
    "openai-responses": "gpt-4.1",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "bedrock": "amazon.nova-pro-v1",
    "cohere": "command-a",
    "ollama": "qwen3",
    "azure-openai": "gpt-4.1",
    "vertex": "gemini-2.5-flash",
}
REASONING = {"openai": "gpt-5-mini", "openai-responses": "gpt-5-mini"}
"""Where a model of another family reasons."""
HOSTED = {"azure-openai": "openai", "vertex": "gemini"}
"""Adapters whose dialects are hosted elsewhere, tested for what the hosting could spoil."""
FEW = [case for case in CASES if case.name in {"text", "tools"}]


@asynccontextmanager
async def opened(door: str, hub: Mesh) -> AsyncIterator[Door]:
    made = DOORS[door](hub.base_url, ADMIN_KEY)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("adapter", MODELS)
async def test_row(adapter: str, door: str, hub: Mesh, providers: Replay) -> None:
    cases = FEW if adapter in HOSTED else CASES
    async with opened(door, hub) as client:
        row = Row(adapter, client, providers)
        cells = dict(zip([each.name for each in cases], await gathered(map(row.case, cases)), strict=True))
        if adapter not in HOSTED:
            cells["error"] = await row.error()
            cells["cancel"] = await row.cancel()
    golden.check(adapter, door, cells)


async def gathered(running: Iterable[Any]) -> list[Any]:
    return list(await asyncio.gather(*running))


class Row:
    """One door on one adapter."""

    def __init__(self, adapter: str, door: Door, replay: Replay) -> None:
        self._adapter, self._door, self._replay = adapter, door, replay

    def _model(self, case: str, *, stream: bool) -> str:
        words = f"{self._door.name} {case} {'stream' if stream else 'whole'}"
        model = REASONING.get(self._adapter, "") if case == "reasoning" else ""
        return f"{model or MODELS[self._adapter]}-{words.replace(' ', '-')}"

    async def case(self, case: Case) -> dict[str, Any]:
        """Both manners of a case."""
        return golden.folded(*await gathered(self._cell(case, stream=stream) for stream in (False, True)))

    async def _cell(self, case: Case, *, stream: bool) -> dict[str, Any]:
        model = self._model(case.name, stream=stream)
        provider.play(self._replay, self._adapter, model, case)
        losses: list[str] = []
        LOSSES.set(losses)
        cell: dict[str, Any] = {}
        try:
            got = await self._door.ask(case, f"{self._adapter}/{model}", stream=stream)
        except Exception as error:  # noqa: BLE001 (what it is goes into the golden file)
            cell["failure"] = self._door.failure(error)
        else:
            cell["answer"] = golden.departures(got, self._seen(case))
        arrivals = [each for each in self._replay.journal.of(model) if each.provider == self._adapter]
        if len(arrivals) != 1:
            cell["requests"] = len(arrivals)
        for arrival in arrivals[:1]:
            asked = provider.question(arrival)
            cell["extra"] = asked.pop("extra")
            cell["question"] = golden.departures(asked, self._asked(case))
        cell["losses"] = sorted(loss.replace(model, "MODEL") for loss in losses)
        return {name: value for name, value in cell.items() if value}

    def _seen(self, case: Case) -> dict[str, Any]:
        """What can be seen at best: what both ends have words for."""
        facts = case.said.facts()
        lacks = provider.WORDS[HOSTED.get(self._adapter, self._adapter)].lacks | self._door.lacks
        for name in lacks & facts.keys():
            facts[name] = type(facts[name])()
        if "ids" in lacks:
            facts["calls"] = [{**call, "id": self._door.id_for_none} for call in facts["calls"]]
        return facts

    def _asked(self, case: Case) -> dict[str, Any]:
        facts = case.facts()
        for name in self._door.cannot_ask:
            facts[name] = type(facts[name])()
        return facts

    async def error(self) -> dict[str, Any]:
        """What comes of a provider's 429."""
        return golden.folded(*await gathered(self._refused(stream=stream) for stream in (False, True)))

    async def _refused(self, *, stream: bool) -> dict[str, Any]:
        model = self._model("error", stream=stream)
        provider.play_refusal(self._replay, self._adapter, model)
        LOSSES.set([])
        try:
            await self._door.ask(TEXT_CASE, f"{self._adapter}/{model}", stream=stream)
        except Exception as error:  # noqa: BLE001 (what it is goes into the golden file)
            return self._door.failure(error)
        raise AssertionError("nothing was raised")

    async def cancel(self) -> dict[str, Any]:
        """What a provider sees of a caller who leaves."""
        return golden.folded(*await gathered(self._left(stream=stream) for stream in (False, True)))

    async def _left(self, *, stream: bool) -> str:
        model = self._model("cancel", stream=stream)
        provider.play_half(self._replay, self._adapter, model, TEXT_CASE)
        LOSSES.set([])
        name, journal = f"{self._adapter}/{model}", self._replay.journal
        if stream:
            await self._door.begin(TEXT_CASE, name)
        else:
            running = asyncio.create_task(self._door.ask(TEXT_CASE, name, stream=False))
            await asyncio.to_thread(journal.wait, lambda seen: seen.model == model)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(
            journal.wait, lambda seen: seen.model == model and seen.left_at is not None, 5.0
        )
        return "the provider was left"


TOLD_BY = {
    "state": {".state"},
    "choice": {"tool_choice", "response_format"},
    "tools": {"response_format"},
    "schema": {"response_format"},
    "stop": {"stop_sequences"},
}
"""Words of the loss that tells of a field that did not cross."""
OURS = {("openai", "openai responses", "reasoning"): {"state"}}
"""Where a field departs and nothing is lost: what a thought is called back by is made by the door."""
SILENT = {
    (adapter, "gemini", "reasoning"): {"state"} for adapter in ("anthropic", "bedrock", "openai-responses")
}
"""Losses that nobody tells: Google's SDK takes every line of a stream that is no data for JSON, comments too."""


@pytest.mark.parametrize("adapter", MODELS)
def test_every_departure_is_told(adapter: str) -> None:
    rows = json.loads((golden.FOLDER / f"{adapter}.json").read_text())
    for door, row in rows.items():
        for case, manners in row.items():
            for manner, cell in manners.items():
                if case not in {"error", "cancel"}:
                    known = OURS.get((adapter, door, case), set())
                    if manner != "whole":
                        known = known | SILENT.get((adapter, door, case), set())
                    assert untold(cell) == known, (door, case, manner)


def untold(cell: dict[str, Any]) -> set[str]:
    """The fields that departed without a word."""
    departed = {**cell.get("answer", {}), **cell.get("question", {})}
    losses = " ".join(cell.get("losses", ()))
    return {name for name in departed if not any(word in losses for word in TOLD_BY.get(name, ()))}


def test_golden_files_are_complete() -> None:
    for adapter in MODELS:
        rows = json.loads((golden.FOLDER / f"{adapter}.json").read_text())
        assert rows.keys() == set(DOORS)
