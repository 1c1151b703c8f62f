"""Streams in whole events: nothing is lost or reordered, and no event goes out in two pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.providers.domain.whole_events import MOST_HELD, WholeEvents
from tests.support.recordings import pieces

STREAMS = st.sampled_from(["\n", "\r\n", "\r"]).flatmap(
    lambda end: st.lists(st.text("ab:", max_size=5), max_size=6).map(
        lambda lines: "".join(f"data: {line}{end}{end}" for line in lines).encode()
    )
)


@settings(max_examples=200)
@given(STREAMS, st.lists(st.integers(0, 80), max_size=8))
def test_any_split_gives_whole_events(stream: bytes, cuts: list[int]) -> None:
    events = WholeEvents()
    out = [events.feed(piece) for piece in pieces(stream, cuts)]
    assert all(piece.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")) for piece in out if piece)
    assert b"".join(out) + events.close() == stream


def test_what_comes_whole_goes_out_at_once() -> None:
    events = WholeEvents()
    data = b"data: a\n\ndata: b\n\n"
    assert events.feed(data) is data
    assert events.feed(data + b"data: c") == data
    assert events.feed(b"\n") == b""
    assert events.feed(b"\ndata: d") == b"data: c\n\n"
    assert events.close() == b"data: d"


def test_a_huge_event_is_not_kept() -> None:
    events = WholeEvents()
    sizes = [len(events.feed(b"x" * 1000)) for _ in range(200)]
    assert sum(sizes) > 100_000
    assert len(events.close()) <= MOST_HELD + 1000


def test_single_bytes_give_each_event_as_soon_as_it_ends() -> None:
    for end in ("\n", "\r\n", "\r"):
        one = f"data: a{end}{end}".encode()
        events = WholeEvents()
        out = [events.feed(bytes([byte])) for byte in one * 3]
        assert [piece for piece in out if piece] == [one] * 3
        assert events.close() == b""
