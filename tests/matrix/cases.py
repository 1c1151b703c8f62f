"""What callers ask and what providers answer, in no dialect's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from tests.support.contract import PIXEL

SYSTEM: Final = "Be brief."
TEXT: Final = "Where is Bern?"
STOP: Final = "END"
MOST_TOKENS: Final = 4096
TEMPERATURE: Final = 0.5
BUDGET: Final = 2048
"""Tokens of thinking, where a dialect counts them; elsewhere the effort is medium."""
TOOL: Final = "look"
DESCRIPTION: Final = "Look at a city."
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
MESSAGE: Final = "Slow down, please."
RETRY_SECONDS: Final = 7


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the tool, its arguments as text."""

    id: str
    city: str

    @property
    def arguments(self) -> str:
        """The arguments as JSON."""
        return json.dumps({"city": self.city})

    @property
    def value(self) -> dict[str, str]:
        """The arguments by value."""
        return {"city": self.city}


HISTORY: Final = (Call("call_1", "Bern"), Call("call_2", "Rome"))
RESULTS: Final = ("a river", "a hill")


@dataclass(frozen=True, slots=True)
class Said:
    """A provider's answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""
    state: str = ""
    """The signature or encrypted form of the thought."""
    tokens_in: int = 21
    tokens_cached: int = 5
    """Of `tokens_in`."""
    tokens_out: int = 9
    tokens_thought: int = 0
    """Of `tokens_out`."""
    tool: str = TOOL
    """What is called."""

    def facts(self) -> dict[str, Any]:
        """Return what a caller should see of it."""
        return seen(
            text=self.text,
            calls=[("given", call.value) for call in self.calls],
            finish="calls" if self.calls else "end",
            thought=self.thought,
            state=bool(self.state),
            tokens=(self.tokens_in, self.tokens_cached, self.tokens_out, self.tokens_thought),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and the answer to it."""

    name: str
    said: Said
    image: bytes = b""
    tools: bool = False
    must_call: bool = False
    history: bool = False
    """The tool was called twice before, and gave results."""
    schema: bool = False
    reasoning: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what a provider should see of it."""
        return asked(
            system=SYSTEM,
            texts=[TEXT],
            images=[self.image] if self.image else [],
            tools=[(TOOL, DESCRIPTION, SCHEMA)] if self.tools else [],
            choice="required" if self.must_call else "auto",
            calls=[(call.id, TOOL, call.value) for call in HISTORY] if self.history else [],
            results=[(call.id, said) for call, said in zip(HISTORY, RESULTS, strict=True)]
            if self.history
            else [],
            schema=SCHEMA if self.schema else None,
            most_tokens=MOST_TOKENS,
            temperature=None if self.reasoning else TEMPERATURE,
            stop=[STOP],
        )


CASES: Final = (
    Case("text", Said("Bern is in Switzerland. \N{MOUNTAIN}")),
    Case("tools", Said("I look.", (Call("call_a", "Bern"),)), tools=True),
    Case(
        "parallel tools",
        Said(calls=(Call("call_a", "Bern"), Call("call_b", "Oslo"))),
        tools=True,
        must_call=True,
        history=True,
    ),
    Case("image", Said("A pixel."), image=PIXEL),
    Case("structured output", Said('{"city": "Bern"}'), schema=True),
    Case(
        "reasoning",
        Said("It is Bern.", thought="Which city?", state="c2lnbmF0dXJl", tokens_out=15, tokens_thought=6),
        reasoning=True,
    ),
)
TEXT_CASE: Final = CASES[0]


def seen(
    *,
    text: str,
    calls: list[tuple[str, Any]],
    finish: str,
    thought: str,
    state: bool,
    tokens: tuple[Any, Any, Any, Any],
) -> dict[str, Any]:
    """Return an answer in the form in which answers are compared; of a call's id only whose it is.

    `tokens`: in with cached, cached, out with thought, thought.
    """
    return {
        "text": text,
        "calls": [{"id": whose, "arguments": value} for whose, value in calls],
        "finish": finish,
        "thought": thought,
        "state": state,
        **dict(
            zip(
                ("tokens_in", "tokens_cached", "tokens_out", "tokens_thought"),
                (count or 0 for count in tokens),
                strict=True,
            )
        ),
    }


def whose(given: str | None) -> str:
    """Tell where a call's id is from."""
    if not given:
        return "none"
    return "given" if given in {"call_a", "call_b"} else "made"


def asked(
    *,
    system: str,
    texts: list[str],
    images: list[bytes],
    tools: list[tuple[str, str | None, Any]],
    choice: str | None,
    calls: list[tuple[str | None, str, Any]],
    results: list[tuple[str | None, str]],
    schema: Any,
    most_tokens: int | None,
    temperature: float | None,
    stop: list[str],
    **extra: Any,
) -> dict[str, Any]:
    """Return a question in the form in which questions are compared; `extra` is as the dialect writes it."""
    return {
        "system": system,
        "texts": texts,
        "images": ["the pixel" if data == PIXEL else f"{len(data)} other bytes" for data in images],
        "tools": [
            {"name": name, "description": description, "schema": parameters}
            for name, description, parameters in tools
        ],
        "choice": choice or "auto",
        "calls": [{"id": given, "name": name, "arguments": value} for given, name, value in calls],
        "results": [{"id": given, "text": text} for given, text in results],
        "schema": schema,
        "most_tokens": most_tokens,
        "temperature": temperature,
        "stop": stop,
        "extra": {name: value for name, value in extra.items() if value is not None},
    }
