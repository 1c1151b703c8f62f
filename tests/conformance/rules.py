"""Why a recording is not held in a column: for whole endpoints, for kinds of exchanges, and by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tests.clients.test_responses import STATE
from tests.conformance.table import Known
from tests.support import exceptions

ALL: Final = ("relay", "edge", "as the SDK", "answer again", "request again")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is excused, and in which columns."""

    title: str
    columns: tuple[str, ...]
    reason: str
    covers: Callable[[Known], bool]


def _endpoints(*names: str, provider: str = "") -> Callable[[Known], bool]:
    return lambda known: known.endpoint in names and provider in {"", known.provider}


def _named(names: Iterable[str]) -> Callable[[Known], bool]:
    short = {"/".join((name.split("/")[0], name.split("/")[1][:3])) for name in names}
    return lambda known: known.name in short


_CONVERSE: Final = ("bedrock.converse", "bedrock.converse-stream", "bedrock.count-tokens")
_INVOKE: Final = ("bedrock.invoke", "bedrock.invoke-with-response-stream")
_VERTEX: Final = ("anthropic.rawPredict", "anthropic.streamRawPredict")
_GEMINI: Final = ("gemini.generateContent", "gemini.streamGenerateContent", "gemini.countTokens")
_GEMINI_EMBED: Final = ("gemini.embedContent", "gemini.predict")

RULES: Final = (
    Rule(
        "openai.completions",
        ALL,
        "no door: OpenAI's completions from before chat",
        _endpoints("openai.completions"),
    ),
    Rule(
        "bedrock.converse, bedrock.converse-stream, bedrock.count-tokens",
        ("relay", "edge"),
        "no door speaks Converse: it is always reached through the contract",
        _endpoints(*_CONVERSE),
    ),
    Rule(
        "failures of Converse",
        ("answer again",),
        "read, but never written: no door speaks Converse",
        lambda known: known.endpoint in _CONVERSE and known.status >= 400,
    ),
    Rule(
        "bedrock.invoke, bedrock.invoke-with-response-stream, anthropic.rawPredict, anthropic.streamRawPredict",
        ("edge",),
        "signed or named by the platform, whose tests are tests/services/providers/test_bedrock.py and test_vertex.py",
        _endpoints(*_INVOKE, *_VERTEX),
    ),
    Rule(
        "gemini.* at Vertex AI",
        ("edge",),
        "named by the platform, whose tests are tests/services/providers/test_vertex.py",
        _endpoints(*_GEMINI, *_GEMINI_EMBED, provider="vertex"),
    ),
    Rule(
        "counts, embeddings and failures of gemini.* at Vertex AI",
        ("relay",),
        "the same endpoints of the Developer API are held through the edge; Vertex's own bodies by test_vertex.py",
        lambda known: (
            known.provider == "vertex"
            and known.endpoint.startswith("gemini.")
            and (known.status >= 400 or known.endpoint in {"gemini.countTokens", *_GEMINI_EMBED})
        ),
    ),
    Rule(
        "cohere.v2.chat, ollama.chat",
        ("edge",),
        "no door of their own: reached through the contract. Their codecs can relay all the same",
        _endpoints("cohere.v2.chat", "ollama.chat"),
    ),
    Rule(
        "cohere.v2.embed",
        ("relay", "edge"),
        "no door: reached through the contract",
        _endpoints("cohere.v2.embed"),
    ),
    Rule(
        "openai.responses that go on from another answer",
        ("edge",),
        "`previous_response_id`, `conversation` or `background` name what only the recorded account has: llmhub's door "
        "looks in its own store (tests/clients/test_responses.py)",
        lambda known: known.endpoint.startswith("openai.responses") and bool(known.members & set(STATE)),
    ),
    Rule(
        "openai.responses without a request",
        ("edge",),
        "the source kept the answer alone",
        lambda known: known.endpoint.startswith("openai.responses") and not known.asked,
    ),
    *(
        Rule("", columns, reason, _named([name]))
        for columns, names in (
            (ALL, exceptions.MISFILED),
            (ALL, exceptions.NOT_CLAUDE),
            (("as the SDK",), exceptions.NUMBERED),
            (("as the SDK",), exceptions.UNENDED),
            (("request again",), exceptions.REFUSED),
        )
        for name, reason in names.items()
    ),
)

REMARKS: Final = {**exceptions.SEVERAL, **exceptions.UNTOLD_DETAILS}
"""Recordings that are held, but otherwise than one would think."""
