"""Counts against what providers reported, recorded; and how a guess learns."""

from __future__ import annotations

import json
import sys

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Media, MediaKind, Message, Part, Role
from llmhub.types.v1.generation_pb2 import FunctionTool, Tool
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.codec import ChatCodec
from services.providers.adapters.counting import input_tokens
from services.providers.codecs import tongue
from services.providers.settings import Account
from services.providers.tokens import vocabulary
from services.providers.tokens.calibration import Calibration
from services.providers.tokens.content import content_of, digest
from services.providers.tokens.counter import Counted, Target, TokenCounter
from services.providers.tokens.estimate import estimate
from services.providers.tokens.families import CL100K, O200K, family_of
from services.providers.tokens.images import dimensions
from services.providers.tokens.lru import Lru
from services.providers.tokens.vocabulary import Vocabularies, slices
from tests.support.exchanges import Exchange, recorded

COUNTED = Measure.MEASURE_COUNTED
ESTIMATED = Measure.MEASURE_ESTIMATED
OPENAI = tuple(
    each
    for each in recorded("openai.chat", "openai.responses")
    if each.provider in {"openai", "azure_openai"} and each.status == 200 and each.body is not None
)


def codec_of(exchange: Exchange) -> ChatCodec:
    name = "openai" if exchange.endpoint == "openai.chat" else "openai-responses"
    return tongue(name, Account(name="x", dialect=name)).chat


def request_of(exchange: Exchange) -> GenerateRequest:
    return codec_of(exchange).decode_request(json.dumps(exchange.question).encode()).request


def usage_of(exchange: Exchange) -> Usage:
    codec = codec_of(exchange)
    if not exchange.streaming:
        return codec.decode_response(exchange.answer).usage
    decoder = codec.stream_decoder()
    events = decoder.feed(exchange.answer) + decoder.close()
    found = [each.usage for each in events if each.WhichOneof("event") == "usage"]
    found += [each.finished.usage for each in events if each.WhichOneof("event") == "finished"]
    return next((each for each in reversed(found) if each.HasField("input_tokens")), Usage())


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter()


def target(model: str, codec: str = "openai") -> Target:
    return Target("p", model, codec)


def said(*texts: str) -> GenerateRequest:
    return GenerateRequest(messages=[Message(role=Role.ROLE_USER, parts=[Part(text=each)]) for each in texts])


async def test_what_is_called_counted_is_what_the_provider_reported(counter: TokenCounter) -> None:
    right = 0
    for exchange in OPENAI:
        reported = input_tokens(usage_of(exchange))
        if not reported:
            continue
        found = await counter.count(
            request_of(exchange), Target("p", exchange.model, codec_of(exchange).name)
        )
        if found.measure == COUNTED:
            assert found.tokens == reported, exchange.name
            right += 1
    assert right >= 9


