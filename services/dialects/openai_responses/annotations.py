"""Annotations of output text and citations."""

from __future__ import annotations

from llmhub.types.v1.content_pb2 import Citation
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.openai_responses.wire import DIALECT

_URL = "url_citation"
_COMPLETE = ("url", "title", "start_index", "end_index")


def read_annotation(value: JsonObject) -> Citation:
    """Read one annotation; the object is emptied."""
    whole = value.get("type") == _URL and all(name in value for name in _COMPLETE)
    members = Members(value)
    citation = Citation(
        kind=members.word("type") or "", url=members.word("url") or "", title=members.word("title") or ""
    )
    for name in ("start", "end"):
        offset = members.integer(f"{name}_index")
        if offset is not None:
            setattr(citation, name, offset)
    if not whole:
        members.hint("bare")
    members.save(citation.extensions, DIALECT)
    return citation


def write_annotation(citation: Citation, length: int) -> JsonObject | None:
    """Write one annotation; None for a citation that has no form here. `length` is that of the text it is about."""
    written: JsonObject = {}
    if DIALECT in citation.extensions:
        for name, value in (("type", citation.kind), ("url", citation.url), ("title", citation.title)):
            if value:
                written[name] = value
        if citation.HasField("start"):
            written["start_index"] = citation.start
        if citation.HasField("end"):
            written["end_index"] = citation.end
        return Extension(citation.extensions, DIALECT).merge(written)
    if not citation.url:
        return None
    # Where another dialect cites in another unit or not by place at all, the whole text is what the source is for.
    placed = citation.kind == _URL and citation.HasField("start") and citation.HasField("end")
    return {
        "type": _URL,
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start if placed else 0,
        "end_index": citation.end if placed else length,
    }
