"""Citations, both ways; the contract's kinds are the words that Anthropic and OpenAI have for the same."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Citation
from services.dialects.bedrock.wire import DIALECT
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back, take_word

_KINDS: Final = {
    "documentChar": "char_location",
    "documentPage": "page_location",
    "documentChunk": "content_block_location",
    "searchResultLocation": "search_result_location",
    "web": "url_citation",
}
_LOCATIONS: Final = {kind: location for location, kind in _KINDS.items()} | {
    "web_search_result_location": "web"
}
_INDEXES: Final = {"searchResultLocation": "searchResultIndex"}
_PIECES: Final = "pieces"
"""Hint: lengths of the cited texts, where there is not just one."""


def read_citation(value: JsonObject) -> Citation:
    """Read one citation; members without a field travel in its extension."""
    members = Members(value)
    citation = Citation(title=take_word(members, "title"))
    citation.cited_text, lengths = take_texts(members, "sourceContent")
    if lengths is not None and (len(lengths) != 1 or not citation.cited_text):
        members.hint(_PIECES, lengths)
    location = members.rest.get("location")
    if type(location) is dict and len(location) == 1:
        ((name, place),) = location.items()
        if name in _KINDS and type(place) is dict:
            del members.rest["location"]
            _read_place(name, place, citation)
            if place:
                members.rest["location"] = {name: place}
    if citation.kind == "search_result_location" and (source := members.word("source")):
        citation.url = source
    members.save(citation.extensions, DIALECT)
    return citation


def write_citation(citation: Citation) -> JsonObject | None:
    """Write one citation; None if Bedrock has no such kind."""
    extension = Extension(citation.extensions, DIALECT)
    name = _LOCATIONS.get(citation.kind)
    if name is None and citation.kind and not citation.url:
        return None
    written: JsonObject = {}
    if name is not None:
        written["location"] = {name: _place(name, citation)}
    elif citation.url:
        written["location"] = {"web": {"url": citation.url}}
    if name == "searchResultLocation" and citation.url:
        written["source"] = citation.url
    if citation.title:
        written["title"] = citation.title
    if (texts := split_texts(citation.cited_text, extension.shape.get(_PIECES))) is not None:
        written["sourceContent"] = texts
    return merge_back(written, extension)


def take_texts(members: Members, name: str) -> tuple[str, list[int] | None]:
    """Take a list of texts as one, and their lengths; None if there is no such list."""
    texts = members.rest.get(name)
    if type(texts) is not list or not all(_is_text(each) for each in texts):
        return "", None
    del members.rest[name]
    return "".join(each["text"] for each in texts), [len(each["text"]) for each in texts]


def split_texts(text: str, lengths: object) -> list[JsonObject] | None:
    """The list of texts again; None if there was none."""
    if type(lengths) is not list or not all(type(length) is int and length >= 0 for length in lengths):
        return [{"text": text}] if text else None
    if sum(lengths) != len(text):
        return [{"text": text}]
    edges = [0, *accumulate(lengths)]
    return [{"text": text[start:end]} for start, end in pairwise(edges)]


def _is_text(value: Any) -> bool:
    return type(value) is dict and len(value) == 1 and type(value.get("text")) is str


def _read_place(name: str, place: JsonObject, citation: Citation) -> None:
    citation.kind = _KINDS[name]
    inner = Members(place)
    if name == "web":
        citation.url = inner.word("url") or ""
        return
    if (index := inner.integer(_INDEXES.get(name, "documentIndex"), 31)) is not None:
        citation.document_index = index
    if (start := inner.integer("start")) is not None:
        citation.start = start
    if (end := inner.integer("end")) is not None:
        citation.end = end


def _place(name: str, citation: Citation) -> JsonObject:
    if name == "web":
        return {"url": citation.url} if citation.url else {}
    place: JsonObject = {}
    if citation.HasField("document_index"):
        place[_INDEXES.get(name, "documentIndex")] = citation.document_index
    if citation.HasField("start"):
        place["start"] = citation.start
    if citation.HasField("end"):
        place["end"] = citation.end
    return place
