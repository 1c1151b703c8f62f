"""Forms: where their fields are, and one value in another's place."""

from __future__ import annotations

import random
import time

import pytest

from services.dialects.multipart import Field, boundary_of, fields, value, with_value
from services.runtime.errors import RequestInvalid

BOUNDARY = b"----WebKit7MA4YWxk"
FILE = b"\x00RIFF\r\n--not-the-boundary\r\n\r\n" + bytes(range(256)) * 8


def part(head: bytes, content: bytes) -> bytes:
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


FORM = b"".join(
    (
        part(b'Content-Disposition: form-data; name="model"', b"openai/whisper-1"),
        part(
            b'content-disposition: form-data; name="file"; filename="a;name=b.wav"\r\nContent-Type: x/y', FILE
        ),
        part(b"Content-Disposition: form-data; name=language", b""),
        part(b'Content-Disposition: form-data; name="t[]"', b"word"),
        part(b'Content-Disposition: form-data; name="t[]"', b"segment"),
        b"--" + BOUNDARY + b"--\r\n",
    )
)


def test_fields_are_found_in_their_order() -> None:
    form = fields(FORM, BOUNDARY)
    assert [field.name for field in form] == ["model", "file", "language", "t[]", "t[]"]
    assert [FORM[field.start : field.end] for field in form] == [
        b"openai/whisper-1",
        FILE,
        b"",
        b"word",
        b"segment",
    ]
    assert value(FORM, form, "model", 256) == "openai/whisper-1"
    assert value(FORM, form, "stream", 5) is None


def test_one_value_is_replaced_and_all_else_keeps_its_bytes() -> None:
    assert with_value(FORM, "model", "wh") == FORM.replace(b"openai/whisper-1", b"wh")
    assert with_value(FORM, "language", "de") == FORM.replace(
        b"name=language\r\n\r\n", b"name=language\r\n\r\nde"
    )


def test_a_large_file_is_looked_through_in_linear_time() -> None:
    body = part(b'Content-Disposition: form-data; name="file"', b"\r\n--" * 2_000_000) + FORM
    began = time.perf_counter()
    assert len(fields(body, BOUNDARY)) == 6
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b:c"', b"a b:c"),
        ("multipart/form-data;boundary=----X", b"----X"),
    ],
)
def test_boundaries(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "a" * 71,
        'multipart/form-data; boundary="a\r\nb"',
        "multipart/mixed; boundary=abc",
        "x multipart/form-data; boundary=abc",
        'multipart/form-data; boundary="ä"',
    ],
)
def test_what_names_no_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(RequestInvalid):
        boundary_of(content_type)


BROKEN = {
    "nothing": b"",
    "another boundary": b"--x\r\n\r\n",
    "no line break": b"--" + BOUNDARY + b"x",
    "headers without end": b"--" + BOUNDARY + b"\r\n" + b"a" * 5000 + FORM,
    "cut off": FORM[: -len(BOUNDARY) - 8],
    "no name": part(b"Content-Type: text/plain", b"x") + FORM,
    "too many": part(b'Content-Disposition: form-data; name="a"', b"x") * 70 + FORM,
}


def test_what_looks_like_a_name_inside_another_value_is_none() -> None:
    (first, *_) = fields(
        part(b'Content-Disposition: form-data; x="; name=a"; name="b"', b"dear") + FORM, BOUNDARY
    )
    assert first.name == "b"


TWO_READINGS = {
    "two names": b'form-data; name="a"; name="model"',
    "a name in another coding": b"form-data; name=\"a\"; name*=utf-8''model",
    "a name in pieces": b'form-data; name="a"; name*0="mo"; name*1="del"',
    "a name with an escape": b'form-data; name="mo\\del"',
    "a header twice": b'form-data; name="a"\r\nContent-Disposition: form-data; name="model"',
    "a header written loosely": b'form-data; name="a"\r\nContent-Disposition : form-data; name="model"',
    "more behind": b'form-data; name="a", form-data; name="model"',
}


@pytest.mark.parametrize("disposition", TWO_READINGS.values(), ids=TWO_READINGS)
def test_a_part_whose_name_can_be_read_in_two_ways_is_refused(disposition: bytes) -> None:
    with pytest.raises(RequestInvalid):
        fields(part(b"Content-Disposition: " + disposition, b"dear") + FORM, BOUNDARY)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_form_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        fields(body, BOUNDARY)


def test_values_are_bounded_text_and_stand_once() -> None:
    with pytest.raises(RequestInvalid, match="at most"):
        value(FORM, fields(FORM, BOUNDARY), "model", 4)
    with pytest.raises(RequestInvalid, match="once"):
        value(FORM, fields(FORM, BOUNDARY), "t[]", 100)
    with pytest.raises(RequestInvalid, match="UTF-8"):
        value(b"\xff\xff", [Field("model", 0, 2)], "model", 100)
    with pytest.raises(RequestInvalid, match="once"):
        with_value(FORM, "seed", "1")


def test_whatever_arrives_is_a_form_or_refused() -> None:
    dice = random.Random(5)
    for _ in range(300):
        body = bytearray(FORM)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(body))
            body[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        try:
            form = fields(bytes(body), BOUNDARY)
        except RequestInvalid:
            continue
        assert all(0 < field.start <= field.end <= len(body) for field in form)
