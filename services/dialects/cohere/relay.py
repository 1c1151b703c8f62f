"""Whole relayed answers: chat, embeddings, rerank."""

from __future__ import annotations

from llmhub.provider.v1.provider_service_pb2 import Progress
from services.dialects.cohere.errors import error_in_answer
from services.dialects.cohere.response import decode_response
from services.dialects.cohere.usage import read_usage
from services.dialects.failure import error_message
from services.dialects.members import answer_object
from services.dialects.observation import answer_progress


def relay_answer(body: bytes) -> Progress:
    """Read what a whole answer says; raise UpstreamProtocol for what is no JSON object."""
    value = answer_object(body)
    if isinstance(value.get("message"), dict):
        return answer_progress(decode_response(body))
    if "embeddings" in value or "results" in value:
        progress = Progress(content=True, complete=True)
        identity, meta = value.get("id"), value.get("meta")
        if isinstance(identity, str):
            progress.response_id = identity
        if isinstance(meta, dict):
            progress.usage.CopyFrom(read_usage(meta))
        return progress
    progress = Progress()
    error = error_in_answer(value)
    if error is not None:
        progress.error.CopyFrom(error_message(error))
    return progress
