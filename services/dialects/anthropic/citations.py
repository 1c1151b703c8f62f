"""Citations, both ways."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.content_pb2 import Citation
from services.dialects.anthropic.wire import DIALECT
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back, take_word

_RANGES: Final = {
    "char_location": ("start_char_index", "end_char_index"),
    "page_location": ("start_page_number", "end_page_number"),
    "content_block_location": ("start_block_index", "end_block_index"),
    "search_result_location": ("start_block_index", "end_block_index"),
}
_INT32: Final = 1 << 31
NO_SUCH_CITATION: Final = "citations of this kind do not exist at Anthropic"


def read_citation(value: JsonObject) -> Citation:
    """Read one citation; members without a field travel in its extension."""
    members = Members(value)
    citation = Citation(kind=take_word(members, "type"), cited_text=take_word(members, "cited_text"))
    citation.url = take_word(members, _url_name(citation.kind))
    citation.title = take_word(members, _title_name(citation.kind))
    if (index := members.integer("document_index")) is not None:
        if -_INT32 <= index < _INT32:
            citation.document_index = index
        else:
            members.rest["document_index"] = index
    if citation.kind in _RANGES:
        first, last = _RANGES[citation.kind]
        if (start := members.integer(first)) is not None:
            citation.start = start
        if (end := members.integer(last)) is not None:
            citation.end = end
    members.save(citation.extensions, DIALECT)
    return citation


def read_citations(members: Members) -> list[Citation]:
    """Take `citations` if it is a list of objects that is not empty."""
    values = members.rest.get("citations")
    if type(values) is not list or not values or not all(type(value) is dict for value in values):
        return []
    del members.rest["citations"]
    return [read_citation(value) for value in values]


def write_citation(citation: Citation, *, answer: bool) -> JsonObject | None:
    """Write one citation; None if Anthropic has no such kind, or would refuse it in a request."""
    extension = Extension(citation.extensions, DIALECT)
    kind = citation.kind
    own = DIALECT in citation.extensions
    if not own and kind not in _RANGES:
        return _foreign_url(citation) if answer and citation.url else None
    if not answer and extension.members.get("encrypted_index") == "":
        return None
    block: JsonObject = {"type": kind} if kind else {}
    if citation.cited_text or not own:
        block["cited_text"] = citation.cited_text
    if citation.url:
        block[_url_name(kind)] = citation.url
    if citation.title:
        block[_title_name(kind)] = citation.title
    block.update(_position(citation))
    return merge_back(block, extension)


def _position(citation: Citation) -> JsonObject:
    block: JsonObject = {}
    if citation.HasField("document_index"):
        block["document_index"] = citation.document_index
    if citation.kind in _RANGES:
        first, last = _RANGES[citation.kind]
        if citation.HasField("start"):
            block[first] = citation.start
        if citation.HasField("end"):
            block[last] = citation.end
    return block


def _foreign_url(citation: Citation) -> JsonObject:
    """A web citation as clients know it; the empty index tells it from Anthropic's own when it comes back."""
    return {
        "type": "web_search_result_location",
        "cited_text": citation.cited_text,
        "encrypted_index": "",
        "title": citation.title or None,
        "url": citation.url,
    }


def _url_name(kind: str) -> str:
    return "source" if kind == "search_result_location" else "url"


def _title_name(kind: str) -> str:
    return "title" if kind in {"web_search_result_location", "search_result_location"} else "document_title"
