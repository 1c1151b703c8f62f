"""The scripted provider: it answers every case in the dialect of the path it is called at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.matrix.cases import Call, Case, Said
from tests.matrix.upstream.anthropic import Anthropic
from tests.matrix.upstream.bedrock import Bedrock
from tests.matrix.upstream.cohere import Cohere
from tests.matrix.upstream.gemini import Gemini
from tests.matrix.upstream.ollama import Ollama
from tests.matrix.upstream.openai_chat import OpenAIChat
from tests.matrix.upstream.openai_responses import OpenAIResponses
from tests.matrix.upstream.words import Words
from tests.support.faults import End, Head, Program, Send, Stall, Step, answer
from tests.support.journal import Arrival
from tests.support.replay import Replay

WORDS: Final[Mapping[str, Words]] = {
    "openai": OpenAIChat(),
    "openai-responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "cohere": Cohere(),
    "ollama": Ollama(),
}
_PATHS: Final = (
    (re.compile(r"/chat/completions\Z"), "openai"),
    (re.compile(r"/responses\Z"), "openai-responses"),
    (re.compile(r"/v1/messages\Z"), "anthropic"),
    (re.compile(r":(stream)?[gG]enerateContent\Z"), "gemini"),
    (re.compile(r"/converse(-stream)?\Z"), "bedrock"),
    (re.compile(r"/v2/chat\Z"), "cohere"),
    (re.compile(r"/api/chat\Z"), "ollama"),
)


def spoken(arrival: Arrival) -> str:
    """Return the dialect of a request."""
    return next(name for pattern, name in _PATHS if pattern.search(arrival.path))


def streams(arrival: Arrival) -> bool:
    """Tell whether a request asks for a stream."""
    if spoken(arrival) in {"gemini", "bedrock"}:
        return "stream" in arrival.path
    # A stream is what Ollama gives who does not say.
    return bool(arrival.json.get("stream", spoken(arrival) == "ollama"))


def question(arrival: Arrival) -> dict[str, Any]:
    """Return what was asked, in the form of `cases.asked`."""
    return WORDS[spoken(arrival)].read(arrival.json, stream=streams(arrival))


def play(replay: Replay, provider: str, model: str, case: Case) -> None:
    """Have a case answered."""

    def choose(arrival: Arrival) -> Program:
        words = WORDS[spoken(arrival)]
        if not streams(arrival):
            return answer(200, words.whole(_obedient(case.said, arrival), arrival.model))
        return _stream(words, words.pieces(_obedient(case.said, arrival), arrival.model), End())

    replay.choose(provider, model, choose)


def _obedient(said: Said, arrival: Arrival) -> Said:
    """A model that must call a certain tool does, and says nothing beside."""
    asked = question(arrival)
    if asked["choice"] != "named":
        return said
    (tool,) = asked["tools"]
    return replace(said, text="", calls=(Call("call_a", "Bern"),), tool=tool["name"])


def play_refusal(replay: Replay, provider: str, model: str) -> None:
    """Have everybody told to slow down."""
    replay.choose(provider, model, lambda arrival: WORDS[spoken(arrival)].refusal())


def play_half(replay: Replay, provider: str, model: str, case: Case) -> None:
    """Have an answer begun and never gone on with; a whole one not even begun."""

    def choose(arrival: Arrival) -> Program:
        if not streams(arrival):
            return (Stall(),)
        words = WORDS[spoken(arrival)]
        said = case.said.text.split()[0]
        pieces = words.pieces(case.said, arrival.model)
        begun = next(n for n, piece in enumerate(pieces) if said in piece.decode("utf-8", "replace"))
        return _stream(words, pieces[: begun + 1], Stall())

    replay.choose(provider, model, choose)


def _stream(words: Words, pieces: Sequence[bytes], last: Step) -> Program:
    head = Head(200, (("content-type", words.content_type),))
    return (head, *(Send(piece) for piece in pieces), last)
