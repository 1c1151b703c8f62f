"""Which URLs are left to the target, and which are fetched for it."""

from __future__ import annotations

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Media, MediaKind, MediaParts, Message, Part, ToolResult
from services.providers.codecs import tongue
from services.providers.domain.fetching import place_of, type_of
from services.providers.domain.media import out_of_reach, reach_of
from services.providers.settings import Account
from services.runtime.errors import RequestInvalid

IMAGE = MediaKind.MEDIA_KIND_IMAGE
DOCUMENT = MediaKind.MEDIA_KIND_DOCUMENT
AUDIO = MediaKind.MEDIA_KIND_AUDIO


def request(*parts: Part) -> GenerateRequest:
    return GenerateRequest(messages=[Message(parts=[Part(text="look")]), Message(parts=parts)])


def medium(url: str, kind: MediaKind.ValueType = IMAGE) -> Part:
    return Part(media=Media(kind=kind, url=url))


@pytest.mark.parametrize(
    ("codec", "profile", "kind", "fetches"),
    [
        ("openai", "openai", IMAGE, True),
        ("openai", "openai", DOCUMENT, False),
        ("openai", "openrouter", DOCUMENT, True),
        ("openai", "ollama", IMAGE, False),
        ("openai-responses", "", DOCUMENT, True),
        ("openai", "openai", AUDIO, False),
        ("anthropic", "", IMAGE, True),
        ("anthropic", "", DOCUMENT, True),
        ("anthropic", "bedrock", IMAGE, False),
        ("gemini", "", IMAGE, False),
        ("bedrock", "", IMAGE, False),
        ("ollama", "", IMAGE, False),
        ("cohere", "", IMAGE, True),
        ("a-plugin", "", IMAGE, False),
    ],
)
def test_a_target_is_left_what_it_fetches_itself(
    codec: str, profile: str, kind: MediaKind.ValueType, fetches: bool
) -> None:
    missing = out_of_reach(request(medium("https://a.example/x", kind)), reach_of(codec, profile))
    assert (not missing) is fetches


@pytest.mark.parametrize("codec", ["openai-responses", "anthropic", "ollama", "cohere"])
def test_what_a_dialect_has_no_form_for_is_not_fetched(codec: str) -> None:
    assert not out_of_reach(request(medium("https://a.example/x", AUDIO)), reach_of(codec))


@pytest.mark.parametrize("kind", [IMAGE, DOCUMENT, AUDIO, MediaKind.MEDIA_KIND_VIDEO])
@pytest.mark.parametrize(
    "name", ["openai", "openai-responses", "anthropic", "gemini", "bedrock", "cohere", "ollama"]
)
def test_the_table_says_what_the_codecs_do(name: str, kind: MediaKind.ValueType) -> None:
    url = "https://a.example/hidden"
    profile = "openai" if name == "openai" else ""
    codec = tongue(name, Account(name="x", dialect=name, profile=profile)).chat
    wire = codec.encode_request(request(medium(url, kind)), "m", stream=False)
    sent = url.encode() in wire.body
    # Gemini is given any URL as a file's: it answers with an error where it does not read it.
    assert sent is (kind in reach_of(name, profile).kinds or name == "gemini")
    assert sent or any("parts" in warning.field for warning in wire.warnings)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,AA==",
        "gs://bucket/x.png",
        "s3://bucket/x.png",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "https://www.youtube.com/watch?v=1",
    ],
)
def test_gemini_reads_its_own_files(url: str) -> None:
    assert not out_of_reach(request(medium(url)), reach_of("gemini"))


def test_a_url_that_only_begins_like_gemini_s_own_is_fetched() -> None:
    near = medium("https://generativelanguage.googleapis.com.evil.example/x")
    assert out_of_reach(request(near), reach_of("gemini"))


def test_media_are_found_in_tool_results_and_documents() -> None:
    inner = medium("HTTPS://a.example/x")
    document = Part(media=Media(kind=DOCUMENT, parts=MediaParts(parts=[Part(text="t"), inner])))
    result = Part(tool_result=ToolResult(call_id="1", parts=[document, inner]))
    found = out_of_reach(request(Part(text="t"), result), reach_of("gemini"))
    assert [path for path, _ in found] == [
        "messages[1].parts[1].tool_result.parts[0].media.parts[1].media",
        "messages[1].parts[1].tool_result.parts[1].media",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/x",
        "ftp://a.example/x",
        "https://user:pass@a.example/x",
        "https://user@a.example/x",
        "https://a.example@127.0.0.1/x",
        "https://a.example:8443/x",
        "https://a.example:0/x",
        "https://a.example:99999/x",
        "https://a.example\\@b.example/x",
        "https://a.example/x y",
        "https://a.example/\nx",
        "https://ä.example/x",
        "https:///x",
        "https://./x",
        "https://[fe80::1%25eth0]/x",
        "https://[::1/x",
        "https://a.example/" + "x" * 9000,
    ],
)
def test_a_url_that_is_not_plain_https_is_refused(url: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        place_of(url, (443,), "here")
    assert [each.field for each in refused.value.violations] == ["here"]
    assert "pass" not in str(refused.value)


def test_a_type_is_taken_if_it_is_allowed_and_fits_what_it_is_shown_as() -> None:
    allowed = ("image/png", "audio/*")
    assert type_of("Image/PNG; charset=binary", IMAGE, allowed, "f") == "image/png"
    assert type_of("audio/ogg", AUDIO, allowed, "f") == "audio/ogg"
    for header, kind in (("", IMAGE), ("text/html", IMAGE), ("audio/ogg", IMAGE), ("image/svg+xml", IMAGE)):
        with pytest.raises(RequestInvalid):
            type_of(header, kind, allowed, "f")
