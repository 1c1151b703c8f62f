"""The simulator's orders by name: they work for callers whose dialect carries no metadata."""

from __future__ import annotations

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Message, Part, Role
from services.providers.adapters.sim import SimAdapter
from services.providers.settings import Account
from services.runtime.errors import UpstreamFailed, UpstreamRateLimited


def question(model: str, text: str = "one two three four", **metadata: str) -> pb.GenerateStreamRequest:
    message = Message(role=Role.ROLE_USER, parts=[Part(text=text)])
    request = GenerateRequest(model=f"sim/{model}", messages=[message], metadata=metadata)
    return pb.GenerateStreamRequest(attempt=pb.Attempt(attempt_id="a", model=model), request=request)


async def words_before_the_end(request: pb.GenerateStreamRequest) -> tuple[list[str], Exception | None]:
    words: list[str] = []
    try:
        async for answer in SimAdapter(Account(name="sim", dialect="sim")).generate_stream(request):
            words += [event.block_delta.text for event in answer.events if event.HasField("block_delta")]
    except (UpstreamFailed, UpstreamRateLimited) as error:
        return words, error
    return words, None


async def test_broken_breaks_off_after_two_words() -> None:
    words, error = await words_before_the_end(question("broken"))
    assert words == ["one ", "two "]
    assert isinstance(error, UpstreamFailed)


async def test_a_short_answer_breaks_off_too() -> None:
    words, error = await words_before_the_end(question("broken", "one"))
    assert words == ["one"]
    assert isinstance(error, UpstreamFailed)


async def test_metadata_outweighs_the_name() -> None:
    request = question("broken", sim_fail="rate_limit", sim_fail_after="1")
    words, error = await words_before_the_end(request)
    assert words == ["one "]
    assert isinstance(error, UpstreamRateLimited)


@pytest.mark.parametrize("model", ["fail", "broken"])
async def test_a_whole_answer_of_these_models_is_a_failure(model: str) -> None:
    request = question(model)
    with pytest.raises(UpstreamFailed):
        await SimAdapter(Account(name="sim", dialect="sim")).generate(
            pb.GenerateRequest(attempt=request.attempt, request=request.request)
        )
    assert (await words_before_the_end(question("fail")))[0] == []
