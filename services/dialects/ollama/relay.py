"""Whole relayed answers: chat and embeddings."""

from __future__ import annotations

from llmhub.provider.v1.provider_service_pb2 import Progress
from services.dialects.failure import error_message
from services.dialects.members import Members, answer_object
from services.dialects.observation import answer_progress
from services.dialects.ollama.errors import error_in_answer
from services.dialects.ollama.response import decode_response
from services.dialects.ollama.usage import take_usage


def relay_answer(body: bytes) -> Progress:
    """Read what a whole answer says; raise UpstreamProtocol for what is no JSON object."""
    value = answer_object(body)
    error = error_in_answer(value)
    if error is not None:
        return Progress(error=error_message(error))
    if "embeddings" in value or "embedding" in value:
        members = Members(value)
        progress = Progress(content=True, complete=True, provider_model=members.word("model") or "")
        usage = take_usage(members)
        if usage is not None:
            progress.usage.CopyFrom(usage)
        return progress
    response = decode_response(body)
    progress = answer_progress(response)
    progress.complete = response.candidates[0].HasField("finish")
    return progress
