"""Lines come out the same however the bytes arrive, within bounds, in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dialects.ndjson import MAX_LINE_BYTES, LineParser, encode_line
from services.runtime.errors import UpstreamProtocol
from tests.support.recordings import pieces

LINES = st.lists(
    st.binary(max_size=6).filter(lambda line: b"\n" not in line and line.strip() != b""), max_size=6
)


def parsed(parts: list[bytes]) -> tuple[list[bytes], bytes]:
    parser = LineParser()
    return [line for part in parts for line in parser.feed(part)], parser.close()


@given(lines=LINES, cuts=st.lists(st.integers(0, 60)), rest=st.binary(max_size=3))
def test_any_split_gives_the_same_lines(lines: list[bytes], cuts: list[int], rest: bytes) -> None:
    rest = rest.replace(b"\n", b"").strip()
    data = b"".join(map(encode_line, lines)) + rest
    assert parsed(pieces(data, cuts)) == (lines, rest)


def test_blank_lines_are_left_out_and_cr_stays_whitespace() -> None:
    assert parsed([b"\n\r\n  \n{}\r\n", b"\n1"]) == ([b"{}\r"], b"1")
    assert parsed([b"{}\n \r"]) == ([b"{}"], b"")


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    half = b"x" * (MAX_LINE_BYTES // 2)
    assert len(parsed([half, half, b"\n"])[0][0]) == MAX_LINE_BYTES
    for parts in ([half, half, b"x"], [half + half + b"x\n"], [half, half + b"x\n{}"]):
        with pytest.raises(UpstreamProtocol, match="longer than"):
            parsed(parts)


def test_a_long_line_in_many_pieces_is_read_in_linear_time() -> None:
    parser = LineParser()
    before = time.process_time()
    for _ in range(200_000):
        parser.feed(b"0123456789")
    assert len(parser.feed(b"\n")[0]) == 2_000_000
    assert time.process_time() - before < 2
