"""A scripted model behind the edge: it answers in the dialect it is asked in, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.programs.words.anthropic import Anthropic
from tests.programs.words.gemini import Gemini
from tests.programs.words.openai_chat import OpenAIChat
from tests.programs.words.openai_responses import OpenAIResponses
from tests.programs.words.spoken import Asked, Call, Said, Script, Words
from tests.support.faults import Program, answer, events
from tests.support.journal import Arrival
from tests.support.replay import Replay

SENTENCE: Final = "The kestrel counts nine lanterns."
"""What every conversation ends with."""

COUNTED: Final = 4321
"""What every count of tokens gives."""

_WORDS: Final[Mapping[str, Words]] = {
    "/v1/chat/completions": OpenAIChat(),
    "/v1/responses": OpenAIResponses(),
    "/v1/messages": Anthropic(),
}
_GEMINI: Final = Gemini()


def scripted(*calls: Call) -> Script:
    """Return a model that makes these calls one after another where their tools are offered, then says SENTENCE.

    Asked for anything else, such as a title, it says the sentence at once.
    """

    def script(asked: Asked) -> Said:
        done = len(asked.results)
        if done < len(calls) and calls[done].name in asked.tools:
            return Said(calls=(replace(calls[done], id=f"call_{done + 1}"),))
        return Said(text=SENTENCE)

    return script


class Model:
    """One model of a provider, and every question it was asked."""

    def __init__(self, replay: Replay, name: str, script: Script) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self.paths: list[str] = []
        """The provider's paths that were called, counts of tokens among them."""
        self._script = script
        provider, _, model = name.partition("/")
        replay.choose(provider, model, self._answer)

    @property
    def results(self) -> tuple[str, ...]:
        """What tools gave, of the longest conversation."""
        return max((each.results for each in self.asked), key=len, default=())

    def _answer(self, seen: Arrival) -> Program:
        self.paths.append(seen.path)
        if seen.path.endswith("/count_tokens"):
            return answer(200, {"input_tokens": COUNTED})
        if seen.path.endswith(":countTokens"):
            return answer(200, {"totalTokens": COUNTED})
        words = _WORDS.get(seen.path, _GEMINI)
        asked = words.read(seen.json, seen.path)
        self.asked.append(asked)
        said = replace(self._script(asked), number=len(self.asked))
        if asked.stream:
            return events(words.events(said, seen.model))
        return answer(200, words.whole(said, seen.model))
