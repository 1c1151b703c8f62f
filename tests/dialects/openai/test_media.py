"""Moderations, images, speech, transcriptions and rankings, relayed. Bodies are ours, from OpenAI's specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from llmhub.types.v1.usage_pb2 import Measure, Modality, UsageClass
from services.dialects.openai import OpenAICodec
from services.dialects.openai_media import MediaTap

CODEC = OpenAICodec()
IMAGES, RERANK = Endpoint.ENDPOINT_OPENAI_IMAGES, Endpoint.ENDPOINT_RERANK
MODERATIONS, SPEECH = Endpoint.ENDPOINT_OPENAI_MODERATIONS, Endpoint.ENDPOINT_OPENAI_SPEECH
TRANSCRIPTIONS = Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS


def read(body: Any, endpoint: Endpoint.ValueType) -> Progress:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CODEC.relay_answer(data, endpoint)


def test_usage_of_images_is_told_by_modality() -> None:
    told = {
        "input_tokens": 50,
        "output_tokens": 4160,
        "total_tokens": 4210,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }
    usage = read({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": told}, IMAGES).usage
    assert (usage.input_tokens, usage.output_tokens, usage.provider_total_tokens) == (50, 4160, 4210)
    assert usage.measure == Measure.MEASURE_VENDOR
    assert json.loads(usage.provider_json) == told
    assert [(share.usage_class, share.modality, share.tokens) for share in usage.modalities] == [
        (UsageClass.USAGE_CLASS_INPUT, Modality.MODALITY_TEXT, 10),
        (UsageClass.USAGE_CLASS_INPUT, Modality.MODALITY_IMAGE, 40),
    ]


@pytest.mark.parametrize(
    ("body", "endpoint"),
    [
        ({"created": 1, "data": [{"url": "https://x"}]}, IMAGES),
        ({"id": "modr-1", "model": "omni-moderation-latest", "results": []}, MODERATIONS),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nHallo\n", TRANSCRIPTIONS),
        (b"ID3\x04\x00binary", SPEECH),
        ({"text": "Hallo", "usage": {"type": "duration", "seconds": 9}}, TRANSCRIPTIONS),
        ({"results": [], "meta": {"billed_units": {"search_units": 1}}}, RERANK),
        ({"data": [], "usage": {"input_tokens": -1, "output_tokens": "many"}}, IMAGES),
        ({"data": [], "usage": [1]}, IMAGES),
    ],
)
def test_what_the_vendor_does_not_count_in_tokens_is_unknown(body: Any, endpoint: Endpoint.ValueType) -> None:
    progress = read(body, endpoint)
    assert progress.complete
    assert not progress.usage.HasField("input_tokens")
    assert not progress.usage.HasField("output_tokens")
    assert progress.usage.measure == Measure.MEASURE_UNSPECIFIED


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"results": [], "usage": {"total_tokens": 38}}, (38, 0)),
        ({"results": [], "usage": {"prompt_tokens": 30, "total_tokens": 38}}, (30, 0)),
        ({"results": [], "meta": {"tokens": {"input_tokens": 7, "output_tokens": 0}}}, (7, 0)),
    ],
)
def test_usage_of_rankings(body: Any, counts: tuple[int, int]) -> None:
    usage = read(body, RERANK).usage
    assert (usage.input_tokens, usage.output_tokens) == counts


@pytest.mark.parametrize(
    ("body", "endpoint"), [(b"<html>", IMAGES), (b"", RERANK), (b"[" * 100_000, MODERATIONS)]
)
def test_what_is_no_answer_is_a_failure(body: bytes, endpoint: Endpoint.ValueType) -> None:
    progress = read(body, endpoint)
    assert not progress.complete
    assert progress.HasField("error")


def test_an_error_in_a_whole_answer_is_one() -> None:
    progress = read({"error": {"message": "no", "type": "server_error"}}, IMAGES)
    assert not progress.complete
    assert progress.error.message == "no"


DONE = {
    "type": "transcript.text.done",
    "text": "Hallo Welt",
    "usage": {"input_tokens": 14, "output_tokens": 3},
}
DELTA: dict[str, str] = {"type": "transcript.text.delta", "delta": "Hallo Welt"}
EVENTS = b"".join(
    b"event: %b\r\ndata: %b\r\n\r\n" % (str(event["type"]).encode(), json.dumps(event).encode())
    for event in (DELTA, DONE)
)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_stream_of_events_is_whole_when_its_last_one_came(size: int) -> None:
    tap = CODEC.relay_tap(TRANSCRIPTIONS, hide_usage=False)
    passed = [tap.feed(EVENTS[at : at + size]) for at in range(0, len(EVENTS), size)]
    last = tap.close()
    assert b"".join(piece.data for piece in passed) + last.data == EVENTS
    assert last.progress is not None
    assert last.progress.complete
    assert last.progress.output_characters == len("Hallo Welt")
    assert (last.progress.usage.input_tokens, last.progress.usage.output_tokens) == (14, 3)


@pytest.mark.parametrize("end", [3, 40, len(EVENTS) - 2])
def test_a_cut_stream_of_events_is_not_whole(end: int) -> None:
    tap = MediaTap()
    tap.feed(EVENTS[:end])
    last = tap.close().progress
    assert last is not None
    assert not last.complete


@pytest.mark.parametrize("sound", [b"ID3\x04\x00\x00", b"RIFF....WAVE", b"\xff\xfb\x90", b"d", b"OggS" * 10])
def test_sound_goes_through_and_nothing_is_made_up_about_it(sound: bytes) -> None:
    tap = CODEC.relay_tap(SPEECH, hide_usage=False)
    first = tap.feed(sound)
    assert first.data == sound
    assert first.progress is not None
    assert first.progress.content
    assert tap.feed(b"\0" * 100).data == b"\0" * 100
    last = tap.close().progress
    assert last is not None
    assert last.complete
    assert not last.HasField("usage")


def test_an_empty_stream_is_not_whole() -> None:
    progress = MediaTap().close().progress
    assert progress is not None
    assert not progress.complete


def test_an_error_event_is_the_stream_s_failure() -> None:
    tap = MediaTap()
    told = tap.feed(b'data: {"type":"error","error":{"message":"broken","type":"server_error"}}\n\n').progress
    assert told is not None
    assert told.error.message == "broken"
    last = tap.close().progress
    assert last is not None
    assert not last.complete
