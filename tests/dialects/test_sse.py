from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dialects import sse
from services.dialects.sse import SseEvent, SseParser, encode_event
from services.runtime.errors import UpstreamProtocol

RECORDING = (
    '\ufeff: comment\r\ndata: {"a": "é日本"}\r\n\r\nevent: error\ndata: one\ndata:two\n\ndata:  spaced\r\r'
    "event: lost\n\ndata\n\nid: 4\nretry: 10\ndata: x\rdata: y\r\n\rdata: l\r\ndata: m\r\n\r\ndata: [DONE]\n\ndata: cut"
).encode()
EVENTS = [
    SseEvent("", '{"a": "é日本"}'.encode()),
    SseEvent("error", b"one\ntwo"),
    SseEvent("", b" spaced"),
    SseEvent("", b""),
    SseEvent("", b"x\ny"),
    SseEvent("", b"l\nm"),
    SseEvent("", b"[DONE]"),
]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def test_whole_recording() -> None:
    parser = SseParser()
    assert parser.feed(RECORDING) == EVENTS
    assert parser.close()
    assert not parser.close()


def test_single_bytes() -> None:
    parser = SseParser()
    assert [event for byte in RECORDING for event in parser.feed(bytes([byte]))] == EVENTS


@given(st.lists(st.integers(0, len(RECORDING)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    parser = SseParser()
    assert [event for piece in pieces(RECORDING, cuts) for event in parser.feed(piece)] == EVENTS


@given(
    st.lists(
        st.sampled_from([b"data: a", b"data:b", b"\n", b"\r", b"\r\n", b"\n\n", b"event: e", b":c", b"x"])
    ),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_any_stream_is_the_same_in_any_split(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole, split = SseParser(), SseParser()
    expected = whole.feed(data)
    assert [e for p in pieces(data, [min(c, len(data)) for c in cuts]) for e in split.feed(p)] == expected
    assert split.close() == whole.close()


@given(st.text(), st.sampled_from(["", "error", "message_start"]))
def test_what_is_encoded_is_parsed_again(text: str, name: str) -> None:
    joined = "\n".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    assert SseParser().feed(encode_event(text.encode(), name)) == [SseEvent(name, joined.encode())]


def test_an_event_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    for stream in (b"data: " + b"x" * 2000 + b"\n\n", b"y" * 2000, b"data: %b\n" % (b"z" * 400) * 4):
        with pytest.raises(UpstreamProtocol):
            SseParser().feed(stream)
    parser = SseParser()
    with pytest.raises(UpstreamProtocol):
        for _ in range(2000):
            parser.feed(b"x")


def test_many_small_events_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    assert len(SseParser().feed(b"data: x\n\n" * 5000)) == 5000
