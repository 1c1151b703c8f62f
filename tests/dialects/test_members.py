"""What is taken out of an object, what stays, and what comes back."""

import json

import pytest

from llmhub.types.v1.content_pb2 import Message
from services.dialects.members import (
    SHAPE,
    Extension,
    Members,
    answer_object,
    foreign_members,
    plain_number,
    request_object,
)
from services.runtime.errors import RequestInvalid, UpstreamProtocol, Violation


def test_typed_members_are_taken_and_the_rest_comes_back() -> None:
    value = {"a": "x", "b": True, "c": 3, "d": 0.5, "e": [1], "f": {"g": 1}, "new": {"h": None}}
    members = Members(dict(value))
    taken = {
        "a": members.text("a"),
        "b": members.flag("b"),
        "c": members.integer("c"),
        "d": members.number("d"),
        "e": members.array("e"),
        "f": members.mapping("f"),
    }
    message = Message()
    members.save(message.extensions, "openai")
    assert json.loads(message.extensions["openai"]) == {"new": {"h": None}}
    assert Extension(message.extensions, "openai").merge(taken) == value
    assert Extension(message.extensions, "anthropic").merge({}) == {}


def test_nulls_and_wrong_types_stay() -> None:
    faults: list[Violation] = []
    members = Members({"a": None, "b": 1, "c": True, "d": "", "e": 2**40}, "x", faults)
    assert members.text("a") is None
    assert members.text("b") is None
    assert members.integer("c") is None
    assert members.word("d") is None
    assert members.integer("e", 31) is None
    assert members.integer("absent") is None
    assert members.rest == {"a": None, "b": 1, "c": True, "d": "", "e": 2**40}
    assert [fault.field for fault in faults] == ["x.b", "x.c", "x.e"]


def test_numbers_keep_their_value() -> None:
    members = Members({"a": 3.0, "b": 2**60, "c": 2, "d": 2**53 + 1})
    assert members.integer("a") == 3
    assert members.integer("b") == 2**60
    assert members.number("c") == 2.0
    assert members.number("d") is None
    assert [plain_number(value) for value in (2.0, 0.5, 1e300)] == [2, 0.5, 1e300]


def test_typed_fields_are_never_overridden() -> None:
    extension = Extension({"d": '{"a":1,"b":2}'}, "d")
    assert extension.merge({"a": 5}) == {"a": 5, "b": 2}


def test_hints_are_kept_apart_and_cannot_come_from_outside() -> None:
    members = Members({SHAPE: {"forged": 1}, "a": 1})
    members.hint("content", "list")
    extension = Extension({"d": members.extension()}, "d")
    assert extension.shape == {"content": "list"}
    assert extension.members == {"a": 1}


def test_nothing_left_is_no_extension() -> None:
    message = Message()
    Members({}).save(message.extensions, "d")
    assert not message.extensions


def test_extensions_of_callers_are_checked() -> None:
    for text in ("{", "[]", "1", "\0"):
        with pytest.raises(RequestInvalid):
            Extension({"d": text}, "d")


def test_foreign_members_are_named() -> None:
    extensions = {"a": '{"x":1,"y":null,"$shape":{}}', "b": '{"z":0}', "c": '{"y":null}'}
    assert foreign_members(extensions, "b") == [("a", ["x"])]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000, b"1e999"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        request_object(body)
    with pytest.raises(UpstreamProtocol):
        answer_object(body)


def test_half_a_character_is_repaired_in_answers_only() -> None:
    body = b'{"a":"\\ud800"}'
    assert answer_object(body) == {"a": "\ufffd"}
    with pytest.raises(RequestInvalid):
        request_object(body)
