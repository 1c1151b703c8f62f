"""Which tests say what of recordings: by column, the functions whose `parametrize` lists the recordings they hold."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_DIALECTS: Final = "tests.dialects."
_CLIENTS: Final = "tests.clients."
_NAME: Final = re.compile(r"[a-z_-]+/\d{3}")

COLUMNS: Final[Mapping[str, str]] = {
    "relay": "between equal dialects the request stays as it is, but for the model's name, and the bytes of the answer "
    "pass in any pieces and are understood in passing",
    "edge": "of these, through the running product by HTTP",
    "as the SDK": "through the contract, the whole answer or the folded stream says what the official SDK reads from "
    "the same bytes; a failure raises the same",
    "answer again": "what the contract holds of an answer, written again, is the same by value, frame by frame",
    "request again": "what the contract holds of a request, written again, is the same by value: what the vendor took. "
    "Where its SDK can judge requests, it takes them",
}
"""What the columns of the document say."""

CLAIMS: Final[Mapping[str, tuple[str, ...]]] = {
    "relayed request": (
        "openai.test_relay.test_only_the_model_of_a_request_changes",
        "openai_responses.test_relay.test_only_the_model_of_a_request_changes",
        "anthropic.test_relay.test_only_the_model_of_a_request_changes",
        "gemini.test_relay.test_a_request_keeps_its_bytes",
        "cohere.test_relay.test_a_request_keeps_its_bytes_but_the_model",
        "ollama.test_relay.test_a_request_keeps_its_bytes_but_the_model",
        "bedrock.test_invoke.test_recorded_requests_on_bedrock",
        "bedrock.test_invoke.test_recorded_exchanges_on_vertex",
    ),
    "relayed answer": (
        "openai.test_relay.test_streams_pass_untouched_in_any_pieces",
        "openai.test_relay.test_whole_answers",
        "openai.test_relay.test_embeddings",
        "openai_responses.test_relay.test_a_whole_answer",
        "openai_responses.test_relay.test_a_stream",
        "openai_responses.test_relay.test_a_compaction",
        "openai_responses.test_relay.test_a_count_is_not_usage",
        "anthropic.test_relay.test_streams_pass_and_are_understood",
        "anthropic.test_relay.test_whole_answers_are_understood",
        "anthropic.test_relay.test_counting_uses_nothing",
        "gemini.test_relay.test_streams_pass_and_are_understood",
        "gemini.test_relay.test_whole_answers",
        "gemini.test_relay.test_counts",
        "gemini.test_relay.test_embeddings",
        "cohere.test_relay.test_recorded_stream",
        "cohere.test_relay.test_recorded_answer",
        "ollama.test_relay.test_recorded_stream",
        "ollama.test_relay.test_recorded_answer",
        "bedrock.test_invoke.test_hosted_answers_are_those_that_the_sdk_reads",
    ),
    "edge": (
        "test_relay.test_recorded_exchange_goes_through",
        "test_gemini.test_recorded_exchange_goes_through",
        "test_responses.test_recorded_exchange_goes_through",
    ),
    "as the SDK": (
        "openai.test_official_sdk.test_whole_answers",
        "openai.test_official_sdk.test_streams",
        "openai.test_official_sdk.test_embeddings",
        "openai.test_official_sdk.test_errors_raise_the_same_exception",
        "openai_responses.test_official_sdk.test_whole_answers",
        "openai_responses.test_official_sdk.test_streams",
        "openai_responses.test_official_sdk.test_a_failure_inside_a_stream",
        "openai_responses.test_official_sdk.test_counts",
        "openai_responses.test_official_sdk.test_compactions",
        "openai_responses.test_official_sdk.test_errors_raise_the_same_exception",
        "anthropic.test_official_sdk.test_whole_answer",
        "anthropic.test_official_sdk.test_folded_stream",
        "anthropic.test_official_sdk.test_token_count",
        "anthropic.test_official_sdk.test_error",
        "gemini.test_official_sdk.test_whole_answer",
        "gemini.test_official_sdk.test_folded_stream",
        "gemini.test_official_sdk.test_token_count",
        "gemini.test_official_sdk.test_embeddings",
        "gemini.test_official_sdk.test_error",
        "bedrock.test_official_sdk.test_whole_answer",
        "bedrock.test_official_sdk.test_folded_stream",
        "bedrock.test_official_sdk.test_error",
        "bedrock.test_round_trip.test_count_answer",
        "bedrock.test_invoke.test_hosted_answers_are_those_that_the_sdk_reads",
        "cohere.test_official_sdk.test_recorded_answer",
        "cohere.test_official_sdk.test_recorded_stream",
        "cohere.test_official_sdk.test_recorded_vectors",
        "ollama.test_official_sdk.test_recorded_answer",
        "ollama.test_official_sdk.test_recorded_stream",
    ),
    "answer again": (
        "openai.test_round_trip.test_answers",
        "openai.test_round_trip.test_streams",
        "openai.test_round_trip.test_errors",
        "openai.test_round_trip.test_embeddings",
        "openai_responses.test_round_trip.test_answers",
        "openai_responses.test_round_trip.test_streams",
        "openai_responses.test_round_trip.test_counts",
        "openai_responses.test_round_trip.test_errors",
        "anthropic.test_round_trip.test_answer",
        "anthropic.test_round_trip.test_every_frame_of_a_stream",
        "anthropic.test_round_trip.test_count_answer",
        "anthropic.test_round_trip.test_error",
        "gemini.test_round_trip.test_answer",
        "gemini.test_streams.test_every_chunk",
        "gemini.test_round_trip.test_count_answer",
        "gemini.test_round_trip.test_embeddings",
        "gemini.test_round_trip.test_error",
        "bedrock.test_round_trip.test_answer",
        "bedrock.test_round_trip.test_every_frame_of_a_stream",
        "bedrock.test_round_trip.test_count_answer",
        "bedrock.test_invoke.test_hosted_answers_are_those_that_the_sdk_reads",
        "cohere.test_round_trip.test_recorded_answer",
        "cohere.test_round_trip.test_every_frame_of_a_recorded_stream",
        "cohere.test_round_trip.test_recorded_embedding",
        "ollama.test_round_trip.test_recorded_answer",
        "ollama.test_round_trip.test_every_line_of_a_recorded_stream",
    ),
    "request again": (
        "openai.test_round_trip.test_requests",
        "openai.test_round_trip.test_embeddings",
        "openai_responses.test_round_trip.test_requests",
        "openai_responses.test_round_trip.test_counts",
        "anthropic.test_round_trip.test_request",
        "anthropic.test_round_trip.test_count_request",
        "gemini.test_round_trip.test_request",
        "gemini.test_round_trip.test_count_request",
        "gemini.test_round_trip.test_embeddings",
        "bedrock.test_official_sdk.test_request_is_what_boto3_sends",
        "bedrock.test_official_sdk.test_count_request_is_what_boto3_sends",
        "bedrock.test_invoke.test_recorded_requests_on_bedrock",
        "bedrock.test_invoke.test_recorded_exchanges_on_vertex",
        "cohere.test_round_trip.test_recorded_request",
        "cohere.test_official_sdk.test_the_sdk_sends_the_requests_that_we_write",
        "cohere.test_round_trip.test_recorded_embedding",
        "ollama.test_round_trip.test_recorded_request",
        "ollama.test_official_sdk.test_the_sdk_sends_the_requests_that_we_write",
    ),
}


def held(claim: str) -> Iterator[tuple[str, str, Callable[[], None] | None]]:
    """Yield each recording of a claim's tests, with the test's name, and the test to run unless it needs fixtures."""
    home = _CLIENTS if claim == "edge" else _DIALECTS
    for place in CLAIMS[claim]:
        module, _, name = (home + place).rpartition(".")
        test: Any = getattr(importlib.import_module(module), name)
        for case in _cases(test):
            yield _recording(case), place, _bound(test, case)


def _cases(test: Any) -> list[Any]:
    (mark,) = (each for each in test.pytestmark if each.name == "parametrize")
    return list(mark.args[1])


def _recording(case: Any) -> str:
    found = _NAME.match(str(case))
    assert found is not None, case
    return found[0]


def _bound(test: Any, case: Any) -> Callable[[], None] | None:
    if len(inspect.signature(test).parameters) > 1:
        return None
    return functools.partial(test, case)