async def test_most_requests_with_tools_are_guessed_within_a_tenth(counter: TokenCounter) -> None:
    near = []
    for exchange in OPENAI:
        request, usage = request_of(exchange), usage_of(exchange)
        reported = input_tokens(usage)
        functions = request.tools and all(each.HasField("function") for each in request.tools)
        whole = not any("previous_response_id" in text for text in request.extensions.values())
        family = family_of(exchange.model, "")
        if reported and functions and whole and family.vocabulary and content_of(request, family).plain:
            found = await counter.count(request, Target("p", exchange.model, codec_of(exchange).name))
            assert found.measure == ESTIMATED
            near.append(abs(found.tokens / reported - 1))
    assert len(near) >= 15
    assert sorted(near)[len(near) // 2] <= 0.1
    assert max(near) <= 0.5


@pytest.mark.parametrize(
    ("model", "codec", "name", "exact"),
    [
        ("gpt-4o-mini-2024-07-18", "openai", O200K, True),
        ("openai/gpt-4.1", "openai", O200K, True),
        ("ft:gpt-4o:acme::1", "openai", O200K, True),
        ("gpt-4", "openai", CL100K, True),
        ("gpt-4-0613", "openai", CL100K, True),
        ("gpt-35-turbo", "openai", CL100K, True),
        ("gpt-5-chat-latest", "openai", O200K, False),
        ("gpt-4o-audio-preview", "openai", O200K, False),
        ("o1-mini", "openai", O200K, False),
        ("openai.gpt-oss-120b-1:0", "bedrock", O200K, False),
        ("us.anthropic.claude-sonnet-4-v1:0", "bedrock", "", False),
        ("my-deployment", "openai", "", False),
        ("not-gpt-4o", "openai", O200K, False),
    ],
)
def test_a_family_is_known_by_the_model_s_name(model: str, codec: str, name: str, exact: bool) -> None:
    family = family_of(model, codec)
    assert (family.vocabulary, family.exact) == (name, exact)


async def test_anything_but_plain_messages_makes_a_count_an_estimate(counter: TokenCounter) -> None:
    plain = said("hello")
    assert (await counter.count(plain, target("gpt-4o"))).measure == COUNTED
    for change in (
        GenerateRequest(tools=[Tool(function=FunctionTool(name="f", parameters_json="{"))]),
        GenerateRequest(extensions={"openai": '{"prediction":{"type":"content","content":"x"}}'}),
        GenerateRequest(extensions={"openai": "no JSON"}),
        GenerateRequest(
            messages=[Message(parts=[Part(media=Media(kind=MediaKind.MEDIA_KIND_IMAGE, url="https://x"))])]
        ),
    ):
        change.MergeFrom(plain)
        assert (await counter.count(change, target("gpt-4o"))).measure == ESTIMATED
    silent = GenerateRequest(extensions={"openai": '{"stream":true,"seed":1}'})
    silent.MergeFrom(plain)
    assert (await counter.count(silent, target("gpt-4o"))).measure == COUNTED


async def test_without_the_library_counts_are_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rs_bpe.bpe", None)
    monkeypatch.setitem(sys.modules, "bpe_openai._bindings", None)
    counter = TokenCounter()
    found = await counter.count(said("hello there, how are you today?"), target("gpt-4o"))
    assert found.measure == ESTIMATED
    assert 10 <= found.tokens <= 20


def test_slices_count_like_the_whole() -> None:
    words = (
        "Word",
        " word",
        "漢字",
        "かな・",
        "don't",
        "'LL",
        "e\u0301",
        "1234",
        "\r\n\n",
        " -> ",
        '{"a":1}',
        "😀",
    )
    text = "".join(words[(7 * n * n + n) % len(words)] for n in range(20_000))
    pieces = list(slices(text))
    assert "".join(pieces) == text
    assert len(pieces) > 3
    known = Vocabularies()
    for name in (O200K, CL100K):
        count = known._load(name)
        assert count is not None
        assert known.count(name, [text]) == count(text)
    assert list(slices("x" * 100_000)) == ["x" * 100_000]


@pytest.mark.parametrize(
    ("text", "o200k", "cl100k"),
    # From tiktoken 0.14 with the published vocabularies.
    [
        ("", 0, 0),
        ("hello world", 2, 2),
        ("<|endoftext|>", 7, 7),
        ("a\x00b", 3, 3),
        ("The quick brown fox jumps over the lazy dog.", 10, 10),
        ("今天我们来讨论如何正确配置服务器", 8, 12),
        ("Сегодня мы обсудим, как правильно настроить сервер", 11, 19),
        ("x = {'a': [1, 22, 333, 4444]}\n\n    return x", 22, 22),
    ],
)
def test_vocabularies_count_as_the_reference_does(text: str, o200k: int, cl100k: int) -> None:
    known = Vocabularies()
    assert (known.count(O200K, [text]), known.count(CL100K, [text])) == (o200k, cl100k)


async def test_a_long_text_is_counted_off_the_event_loop(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    seen: list[str] = []
    slices_of = vocabulary.slices

    def watched(text: str) -> object:
        seen.append(threading.current_thread().name)
        return slices_of(text)

    monkeypatch.setattr(vocabulary, "slices", watched)
    await counter.count(said("word " * 10_000), target("gpt-4o"))
    assert all(name.startswith("tokens") for name in seen)
    await counter.count(said("a short one"), target("gpt-4o"))
    assert seen[-1] == threading.current_thread().name


async def test_a_count_is_kept_by_content_and_model(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = said("kept, whoever asks")
    found = await counter.count(first, target("gpt-4o"))
    monkeypatch.setattr(counter, "_guess", None)
    again = said("kept, whoever asks")
    again.request_id = "other"
    assert await counter.count(again, target("gpt-4o")) == found
    with pytest.raises(TypeError):
        await counter.count(again, target("gpt-4o-mini"))


def test_a_digest_tells_contents_apart() -> None:
    one, two = said("ab"), said("a", "b")
    joined = said("ab")
    joined.messages[0].name = "n"
    found = {digest(each, provider, "m") for each in (one, two, joined) for provider in ("p", "pm")}
    assert len(found) == 6
    assert digest(one, "p", "m") == digest(said("ab"), "p", "m")


def test_a_guess_moves_to_what_is_reported_and_stays_in_bounds() -> None:
    seen = Calibration()
    assert seen.factor("p", "m") == 1.0
    for _ in range(20):
        seen.learn("p", "m", 1000, 1300)
    assert seen.factor("p", "m") == pytest.approx(1.3, abs=0.02)
    for _ in range(40):
        seen.learn("p", "m", 1000, 900)
    assert seen.factor("p", "m") == pytest.approx(0.9, abs=0.02)
    assert seen.factor("p", "other") == 1.0
    for _ in range(40):
        seen.learn("p", "wild", 1000, 10**9)
    assert seen.factor("p", "wild") == 4.0
    seen.learn("p", "empty", 0, 5)
    assert seen.factor("p", "empty") == 1.0


def test_small_prompts_teach_little() -> None:
    seen = Calibration()
    for _ in range(20):
        seen.learn("p", "m", 10, 38)
    assert seen.factor("p", "m") < 1.6


def test_only_some_attempts_are_looked_at() -> None:
    seen = Calibration()
    assert [seen.due("p", "m", 1.0 + n) for n in range(6)] == [True] * 4 + [False] * 2
    assert seen.due("p", "m", 20.0)
    assert not seen.due("p", "m", 29.0)
    assert seen.due("p", "n", 29.0)


async def test_an_estimate_is_calibrated_by_what_came_back() -> None:
    counter = TokenCounter()
    text = "Ein längerer Text, den dieses Modell anders zerlegt als gedacht. " * 40
    before = await counter.count(said(text), target("some-model"))
    for _ in range(8):
        counter.observe(lambda: said(text), target("some-model"), before.tokens * 2)
        counter._thread.submit(bool).result()
    after = await counter.count(said(text), target("some-model"))
    assert after.measure == ESTIMATED
    assert 1.7 <= after.tokens / before.tokens <= 2.0
    counter.close()
    counter.observe(lambda: said(text), target("some-model"), 1)


async def test_media_teach_nothing() -> None:
    counter = TokenCounter()
    picture = GenerateRequest(
        messages=[Message(parts=[Part(media=Media(kind=MediaKind.MEDIA_KIND_IMAGE, url="https://x"))])]
    )
    counter.observe(lambda: picture, target("some-model"), 50_000)
    counter._thread.submit(bool).result()
    assert counter.calibration.factor("p", "some-model") == 1.0


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("The committee will meet again next week to discuss the remaining points of the agenda.", 13, 20),
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 11, 24),
        ("今天我们来讨论如何正确配置服务器，以及为什么数据安全非常重要。", 14, 26),
        ("Сегодня мы обсудим, как правильно настроить сервер и почему это важно.", 13, 25),
        ("😀👍🎉🚀", 3, 8),
        ("", 0, 0),
    ],
)
def test_a_text_is_estimated_by_its_script(text: str, low: int, high: int) -> None:
    assert low <= estimate(text) <= high


def test_the_size_of_an_image_is_read_from_its_head() -> None:
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (640).to_bytes(4, "big") + (480).to_bytes(4, "big")
    gif = b"GIF89a" + (640).to_bytes(2, "little") + (480).to_bytes(2, "little")
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x01\xe0\x02\x80\x03"
    webp = (
        b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
    )
    for data in (png, gif, jpeg, webp):
        assert dimensions(data) == (640, 480)
        for end in range(len(data)):
            dimensions(data[:end])
    assert dimensions(b"\xff\xd8\xff\xff\xff\xff\xff") is None


def test_usage_that_says_little_teaches_nothing() -> None:
    assert input_tokens(Usage(input_tokens=3, cache_read_tokens=4, cache_write_tokens=5)) == 12
    assert input_tokens(Usage(output_tokens=3)) == 0
    assert input_tokens(Usage(input_tokens=3, tool_prompt_tokens=900)) == 0


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    kept: Lru[str, Counted] = Lru(2)
    one = Counted(1, COUNTED)
    kept.put("a", one)
    kept.put("b", one)
    kept.get("a")
    kept.put("c", one)
    assert (kept.get("a"), kept.get("b"), len(kept)) == (one, None, 2)
