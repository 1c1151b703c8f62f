"""Citations: spans of the answer with the sources that they rest on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Citation, Part
from services.dialects.cohere.wire import DIALECT, PLAN
from services.dialects.members import Extension, JsonObject, Members

TEXT: Final = "TEXT_CONTENT"
_PLANNED: Final = "PLAN"
_OUR_DOCUMENT: Final = re.compile(r"doc:(\d{1,9})")
_ORDER: Final = "n"
"""Hint: place among all citations of the message, where it is not the order of the parts."""


def read_citation(value: JsonObject, citation: Citation) -> None:
    """Read one citation.

    `start` and `end` count characters of the answer. All sources stay in the extension; url, title and document_index
    are those of the first one that is a document.
    """
    members = Members(value)
    start, end = members.integer("start"), members.integer("end")
    if start is not None:
        citation.start = start
    if end is not None:
        citation.end = end
    citation.cited_text = members.word("text") or ""
    citation.kind = members.word("type") or ""
    sources = members.rest.get("sources")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and source.get("type") == "document":
            _read_source(source, citation)
            break
    citation.extensions[DIALECT] = members.extension() or "{}"


def _read_source(source: JsonObject, citation: Citation) -> None:
    document = source.get("document")
    if isinstance(document, dict):
        title, url = document.get("title"), document.get("url")
        if isinstance(title, str):
            citation.title = title
        if isinstance(url, str):
            citation.url = url
    identity = source.get("id")
    ours = _OUR_DOCUMENT.fullmatch(identity) if isinstance(identity, str) else None
    if ours is not None:
        citation.document_index = int(ours[1])


def write_citation(citation: Citation) -> JsonObject | None:
    """Write one citation; None for one of another dialect that says nothing about a span of the answer."""
    extension = Extension(citation.extensions, DIALECT)
    native = DIALECT in citation.extensions
    if not native and citation.kind != "url_citation":
        return None
    written: JsonObject = {}
    if citation.HasField("start"):
        written["start"] = citation.start
    if citation.HasField("end"):
        written["end"] = citation.end
    if citation.cited_text or not native:
        written["text"] = citation.cited_text
    if native:
        if citation.kind:
            written["type"] = citation.kind
        return extension.merge(written)
    document = {"id": citation.url, "title": citation.title, "url": citation.url}
    written["sources"] = [{"type": "document", "id": citation.url, "document": document}]
    written["type"] = TEXT
    return written


def attach(citations: Any, parts: Sequence[Part], content: int, length: int) -> bool:
    """Give each citation to its part; false, with nothing done, if one has none.

    The content list's parts start at `content` and are `length` many.
    """
    if not isinstance(citations, list) or not citations:
        return False
    found: list[tuple[int, JsonObject]] = []
    for value in citations:
        place = _place(value, parts, content, length) if isinstance(value, dict) else None
        if place is None:
            return False
        found.append((place, value))
    sorted_already = all(a[0] <= b[0] for a, b in itertools.pairwise(found))
    for number, (place, value) in enumerate(found):
        citation = parts[place].citations.add()
        read_citation(value, citation)
        if not sorted_already:
            extension = Extension(citation.extensions, DIALECT)
            members = Members(extension.members)
            members.hint(_ORDER, number)
            citation.extensions[DIALECT] = members.extension()
    return True


def _place(value: JsonObject, parts: Sequence[Part], content: int, length: int) -> int | None:
    if value.get("type") == _PLANNED:
        return 0 if content and parts and is_plan(parts[0]) else None
    index = value.get("content_index")
    if type(index) is int:
        return content + index if 0 <= index < length else None
    kind = "reasoning" if value.get("type") not in (TEXT, None) else "text"
    for number in range(content, content + length):
        if parts[number].WhichOneof("kind") == kind:
            return number
    return None


def is_plan(part: Part) -> bool:
    """Whether a reasoning part came as `tool_plan`."""
    return part.HasField("reasoning") and PLAN in Extension(part.extensions, DIALECT).shape


def written_citations(parts: Iterable[Part]) -> list[JsonObject]:
    """All citations of a message, in the order they had."""
    found: list[tuple[int, JsonObject]] = []
    for part in parts:
        for citation in part.citations:
            value = write_citation(citation)
            if value is not None:
                order = Extension(citation.extensions, DIALECT).shape.get(_ORDER)
                found.append((order if type(order) is int else len(found), value))
    return [value for _, value in sorted(found, key=lambda each: each[0])]
