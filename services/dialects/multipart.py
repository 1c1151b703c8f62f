"""multipart/form-data as far as it must be understood: where the fields are, and one value put in another's place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import RequestInvalid, Violation

_MOST_PARTS: Final = 64
_LONGEST_HEAD: Final = 4096
_LONGEST_BOUNDARY: Final = 70
_TYPE: Final = re.compile(r"\s*multipart/form-data\s*;", re.IGNORECASE)
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_LEGAL: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]\Z")
_DISPOSITION: Final = re.compile(rb"(?:\A|\r\n)content-disposition[ \t]*:([^\r\n]*)", re.IGNORECASE)
_FORM_DATA: Final = re.compile(rb"[ \t]*form-data[ \t]*", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    rb';[ \t]*([0-9A-Za-z!#$%&+\-.^_`|~*]+)=(?:"((?:[^"\\\r\n]|\\[^\r\n])*)"|([^\s;"]+))[ \t]*'
)


@dataclass(frozen=True, slots=True)
class Field:
    """A part: its name, and where its value stands in the body."""

    name: str
    start: int
    end: int


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a content-type names. Raises RequestInvalid."""
    match = _BOUNDARY.search(content_type) if _TYPE.match(content_type) else None
    boundary = (match[1] or match[2] or "") if match is not None else ""
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY or not _LEGAL.match(boundary):
        raise _invalid("content-type", "must be multipart/form-data with a boundary")
    return boundary.encode("ascii")


def fields(body: bytes, boundary: bytes) -> list[Field]:
    """Return the form's fields in their order, in linear time. Raises RequestInvalid for what is no whole form."""
    delimiter = b"--" + boundary
    if not body.startswith(delimiter):
        raise _invalid("body", "must begin with the boundary that content-type names")
    found: list[Field] = []
    at = len(delimiter)
    while not body.startswith(b"--", at):
        if not body.startswith(b"\r\n", at):
            raise _invalid("body", "a boundary must be followed by a line break")
        if len(found) == _MOST_PARTS:
            raise _invalid("body", f"has more than {_MOST_PARTS} parts")
        head = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        if head < 0:
            raise _invalid("body", f"a part's headers must end within {_LONGEST_HEAD} bytes")
        start = head + 4
        end = body.find(b"\r\n" + delimiter, start)
        if end < 0:
            raise _invalid("body", "the form is cut off: its last boundary is missing")
        found.append(Field(_name(body[at:head]), start, end))
        at = end + 2 + len(delimiter)
    return found


def value(body: bytes, form: list[Field], name: str, longest: int) -> str | None:
    """Return a field's text, None if it is absent. Raises RequestInvalid if it stands twice or is no such text."""
    parts = [field for field in form if field.name == name]
    if not parts:
        return None
    if len(parts) > 1:
        raise _invalid(name, "must be given once")
    (part,) = parts
    if part.end - part.start > longest:
        raise _invalid(name, f"must be at most {longest} bytes")
    try:
        return body[part.start : part.end].decode()
    except UnicodeDecodeError:
        raise _invalid(name, "must be UTF-8") from None


def with_value(body: bytes, name: str, text: str) -> bytes:
    """Return the form with the value of one field replaced; all else keeps its bytes. Raises RequestInvalid.

    The boundary is read off the body's first line. The body is copied once.
    """
    end = body.find(b"\r\n", 0, _LONGEST_BOUNDARY + 4)
    if end < 3 or not body.startswith(b"--"):
        raise _invalid("body", "must begin with a boundary")
    parts = [field for field in fields(body, body[2:end]) if field.name == name]
    if len(parts) != 1:
        raise _invalid(name, "must be given once")
    view = memoryview(body)
    return b"".join((view[: parts[0].start], text.encode(), view[parts[0].end :]))


def _name(head: bytes) -> str:
    """Return a part's name. What two readers could read as two names is refused: the provider is the second."""
    found = _DISPOSITION.findall(head)
    start = _FORM_DATA.match(found[0]) if len(found) == 1 else None
    if start is None:
        raise _invalid("body", "a part must have one content-disposition: form-data")
    at, names = start.end(), []
    while match := _PARAMETER.match(found[0], at):
        at = match.end()
        if match[1].lower().startswith(b"name"):
            names.append((match[1].lower(), match[2] if match[2] is not None else match[3]))
    if at < len(found[0]) or len(names) != 1 or names[0][0] != b"name" or b"\\" in names[0][1]:
        raise _invalid("body", "a part must have one plain name")
    return names[0][1].decode("utf-8", "replace")


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field}: {message}", violations=(Violation(field, message),))
