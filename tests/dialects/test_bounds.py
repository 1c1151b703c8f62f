"""Bodies of much structure: refused before they are taken apart, whatever their size in bytes allows."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dialects import bounds
from services.dialects.anthropic import AnthropicCodec
from services.dialects.gemini import GeminiCodec
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec, stored
from services.runtime.errors import RequestInvalid

USER: Final = {"role": "user", "content": "hi"}
READERS: Final[dict[str, Callable[[bytes], object]]] = {
    "openai": OpenAICodec().decode_request,
    "anthropic": AnthropicCodec().decode_request,
    "anthropic count": AnthropicCodec().decode_count_request,
}
MANY: Final = bounds.MOST_VALUES + 1
DOORS_OF_ALL: Final = pytest.mark.parametrize(
    "reader",
    [
        *READERS.values(),
        GeminiCodec().decode_request,
        GeminiCodec().decode_count_request,
        ResponsesCodec().decode_request,
        stored.keeping,
    ],
    ids=[*READERS, "gemini", "gemini count", "responses", "keeping responses"],
)
DOORS: Final = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 1, "messages": [USER], **members}).encode()


def refusal(reader: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(RequestInvalid) as refused:
        reader(data)
    (violation,) = refused.value.violations
    return f"{violation.field}: {violation.message}"


@DOORS_OF_ALL
@pytest.mark.parametrize("junk", [b"[]", b"{}", b"1", b'"a"', b'"\\\\"', b'{"k":"\\"[{,"}'])
def test_too_many_values_are_refused_at_once(reader: Callable[[bytes], object], junk: bytes) -> None:
    data = body()[:-1] + b',"junk":[' + b",".join([junk] * MANY) + b"]}"
    assert refusal(reader, data) == f": must hold at most {bounds.MOST_VALUES} values"


@DOORS_OF_ALL
@pytest.mark.parametrize("number", [b"1e300", b"1E-300", b"2.5e+123"])
def test_numbers_that_take_long_to_read_are_few(reader: Callable[[bytes], object], number: bytes) -> None:
    data = body()[:-1] + b',"junk":[' + b",".join([number] * 20_000) + b"]}"
    assert refusal(reader, data).startswith(f": must hold at most {bounds.MOST_EXTREMES} numbers")


@DOORS
def test_too_many_messages_parts_and_tools_are_refused(reader: Callable[[bytes], object]) -> None:
    assert refusal(reader, body(messages=[USER] * (bounds.MOST_MESSAGES + 1))) == (
        f"messages: must hold at most {bounds.MOST_MESSAGES}"
    )
    parts = [{"type": "text", "text": "a"}] * (bounds.MOST_PARTS // 2)
    turn = {"role": "user", "content": parts}
    assert refusal(reader, body(messages=[turn, turn, {**turn, "content": parts[:1]}])).startswith(
        f"messages: must hold at most {bounds.MOST_PARTS}"
    )
    openai = {"type": "function", "function": {"name": "f"}}
    tool = openai if reader is READERS["openai"] else {"name": "f", "input_schema": {}}
    assert refusal(reader, body(tools=[tool] * (bounds.MOST_TOOLS + 1))) == (
        f"tools: must hold at most {bounds.MOST_TOOLS}"
    )


@DOORS
def test_much_text_is_no_structure(reader: Callable[[bytes], object]) -> None:
    text = '{"a": [1, 2, "\\"", {"b": "\\\\"}]}, ' * (MANY // 8)
    reader(body(messages=[{"role": "user", "content": text}]))


JSON = st.recursive(
    st.none() | st.integers() | st.text('a"\\{[,', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\,', max_size=3), inner, max_size=4)
    ),
    max_leaves=30,
)


def values(value: object) -> int:
    """What opens or divides values in the text of a JSON value."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(values, inner))
    return 0


@settings(max_examples=100)
@given(JSON, st.integers(0, 3))
def test_values_are_counted_outside_of_strings_only(value: Any, slack: int) -> None:
    found = values(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_SLICE", 3)
        patch.setattr(bounds, "MOST_VALUES", found - 1 + slack)
        assert bounds._has_too_many(json.dumps(value).encode()) is (slack == 0 and found > found - 1 + slack)
