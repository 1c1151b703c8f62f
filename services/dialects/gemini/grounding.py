"""Citations: Gemini tells them apart from the text, by bytes; the contract has them on the text, by characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Citation, Part
from services.dialects.gemini.wire import DIALECT
from services.dialects.members import JsonObject

_URL: Final = "url_citation"
_OTHER: Final = "grounding"
_MADE: Final = '{"$shape":{"made":1}}'
"""Extension of a citation that stands in the metadata, which are kept as they are."""
_MOST: Final = 4096
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
_SOURCES: Final = ("web", "maps", "retrievedContext", "image")


def has_citations(members: JsonObject) -> bool:
    """Tell whether a candidate's metadata cite anything."""
    grounding, recited = members.get("groundingMetadata"), members.get("citationMetadata")
    return bool(recited) or (isinstance(grounding, dict) and bool(grounding.get("groundingSupports")))


def read_citations(members: JsonObject, text: str) -> list[Citation]:
    """The citations into a text that a candidate's metadata tell of."""
    data = text.encode("utf-8", "surrogatepass")
    found: list[tuple[int, int, JsonObject]] = []
    grounding = members.get("groundingMetadata")
    if isinstance(grounding, dict):
        chunks = [_source(chunk) for chunk in _list(grounding.get("groundingChunks"))]
        for support in _list(grounding.get("groundingSupports")):
            found.extend(_supported(support, chunks))
    recited = members.get("citationMetadata")
    if isinstance(recited, dict):
        sources = _list(recited.get("citations") or recited.get("citationSources"))
        found += [
            (_index(each.get("startIndex")), _index(each.get("endIndex")), each)
            for each in sources
            if isinstance(each, dict)
        ]
    del found[_MOST:]
    places = _characters(data, {place for start, end, _ in found for place in (start, end)})
    return [_citation(source, places[start], places[end]) for start, end, source in found]


def queries(members: JsonObject) -> int:
    """How many searches the model made."""
    grounding = members.get("groundingMetadata")
    return len(_list(grounding.get("webSearchQueries"))) if isinstance(grounding, dict) else 0


def write_citations(parts: Sequence[Part]) -> JsonObject | None:
    """`groundingMetadata` for citations of other providers; None if there are none."""
    chunks: list[JsonObject] = []
    supports: list[JsonObject] = []
    known: dict[tuple[str, str], int] = {}
    for index, part in enumerate(parts):
        for citation in part.citations:
            if DIALECT in citation.extensions or not (citation.url or citation.title):
                continue
            source = (citation.url, citation.title)
            number = known.setdefault(source, len(chunks))
            if number == len(chunks):
                chunks.append({"web": {"uri": citation.url, "title": citation.title}})
            supports.append(
                {"segment": _segment(part.text, citation, index), "groundingChunkIndices": [number]}
            )
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None


def _supported(support: Any, chunks: list[JsonObject]) -> Iterable[tuple[int, int, JsonObject]]:
    segment = support.get("segment") if isinstance(support, dict) else None
    if not isinstance(segment, dict):
        return
    start, end = _index(segment.get("startIndex")), _index(segment.get("endIndex"))
    for number in _list(support.get("groundingChunkIndices")):
        if type(number) is int and 0 <= number < len(chunks):
            yield start, end, chunks[number]


def _source(chunk: Any) -> JsonObject:
    if isinstance(chunk, dict):
        for name in _SOURCES:
            if isinstance(chunk.get(name), dict):
                source: JsonObject = chunk[name]
                return source
    return {}


def _citation(source: JsonObject, start: int, end: int) -> Citation:
    url = next((u for u in (source.get(n) for n in ("uri", "sourceUri")) if type(u) is str), "")
    citation = Citation(kind=_URL if url else _OTHER, url=url, start=start, end=end)
    if type(title := source.get("title")) is str:
        citation.title = title
    if type(text := source.get("text")) is str:
        citation.cited_text = text
    citation.extensions[DIALECT] = _MADE
    return citation


def _segment(text: str, citation: Citation, part: int) -> JsonObject:
    """Where a citation stands: its own place if it has one, else all of the text."""
    start, end = 0, len(text)
    if citation.kind == _URL and citation.HasField("start") and citation.HasField("end"):
        end = max(0, min(citation.end, len(text)))
        start = max(0, min(citation.start, end))
    before, said = text[:start].encode("utf-8", "replace"), text[start:end]
    first = len(before)
    segment: JsonObject = {"startIndex": first, "endIndex": first + len(said.encode("utf-8", "replace"))}
    if part:
        segment["partIndex"] = part
    return {**segment, "text": said}


def _characters(data: bytes, places: set[int]) -> dict[int, int]:
    """Places in bytes as places in characters; each byte is looked at once."""
    found: dict[int, int] = {}
    before, characters = 0, 0
    for place in sorted(places):
        here = min(place, len(data))
        characters += len(data[before:here].translate(None, _CONTINUATION))
        before = max(before, here)
        found[place] = characters
    return found


def _index(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
