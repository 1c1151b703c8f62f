"""Frames of AWS event streams, in any pieces."""

import random
import struct
import subprocess
import sys
from binascii import crc32
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dialects.eventstream import Frame, FrameReader, encode_frame
from services.runtime.errors import UpstreamProtocol

FRAMES = [
    Frame("event", "messageStart", b'{"a":"\xc3\xa9"}'),
    Frame("exception", "throttlingException", b"{}"),
    Frame("event", "empty", b""),
]
DATA = b"".join(encode_frame(frame.name, frame.payload, frame.kind) for frame in FRAMES)


def read(pieces: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    assert not reader.close()
    return frames


def raw(size: int, headers: bytes, payload: bytes = b"", header_size: int | None = None) -> bytes:
    """A frame whose checksums are right, whatever its lengths say."""
    prelude = struct.pack("!II", size, len(headers) if header_size is None else header_size)
    front = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return front + struct.pack("!I", crc32(front))


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(DATA)), max_size=8))
def test_any_split_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(DATA)]
    assert read([DATA[start:end] for start, end in pairwise(edges)]) == FRAMES


def test_single_bytes_give_the_same_frames() -> None:
    assert read([bytes([byte]) for byte in DATA]) == FRAMES


@pytest.mark.parametrize("cut", [1, 11, 12, 40, len(DATA) - 1])
def test_an_end_inside_a_frame_is_told(cut: int) -> None:
    reader = FrameReader()
    reader.feed(DATA[:cut])
    assert reader.close()


def test_every_changed_byte_is_found() -> None:
    for at in range(len(DATA)):
        reader = FrameReader()
        broken = DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1 :]
        try:
            assert reader.feed(broken) != FRAMES
        except UpstreamProtocol:
            continue
        assert reader.close()


@pytest.mark.parametrize("size", [*range(17), 1 << 31, (1 << 32) - 1])
def test_lengths_that_no_frame_has(size: int) -> None:
    if size != 16:
        with pytest.raises(UpstreamProtocol):
            FrameReader().feed(raw(size, b"") * 3)
    else:
        assert read([raw(size, b"")]) == [Frame("", "", b"")]


@pytest.mark.parametrize(
    "headers",
    [
        b"\x01",
        b"\x01a",
        b"\x01a\x63",
        b"\x01a\x07\x00\x01\xff",
        b"\x01\xff\x00",
        b"\x01a\x00\x01a\x00",
        b"\x01a\x04\x00",
    ],
)
def test_headers_that_are_none(headers: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        FrameReader().feed(raw(16 + len(headers), headers))


def test_headers_longer_than_their_frame_or_than_any() -> None:
    with pytest.raises(UpstreamProtocol):
        FrameReader().feed(raw(16, b"", header_size=17000))
    many = b"".join(b"\x04%04d\x00" % number for number in range(4000))
    with pytest.raises(UpstreamProtocol):
        FrameReader().feed(raw(16 + len(many), many))


def test_headers_of_every_type_are_read() -> None:
    odd = b"\x0d:message-type\x00" + b"\x0b:event-type\x04\x00\x00\x00\x07"
    assert read([raw(16 + len(odd), odd, b"")]) == [Frame("True", "7", b"")]


def test_a_large_frame_in_small_pieces_costs_what_it_weighs() -> None:
    data = encode_frame("chunk", bytes(2_000_000))
    dice = random.Random(1)
    edges = [0, *sorted(dice.sample(range(1, len(data)), 20_000)), len(data)]
    (frame,) = read([data[start:end] for start, end in pairwise(edges)])
    assert len(frame.payload) == 2_000_000


def test_botocore_is_imported_with_the_first_stream() -> None:
    script = (
        "import sys; from services.dialects.bedrock import BedrockCodec, invoke;"
        "codec = BedrockCodec(); request = codec.decode_request(b'{}').request;"
        "codec.encode_request(request, 'm', stream=True); codec.decode_error(400, {}, b'');"
        "assert not [name for name in sys.modules if name.startswith('boto')];"
        "codec.stream_decoder(); assert 'botocore.eventstream' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
