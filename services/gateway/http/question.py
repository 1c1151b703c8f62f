"""What must be known of a request before it is known where it goes, and where each vendor's clients say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from services.dialects.multipart import boundary_of, fields, value
from services.runtime.errors import RequestInvalid, Violation

_LONGEST_MODEL: Final = 256
"""As in the contract."""

# A Raw in a union with None decodes as the None alone.
_ABSENT: Final = msgspec.Raw(b"null")
_NO_TOOLS: Final = frozenset({b"null", b"[]"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A body, with what its path and headers add."""

    body: bytes
    content_type: str = ""
    model: str = ""
    """The model that the path names."""


@dataclass(frozen=True, slots=True)
class Question:
    """The model (empty: the vendor's default), whether a stream is wanted, and whether tools are offered."""

    model: str
    stream: bool = False
    tools: bool = False


T = TypeVar("T")
Reader = Callable[[Asked], Question]


class _Body(msgspec.Struct):
    model: str
    stream: bool | None = None
    tools: msgspec.Raw = _ABSENT


class _BodyOfDefault(msgspec.Struct):
    model: str | None = None


class _BodyOfPath(msgspec.Struct):
    tools: msgspec.Raw = _ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_BODY_OF_DEFAULT: Final = msgspec.json.Decoder(_BodyOfDefault)
_BODY_OF_PATH: Final = msgspec.json.Decoder(_BodyOfPath)


def in_body(asked: Asked) -> Question:
    """Read a JSON body that names model and stream itself. Raises RequestInvalid."""
    read = _decoded(_BODY, asked.body)
    return Question(_checked(read.model), bool(read.stream), bytes(read.tools) not in _NO_TOOLS)


def in_body_if_named(asked: Asked) -> Question:
    """As in_body, of a body that may leave the model to the vendor."""
    model = _decoded(_BODY_OF_DEFAULT, asked.body).model
    return Question("" if model is None else _checked(model))


def in_path(asked: Asked) -> Question:
    """Read a JSON body whose path names the model, for a whole answer."""
    return _of_path(asked, stream=False)


def in_path_streamed(asked: Asked) -> Question:
    """As in_path, for a stream."""
    return _of_path(asked, stream=True)


def in_form(asked: Asked) -> Question:
    """Read model and stream out of a form. Raises RequestInvalid."""
    body = asked.body
    form = fields(body, boundary_of(asked.content_type))
    model = value(body, form, "model", 4 * _LONGEST_MODEL)
    if model is None:
        raise _invalid("model", "is required")
    stream = value(body, form, "stream", 16)
    return Question(_checked(model), stream is not None and stream.strip().lower() in {"true", "1"})


def _of_path(asked: Asked, *, stream: bool) -> Question:
    tools = _decoded(_BODY_OF_PATH, asked.body).tools
    return Question(_checked(asked.model), stream, bytes(tools) not in _NO_TOOLS)


def _checked(model: str) -> str:
    # The name goes into headers, logs and the books.
    if not 0 < len(model) <= _LONGEST_MODEL or not model.isprintable():
        raise _invalid("model", f"must be 1 to {_LONGEST_MODEL} printable characters")
    return model


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = str(error)
    except RecursionError:
        message = "the body is nested too deeply"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is not JSON: {error}"
    raise RequestInvalid(message, violations=(Violation("body", message),))


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field}: {message}", violations=(Violation(field, message),))
