"""Embeddings, in both directions: the list endpoint, and the older one for a single prompt."""

from __future__ import annotations

from typing import Any

from llmhub.embedding.v1.embedding_service_pb2 import (
    EmbeddingEncoding,
    EmbedRequest,
    EmbedResponse,
)
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from services.dialects.codec import WireRequest
from services.dialects.members import (
    Extension,
    JsonObject,
    Members,
    answer_object,
    encode_json,
    foreign_members,
    plain_number,
    request_object,
)
from services.dialects.ollama.errors import error_in_answer
from services.dialects.ollama.usage import take_usage, write_usage
from services.dialects.ollama.wire import DIALECT, EMBED_PATH, EMBEDDINGS_PATH
from services.runtime.errors import ParameterUnsupported, RequestInvalid, UpstreamProtocol, Violation

_PROMPT = "prompt"
"""Hint: the body is one of the older endpoint."""


def decode_embed_request(body: bytes) -> EmbedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault."""
    faults: list[Violation] = []
    members = Members(request_object(body), "", faults)
    request = EmbedRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    if "prompt" in members.rest and "input" not in members.rest:
        members.hint("input", _PROMPT)
        request.inputs.add().text = members.text("prompt") or ""
    else:
        _read_input(members, request)
    dimensions = members.integer("dimensions", 31)
    if dimensions is not None:
        request.dimensions = dimensions
        if dimensions < 1:
            members.fault("dimensions", "must be positive")
    if faults:
        raise RequestInvalid(f"{faults[0].field}: {faults[0].message}", violations=tuple(faults))
    members.save(request.extensions, DIALECT)
    return request


def _read_input(members: Members, request: EmbedRequest) -> None:
    value = members.rest.pop("input", None)
    if isinstance(value, str):
        members.hint("input", "string")
        request.inputs.add().text = value
    elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        for each in value:
            request.inputs.add().text = each
    else:
        members.fault("input", "must be a string or strings")


def encode_embed_request(request: EmbedRequest, model: str) -> WireRequest:
    """Write a request; raise ParameterUnsupported for tokens, which Ollama does not take."""
    extension = Extension(request.extensions, DIALECT)
    if any(each.WhichOneof("kind") == "tokens" for each in request.inputs):
        raise ParameterUnsupported("inputs: Ollama embeds text, not tokens", field="inputs.tokens")
    texts = [each.text for each in request.inputs]
    shape = extension.shape.get("input") if len(texts) == 1 else None
    body: JsonObject = {"model": model}
    if shape == _PROMPT:
        body["prompt"] = texts[0]
    else:
        body["input"] = texts[0] if shape == "string" else texts
    if request.HasField("dimensions"):
        body["dimensions"] = request.dimensions
    warnings = [
        _warning(f"extensions[{other}]", f"{', '.join(names)}: known to the dialect {other} only")
        for other, names in foreign_members(request.extensions, DIALECT)
    ]
    if request.encoding == EmbeddingEncoding.EMBEDDING_ENCODING_BYTES:
        warnings.append(_warning("encoding", "vectors come as numbers here"))
    if request.end_user_id:
        warnings.append(_warning("end_user_id", "end users are not told here"))
    path = EMBEDDINGS_PATH if shape == _PROMPT else EMBED_PATH
    return WireRequest(path, encode_json(extension.merge(body)), warnings=tuple(warnings))


def _warning(field: str, message: str) -> LossWarning:
    return LossWarning(kind=WarningKind.WARNING_KIND_DROPPED, field=field, message=message)


def decode_embed_response(body: bytes) -> EmbedResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    members = Members(answer_object(body))
    error = error_in_answer(members.rest)
    if error is not None:
        raise error
    response = EmbedResponse(provider_model=members.word("model") or "")
    if "embeddings" in members.rest:
        vectors = members.array("embeddings")
    else:
        members.hint("vector", "single")
        vector = members.array("embedding")
        vectors = None if vector is None else [vector]
    if vectors is None:
        raise UpstreamProtocol("the provider's answer has no embeddings")
    for number, each in enumerate(vectors):
        _read_vector(each, number, response)
    usage = take_usage(members)
    if usage is not None:
        response.usage.CopyFrom(usage)
    response.extensions[DIALECT] = members.extension() or "{}"
    return response


def _read_vector(vector: Any, number: int, response: EmbedResponse) -> None:
    if not isinstance(vector, list) or not all(type(each) in {int, float} for each in vector):
        raise UpstreamProtocol("the provider's answer has an embedding without a vector")
    floats = response.embeddings.add(index=number).floats
    try:
        floats.values.extend(vector)
    except (OverflowError, TypeError):
        raise UpstreamProtocol("the provider's answer has a vector of impossible numbers") from None
    floats.SetInParent()


def encode_embed_response(response: EmbedResponse) -> bytes:
    """Write an answer. A vector that is at hand as bytes only is refused: there is no form for it here."""
    native = DIALECT in response.extensions
    extension = Extension(response.extensions, DIALECT)
    if any(each.WhichOneof("vector") == "float32_le" for each in response.embeddings):
        raise ParameterUnsupported("vectors of Ollama's are numbers, not bytes", field="encoding")
    vectors = [[plain_number(each) for each in one.floats.values] for one in response.embeddings]
    value: JsonObject = {}
    if response.provider_model or not native:
        value["model"] = response.provider_model or response.model
    if extension.shape.get("vector") == "single" and len(vectors) == 1:
        value["embedding"] = vectors[0]
    else:
        value["embeddings"] = vectors
    if response.HasField("usage"):
        value.update(write_usage(response.usage))
    return encode_json(extension.merge(value))
